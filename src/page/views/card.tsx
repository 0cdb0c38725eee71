import { effect } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { saveCsv, savePng, saveSvg, saveWholeCsv } from '../chart/export.ts'
import { counted, shortValue } from '../../chart/format.ts'
import { Plot, type PlotNote } from '../chart/plot.ts'
import { Icon } from '../parts/icons.tsx'
import { Menu } from '../parts/menu.tsx'
import { addPlot, linesOf, redrawNow } from '../state/charts.ts'
import { pinned } from '../state/kept.ts'
import { numberOf } from '../../chart/drawn.ts'
import { looks, seriesOf, shown } from '../state/runs.ts'
import { theme } from '../state/theme.ts'
import { choose, view } from '../state/view.ts'
import { say } from '../parts/notice.tsx'
import { followPointer, walkPoints } from './pointer.ts'
import { cursor } from './tooltip.tsx'

const plotOf = new WeakMap<Element, Plot>()
/** One for all cards: those that are seen draw and ask for data. */
const seen = new IntersectionObserver(
  (entries) => entries.forEach(({ target, isIntersecting }) => plotOf.get(target)?.see(isIntersecting)),
  { rootMargin: '60px 0px' },
)
const sizes = new ResizeObserver((entries) =>
  entries.forEach(({ target, contentRect: { width, height } }) => plotOf.get(target)?.resize(width, height)),
)

interface Props {
  keyName: string
  label: string
  unit: string | null
}

/** The value in the title: the last one, or the one at the cursor, of the first run that has the key. */
function titleValue(plot: Plot, place: number | null): { text: string; run: string | null } {
  if (place !== null) {
    const point = plot.at(place)[0]
    if (point !== undefined) return { text: shortValue(point.value), run: point.run }
  }
  for (const { run } of shown.peek()) {
    const last = seriesOf.get(run)?.get(plot.key)?.last
    if (last !== undefined) return { text: shortValue(numberOf(last.value)), run }
  }
  return { text: '', run: null }
}

/** In words, for those who cannot see the picture. */
function described(key: string, label: string): string {
  const said = shown.peek().flatMap(({ run, title }) => {
    const series = seriesOf.get(run)?.get(key)
    if (series === undefined) return []
    const range = series.min === null ? '' : `, from ${shortValue(series.min)} to ${shortValue(series.max ?? 0)}`
    return [`${title}: ${counted(series.count, 'point')}${range}, last ${shortValue(numberOf(series.last.value))}`]
  })
  return `${label}. ${said.join('. ')}`
}

export const togglePin = (key: string): void => {
  const all = pinned.value
  pinned.value = all.includes(key) ? all.filter((one) => one !== key) : [...all, key]
}

/** One chart: title with the last value, picture, and what the picture does not show. */
export function Card({ keyName: key, label, unit }: Props): JSX.Element {
  const area = useRef<HTMLDivElement>(null)
  const plot = useRef<Plot | null>(null)
  const [note, setNote] = useState<PlotNote | null>(null)
  const value = useRef<HTMLSpanElement>(null)

  useEffect(() => {
    const element = area.current!
    const [canvas, overlay] = element.querySelectorAll('canvas')
    const mine = new Plot(key, canvas!, overlay!, (next) => {
      setNote(next)
      const place = cursor.peek()?.place ?? null
      mine.drawCursor(place)
      showValue(place)
    })
    plot.current = mine
    const showValue = (place: number | null): void => {
      const { text, run } = titleValue(mine, place)
      if (value.current === null) return
      value.current.textContent = text
      value.current.style.color = shown.peek().length > 1 && run !== null ? (looks.peek().get(run)?.color ?? '') : ''
    }
    plotOf.set(element, mine)
    const forget = addPlot(mine)
    seen.observe(element)
    sizes.observe(element)
    const stopCursor = effect(() => {
      const at = cursor.value
      if (!mine.isSeen) return
      mine.drawCursor(at?.place ?? null)
      showValue(at?.place ?? null)
    })
    const stopPointer = followPointer(mine, overlay!)
    return () => {
      stopCursor()
      stopPointer()
      seen.unobserve(element)
      sizes.unobserve(element)
      forget()
    }
  }, [key])

  const isLarge = view.value.large === key
  useEffect(() => {
    if (isLarge) area.current?.scrollIntoView({ block: 'center' })
  }, [isLarge])
  const isPinned = pinned.value.includes(key)
  const enlarge = (): void => choose({ large: isLarge ? null : key })
  const items = [
    { text: isPinned ? 'Unpin' : 'Pin to the top', run: () => togglePin(key) },
    { text: isLarge ? 'Shrink' : 'Enlarge', run: enlarge },
    { text: 'Save as PNG', run: () => savePng(plot.current!, label) },
    { text: 'Save as SVG', run: () => saveSvg(plot.current!, label) },
    { text: 'Save drawn points as CSV', run: () => saveCsv(plot.current!, [...linesOf(key).lines.values()]) },
    {
      text: 'Save all points as CSV',
      run: () => {
        const runs = shown.peek().map(({ run }) => run)
        saveWholeCsv(plot.current!, runs).catch((error: Error) => say(`Not saved: ${error.message}`))
      },
    },
    { text: 'Copy link to this chart', run: () => copyLink(key) },
  ]
  const onKey = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === 'Enter') enlarge()
    else if (event.key === 'p') togglePin(key)
    else if (!walkPoints(plot.current!, event.key)) return
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <article class={`card${isLarge ? ' large' : ''}`} data-key={key}>
      <header>
        {isPinned && <Icon name="pin" fill />}
        <h3 title={key}>
          {label}
          {unit !== null && <span class="unit"> {unit}</span>}
        </h3>
        <span class="value" ref={value} />
        <Menu name={`More for ${label}`} items={items} />
      </header>
      <div
        class="plot"
        ref={area}
        tabIndex={0}
        role="img"
        aria-label={described(key, label)}
        onKeyDown={onKey}
        onBlur={() => (cursor.value = null)}
      >
        <canvas />
        <canvas class="overlay" />
        {note?.isEmpty && !note.isLoading && note.error === null && (
          <p class="over">{view.value.zoom === null ? 'Nothing that can be drawn yet' : 'No points in this range'}</p>
        )}
        {note?.error != null && <p class="over">{note.error}</p>}
      </div>
      <button
        type="button"
        class="plain grow"
        aria-label={`${isLarge ? 'Shrink' : 'Enlarge'} ${label}`}
        onClick={enlarge}
      >
        <Icon name="grow" />
      </button>
      {note !== null && note.notes.length > 0 && <footer>{note.notes.join(' · ')}</footer>}
    </article>
  )
}

function copyLink(key: string): void {
  const address = new URL(location.href)
  const hash = new URLSearchParams(address.hash.slice(1))
  hash.set(
    'runs',
    shown
      .peek()
      .map(({ run }) => run)
      .join(),
  )
  hash.set('large', key)
  address.hash = hash.toString()
  navigator.clipboard.writeText(address.href).then(
    () => say('The link is copied'),
    () => say(`The browser does not let the page copy; the link is ${address.href}`),
  )
}

/** Charts follow what is chosen, and the colours of the page. */
effect(() => {
  void [view.value, looks.value, theme.value]
  redrawNow()
})
