import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { clock, count, dayAndTime, relativeLabel, shortValue } from '../../chart/format.ts'
import { nearest } from '../chart/nearest.ts'
import type { Plot } from '../chart/plot.ts'
import { linesOf } from '../state/charts.ts'
import { view } from '../state/view.ts'

/** Where the pointer is: a place on the x axis, the same in all charts. */
export const cursor = signal<{ plot: Plot; place: number; left: number; top: number } | null>(null)

function heading(plot: Plot, place: number): string {
  const { axis } = view.value
  const point = plot.at(place)[0]
  const line = point && linesOf(plot.key).lines.get(point.run)
  const scene = plot.scene?.lines.find(({ run }) => run === point?.run)
  if (line === undefined || scene === undefined || point === undefined)
    return axis === 'step' ? `step ${count(place)}` : axis === 'time' ? clock(place) : relativeLabel(place, 1000)
  const i = nearest(scene.xs, point.x)
  return `step ${count(line.steps[i] ?? place)} · ${dayAndTime(line.times[i] ?? 0)}:${clock(line.times[i] ?? 0).slice(-2)}`
}

/** The values of all runs at the cursor, beside the pointer. */
export function Tooltip(): JSX.Element | null {
  const box = useRef<HTMLDivElement>(null)
  const at = cursor.value
  useLayoutEffect(() => {
    const { current } = box
    if (current === null || at === null) return
    const { width, height } = current.getBoundingClientRect()
    const left = at.left + 16 + width > innerWidth ? at.left - width - 16 : at.left + 16
    current.style.left = `${Math.max(4, left)}px`
    current.style.top = `${Math.max(4, Math.min(innerHeight - height - 4, at.top + 14))}px`
  })
  if (at === null) return null
  const points = at.plot.at(at.place).toSorted((a, b) => b.shown - a.shown)
  if (points.length === 0) return null
  const smoothing = view.value.smoothing
  return (
    <div class="tooltip" ref={box} role="status">
      <p>{heading(at.plot, at.place)}</p>
      <table>
        <tbody>
          {points.map(({ run, look, value, shown }) => (
            <tr key={run}>
              <td>
                <Swatch color={look.color} dash={look.dash} />
              </td>
              <td class="name">{points.length > 1 || smoothing > 0 ? look.title : ''}</td>
              <td class="number">{shortValue(smoothing > 0 ? shown : value, 6)}</td>
              {smoothing > 0 && <td class="number muted">{shortValue(value, 6)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {smoothing > 0 && <p class="muted">smoothed, then raw</p>}
    </div>
  )
}

/** The line of a run in small. */
export function Swatch({ color, dash }: { color: string; dash: readonly number[] }): JSX.Element {
  return (
    <svg class="swatch" viewBox="0 0 18 8" width="18" height="8" aria-hidden="true">
      <path d="M1 4h16" stroke={color} stroke-width="3" stroke-dasharray={dash.length > 0 ? '5 2.5' : undefined} />
    </svg>
  )
}
