import { effect, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { SpanRow, SpansPage } from '../../web/api.ts'
import { clock, count, counted, duration } from '../../chart/format.ts'
import { cleared } from '../chart/plot.ts'
import { AXIS, idOf, paintWaterfall, placeSpans, ROW, spanAt, type WaterfallView } from '../chart/waterfall.ts'
import { Icon } from '../parts/icons.tsx'
import { ask } from '../state/api.ts'
import { nameColor } from '../state/name-colors.ts'
import { shown } from '../state/runs.ts'
import { isDark, theme } from '../state/theme.ts'
import { choose } from '../state/view.ts'
import { Steps } from './steps.tsx'

/** While one zooms, the daemon is asked after so long a pause. */
const PAUSE_MS = 160
/** A run that goes on is asked for again so often, at most. */
const AGAIN_MS = 1000

const picked = signal<string | null>(null)
const page = signal<{ run: string; page: SpansPage } | null>(null)
const error = signal<string | null>(null)
/** From and to, UTC ms; null: all. */
const range = signal<readonly [number, number] | null>(null)
const selected = signal<SpanRow | null>(null)

const run = (): string | null => (shown.value.find((one) => one.run === picked.value) ?? shown.value[0])?.run ?? null

async function load(id: string, asked: readonly [number, number] | null): Promise<void> {
  const query = asked === null ? '' : `?from=${Math.floor(asked[0])}&to=${Math.ceil(asked[1])}`
  try {
    const got = await ask<SpansPage>(`runs/${encodeURIComponent(id)}/spans${query}`)
    if (id !== run()) return
    page.value = { run: id, page: got }
    error.value = null
  } catch (fault) {
    error.value = (fault as Error).message
  }
}

/** Loads what is in view; again when more spans have come. */
function useLoaded(): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let before: string | null = null
    let loadedAt = 0
    const stop = effect(() => {
      const id = run()
      const asked = range.value
      const spans = shown.value.find((one) => one.run === id)?.journaled.spans ?? 0
      if (id === null) return
      if (id !== before) {
        page.value = null
        range.value = null
        selected.value = null
      }
      const wait =
        id !== before
          ? 0
          : asked === null && spans > 0
            ? Math.max(0, loadedAt + AGAIN_MS - performance.now())
            : PAUSE_MS
      before = id
      clearTimeout(timer)
      timer = setTimeout(() => {
        loadedAt = performance.now()
        void load(id, asked)
      }, wait)
    })
    return () => {
      stop()
      clearTimeout(timer)
    }
  }, [])
}

/** What the trainer spent its time on: spans as they lie in time, and the sum of each kind by step. */
export function Timeline(): JSX.Element {
  useLoaded()
  const id = run()
  const got = page.value?.run === id ? page.value?.page : undefined
  const title = shown.value.find((one) => one.run === id)?.title ?? ''
  return (
    <div class="timeline">
      <div class="toolbar">
        {shown.value.length > 1 && (
          <div class="segments" role="group" aria-label="Run">
            {shown.value.map((one) => (
              <button
                type="button"
                key={one.run}
                aria-pressed={one.run === id}
                onClick={() => (picked.value = one.run)}
              >
                {one.title}
              </button>
            ))}
          </div>
        )}
        {got !== undefined && (
          <span class="muted">
            {counted(got.total, 'span')} in view
            {got.spans.length < got.total
              ? `, the longest ${count(got.spans.length)} are drawn: zoom in for the rest`
              : ''}
          </span>
        )}
        {range.value !== null && (
          <button type="button" class="chip" onClick={() => (range.value = null)}>
            {duration(range.value[1] - range.value[0])} in view: show all <Icon name="close" />
          </button>
        )}
        {error.value !== null && <span class="problem">{error.value}</span>}
      </div>
      {got !== undefined && got.range === null && (
        <p class="nothing">
          No spans for {title} yet. If the trainer sends OpenTelemetry spans, or logs the spans that its lines are in,
          its time is shown here.
        </p>
      )}
      {got?.range != null && (
        <>
          <section class="panel">
            <h2>Where the time of each step went</h2>
            <Steps run={id!} total={got.total} />
          </section>
          <section class="panel">
            <h2>Spans in time</h2>
            <p class="muted hint">
              Wheel or + and − zoom, drag or ← and → move, a click or ↑ and ↓ show a span, r shows all.
            </p>
            <Waterfall page={got} />
          </section>
          {selected.value !== null && <Detail span={selected.value} />}
        </>
      )}
    </div>
  )
}

const wholeOf = ({ range: whole }: SpansPage): readonly [number, number] => {
  const { from, to } = whole!
  const air = Math.max(1, (to - from) * 0.01)
  return [from - air, to + air]
}

/** Zooms by a factor around a place, within the run. */
function zoomed(
  [from, to]: readonly [number, number],
  factor: number,
  at: number,
  whole: readonly [number, number],
): void {
  const next: [number, number] = [at - (at - from) * factor, at + (to - at) * factor]
  if (next[1] - next[0] < 0.01) return
  const isAll = next[0] <= whole[0] && next[1] >= whole[1]
  range.value = isAll ? null : [Math.max(whole[0], next[0]), Math.min(whole[1], next[1])]
}

function moved([from, to]: readonly [number, number], by: number, whole: readonly [number, number]): void {
  const shift = Math.max(whole[0] - from, Math.min(whole[1] - to, by))
  if (range.peek() !== null) range.value = [from + shift, to + shift]
}

function Waterfall({ page: got }: { page: SpansPage }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null)
  const latest = useRef(got)
  latest.current = got
  const placed = placeSpans(got.spans)
  const places = useRef(placed)
  places.current = placed
  const viewNow = (): WaterfallView => {
    const whole = wholeOf(latest.current)
    const [from, to] = range.value ?? whole
    return {
      from,
      to,
      width: canvas.current!.clientWidth,
      zero: latest.current.range!.from,
      selected: selected.value === null ? null : idOf(selected.value),
      colorOf: (name) => nameColor(name, isDark.value),
    }
  }
  const draw = (): void => {
    if (canvas.current === null || canvas.current.clientWidth === 0) return
    const { rows } = places.current
    canvas.current.style.height = `${AXIS + rows * ROW}px`
    const view = viewNow()
    paintWaterfall(cleared(canvas.current, view.width, AXIS + rows * ROW), places.current, view, theme.value)
  }
  useEffect(() => {
    const stop = effect(draw)
    const sizes = new ResizeObserver(draw)
    sizes.observe(canvas.current!)
    const listening = handlePointer(canvas.current!, viewNow, places, latest)
    return () => {
      stop()
      sizes.disconnect()
      listening.abort()
    }
  }, [])
  useEffect(draw)
  return (
    <canvas
      ref={canvas}
      class="waterfall"
      tabIndex={0}
      role="img"
      aria-label={`${counted(got.spans.length, 'span')} on ${counted(placed.tracks.length, 'track')}. Plus and minus zoom, arrows left and right move, up and down go from span to span.`}
      onKeyDown={(event) => onKey(event, viewNow(), places.current, wholeOf(latest.current))}
    />
  )
}

type Places = { current: ReturnType<typeof placeSpans> }

function handlePointer(
  canvas: HTMLCanvasElement,
  viewNow: () => WaterfallView,
  places: Places,
  latest: { current: SpansPage },
): AbortController {
  const listening = new AbortController()
  const { signal: until } = listening
  let start: { left: number; from: number; to: number; isDrag: boolean } | null = null
  canvas.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault()
      const { from, to, width } = viewNow()
      const whole = wholeOf(latest.current)
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
        return moved([from, to], ((event.deltaX || event.deltaY) / width) * (to - from), whole)
      zoomed([from, to], 1.0015 ** event.deltaY, from + (event.offsetX / width) * (to - from), whole)
    },
    { signal: until, passive: false },
  )
  canvas.addEventListener(
    'pointerdown',
    (event) => {
      const { from, to } = viewNow()
      start = { left: event.clientX, from, to, isDrag: false }
      canvas.setPointerCapture(event.pointerId)
    },
    { signal: until },
  )
  canvas.addEventListener(
    'pointermove',
    (event) => {
      const view = viewNow()
      const under = spanAt(places.current, view, event.offsetX, event.offsetY)
      canvas.title = under === null ? '' : `${under.name}, ${duration(under.end - under.start)}`
      canvas.style.cursor = under === null ? 'grab' : 'pointer'
      if (start === null || Math.abs(event.clientX - start.left) < 4) return
      start.isDrag = true
      const shift = ((start.left - event.clientX) / view.width) * (start.to - start.from)
      const [from] = [view.from]
      moved([view.from, view.to], start.from + shift - from, wholeOf(latest.current))
    },
    { signal: until },
  )
  canvas.addEventListener(
    'pointerup',
    (event) => {
      if (start !== null && !start.isDrag)
        selected.value = spanAt(places.current, viewNow(), event.offsetX, event.offsetY)
      start = null
    },
    { signal: until },
  )
  canvas.addEventListener('dblclick', () => (range.value = null), { signal: until })
  return listening
}

function onKey(
  event: KeyboardEvent,
  { from, to }: WaterfallView,
  { placed }: Places['current'],
  whole: readonly [number, number],
): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  const middle = (from + to) / 2
  const part = (to - from) / 5
  const walk = (step: number): void => {
    const inOrder = placed.map(({ span }) => span).sort((a, b) => a.start - b.start || b.end - a.end)
    const at = inOrder.findIndex((span) => selected.value !== null && idOf(span) === idOf(selected.value))
    const firstInView = inOrder.findIndex(({ start }) => start >= from)
    const next = inOrder[at < 0 ? Math.max(0, firstInView) : Math.max(0, Math.min(inOrder.length - 1, at + step))]
    selected.value = next ?? null
    if (next !== undefined && (next.start < from || next.end > to))
      moved([from, to], (next.start + next.end) / 2 - middle, whole)
  }
  const actions: Readonly<Record<string, () => void>> = {
    '+': () => zoomed([from, to], 0.6, middle, whole),
    '=': () => zoomed([from, to], 0.6, middle, whole),
    '-': () => zoomed([from, to], 1 / 0.6, middle, whole),
    ArrowLeft: () => moved([from, to], -part, whole),
    ArrowRight: () => moved([from, to], part, whole),
    ArrowDown: () => walk(1),
    ArrowUp: () => walk(-1),
    r: () => (range.value = null),
    Escape: () => (selected.value = null),
  }
  if (!Object.hasOwn(actions, event.key)) return
  actions[event.key]!()
  event.preventDefault()
  event.stopPropagation()
}

function Detail({ span }: { span: SpanRow }): JSX.Element {
  return (
    <section class="panel detail" aria-live="polite">
      <header>
        <h2>{span.name}</h2>
        {span.isError && <span class="bad">✕ ended with an error</span>}
        <button type="button" class="plain" aria-label="Close" onClick={() => (selected.value = null)}>
          <Icon name="close" />
        </button>
      </header>
      <dl>
        <Fact name="took" text={duration(span.end - span.start)} />
        <Fact name="began" text={clock(span.start)} />
        {span.track !== '' && <Fact name="track" text={span.track} />}
        {Object.entries(span.attributes).map(([name, value]) => (
          <Fact key={name} name={name} text={String(value)} />
        ))}
      </dl>
      <button
        type="button"
        onClick={() =>
          choose({ tab: 'charts', mark: { run: run() ?? '', time: Math.round(span.end), step: span.step }, zoom: null })
        }
      >
        Show {span.step === null ? 'its end' : `step ${count(span.step)}`} on the charts
      </button>
    </section>
  )
}

const Fact = ({ name, text }: { name: string; text: string }): JSX.Element => (
  <div>
    <dt>{name}</dt>
    <dd>{text}</dd>
  </div>
)
