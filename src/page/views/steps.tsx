import { effect, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { StepsPage } from '../../web/api.ts'
import { count, duration, tickLabel } from '../../chart/format.ts'
import type { Theme } from '../../chart/paint.ts'
import { cleared } from '../chart/plot.ts'
import { linearTicks } from '../../chart/ticks.ts'
import { ask } from '../state/api.ts'
import { nameColor } from '../state/name-colors.ts'
import { isDark, theme } from '../state/theme.ts'

const HEIGHT = 170
const LEFT = 52
const BOTTOM = 20
const TOP = 6
/** Names that have a colour of their own; the others are one. */
const NAMES = 8

/** Bar under the pointer; null: none. */
const hovered = signal<number | null>(null)

/** The names that take most, and the rest as one. */
export function strongest({ names, others, steps }: StepsPage): StepsPage['names'] {
  if (names.length <= NAMES && others === null) return names
  const rest = names.slice(NAMES - 1)
  const all = others === null ? rest : [...rest, others]
  const ms = steps.map((_, i) => all.reduce((sum, one) => sum + (one.ms[i] ?? 0), 0))
  return [...names.slice(0, NAMES - 1), { name: `${count(rest.length + (others?.count ?? 0))} others`, ms }]
}

/** Time per step, stacked by the names of spans. `total`: of spans, so that it is asked for again when more have come. */
export function Steps({ run, total }: { run: string; total: number }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [page, setPage] = useState<StepsPage | null>(null)
  useEffect(() => {
    let isOver = false
    const take = (next: StepsPage): void => {
      if (!isOver) setPage(next)
    }
    ask<StepsPage>(`runs/${encodeURIComponent(run)}/steps?buckets=200`).then(take, () => {})
    return () => {
      isOver = true
    }
  }, [run, total])
  useEffect(() => {
    if (page === null || page.steps.length === 0) return undefined
    const element = canvas.current!
    const draw = (): void => {
      if (element.clientWidth === 0) return
      const pen = cleared(element, element.clientWidth, HEIGHT)
      paintSteps(pen, page, element.clientWidth, theme.value, hovered.value)
    }
    const stop = effect(draw)
    const sizes = new ResizeObserver(draw)
    sizes.observe(element)
    return () => {
      stop()
      sizes.disconnect()
    }
  }, [page])
  if (page === null) return <p class="muted">Adding up …</p>
  if (page.steps.length === 0)
    return <p class="muted">None of the spans has a step, as an attribute or from a span around it.</p>
  const names = strongest(page)
  const at = hovered.value
  const shownAt = at === null ? page.steps.length - 1 : Math.min(at, page.steps.length - 1)
  const move = ({ offsetX }: MouseEvent): void => {
    const width = canvas.current!.clientWidth - LEFT
    const bar = Math.floor(((offsetX - LEFT) / width) * page.steps.length)
    hovered.value = bar < 0 || bar >= page.steps.length ? null : bar
  }
  return (
    <>
      <ul class="names">
        <li>
          step {count(page.steps[shownAt]!)}
          {page.width > 1 && <span class="muted"> and the {count(page.width - 1)} after it, mean</span>}
        </li>
        {names.map(({ name, ms }) => (
          <li key={name}>
            <svg width="11" height="11" aria-hidden="true">
              <rect width="11" height="11" rx="2" fill={nameColor(name, isDark.value)} />
            </svg>
            {name} <b>{duration(ms[shownAt] ?? 0)}</b>
          </li>
        ))}
      </ul>
      <canvas
        ref={canvas}
        class="steps"
        role="img"
        aria-label={`Time of spans per step, without that of the spans inside them: ${names.map(({ name, ms }) => `${name} ${duration(ms.at(-1) ?? 0)}`).join(', ')} at the last one`}
        onPointerMove={move}
        onPointerLeave={() => (hovered.value = null)}
      />
    </>
  )
}

function paintSteps(
  pen: CanvasRenderingContext2D,
  page: StepsPage,
  width: number,
  colors: Theme,
  over: number | null,
): void {
  const names = strongest(page)
  const sums = page.steps.map((_, i) => names.reduce((sum, { ms }) => sum + (ms[i] ?? 0), 0))
  const max = Math.max(...sums) || 1
  const tall = HEIGHT - BOTTOM - TOP
  const y = (ms: number): number => TOP + tall - (ms / max) * tall
  pen.font = `11px ${colors.font}`
  pen.textBaseline = 'middle'
  pen.lineWidth = 1
  for (const tick of linearTicks({ min: 0, max }, 4)) {
    pen.fillStyle = colors.muted
    pen.textAlign = 'right'
    pen.fillText(duration(tick), LEFT - 6, y(tick))
    pen.fillStyle = colors.grid
    pen.fillRect(LEFT, Math.round(y(tick)), width - LEFT, 1)
  }
  const bar = (width - LEFT) / page.steps.length
  const gap = bar > 6 ? 1 : 0
  page.steps.forEach((_, i) => {
    let bottom = TOP + tall
    for (const { name, ms } of names) {
      const height = ((ms[i] ?? 0) / max) * tall
      pen.fillStyle = nameColor(name, isDark.peek())
      pen.globalAlpha = over === null || over === i ? 0.85 : 0.5
      pen.fillRect(LEFT + i * bar, bottom - height, Math.max(0.6, bar - gap), height)
      bottom -= height
    }
  })
  pen.globalAlpha = 1
  pen.fillStyle = colors.muted
  const every = Math.ceil(page.steps.length / Math.max(1, Math.floor((width - LEFT) / 90)))
  const step = Math.abs((page.steps[every] ?? 1) - (page.steps[0] ?? 0)) / 10 || 1
  page.steps.forEach((first, i) => {
    if (i % every !== 0) return
    pen.textAlign = i === 0 ? 'left' : 'center'
    pen.fillText(
      tickLabel(first, 10 ** Math.floor(Math.log10(step))),
      LEFT + i * bar + (i === 0 ? 0 : bar / 2),
      HEIGHT - 9,
    )
  })
}
