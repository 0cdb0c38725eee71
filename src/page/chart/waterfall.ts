import type { SpanRow } from '../../web/api.ts'
import { duration, relativeLabel } from '../../chart/format.ts'
import type { Theme } from '../../chart/paint.ts'
import type { Pen } from '../../chart/pen.ts'
import { timeTicks } from '../../chart/ticks.ts'

/** A span with its place: `row` counts from the top of the picture. */
export interface Placed {
  span: SpanRow
  row: number
}

/** Spans of one track: a heading, and as many rows as spans lie inside each other. */
export interface Track {
  name: string
  row: number
  rows: number
}

export const ROW = 19
export const AXIS = 22
const HEADING = 1

/** Puts each span under the one it lies in, and beside nothing that it overlaps. */
export function placeSpans(spans: readonly SpanRow[]): { placed: Placed[]; tracks: Track[]; rows: number } {
  const byTrack = Map.groupBy(spans, ({ track }) => track)
  const placed: Placed[] = []
  const tracks: Track[] = []
  let top = 0
  for (const [name, own] of [...byTrack].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))) {
    const depths = depthsOf(own)
    const rows = Math.max(...depths.values()) + 1
    tracks.push({ name, row: top, rows })
    for (const [span, depth] of depths) placed.push({ span, row: top + HEADING + depth })
    top += HEADING + rows
  }
  return { placed, tracks, rows: top }
}

function depthsOf(spans: readonly SpanRow[]): Map<SpanRow, number> {
  const byId = new Map(spans.map((span) => [span.trace + span.span, span]))
  const depths = new Map<SpanRow, number>()
  /** Where the last span of each row ends. */
  const ends: number[] = []
  for (const span of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const parent = span.parent === null ? undefined : byId.get(span.trace + span.parent)
    let depth = parent === undefined ? 0 : (depths.get(parent) ?? -1) + 1
    // Half a microsecond: clocks round.
    while ((ends[depth] ?? -Infinity) > span.start + 0.0005) depth++
    ends[depth] = span.end
    for (let row = 0; row < depth; row++) ends[row] ??= -Infinity
    depths.set(span, depth)
  }
  return depths
}

export interface WaterfallView {
  from: number
  to: number
  width: number
  /** UTC ms that the axis calls zero. */
  zero: number
  selected: string | null
  colorOf: (name: string) => string
}

export const idOf = ({ trace, span }: SpanRow): string => `${trace} ${span}`

const leftOf = (time: number, { from, to, width }: WaterfallView): number => ((time - from) / (to - from)) * width

/** Draws the spans in a range of time. */
export function paintWaterfall(
  pen: Pen & Pick<CanvasRenderingContext2D, 'strokeRect' | 'measureText'>,
  { placed, tracks, rows }: ReturnType<typeof placeSpans>,
  view: WaterfallView,
  theme: Theme,
): void {
  const height = AXIS + rows * ROW
  pen.font = `11px ${theme.font}`
  pen.textBaseline = 'middle'
  const ticks = timeTicks({ min: view.from - view.zero, max: view.to - view.zero }, Math.floor(view.width / 90))
  const gap = (ticks[1] ?? 1) - (ticks[0] ?? 0)
  pen.strokeStyle = theme.grid
  pen.lineWidth = 1
  pen.beginPath()
  for (const tick of ticks) {
    const left = Math.round(leftOf(tick + view.zero, view)) + 0.5
    pen.moveTo(left, AXIS - 4)
    pen.lineTo(left, height)
    pen.fillStyle = theme.muted
    pen.textAlign = left < 16 ? 'left' : left > view.width - 20 ? 'right' : 'center'
    pen.fillText(relativeLabel(tick, gap), left, 9)
  }
  pen.stroke()
  pen.textAlign = 'left'
  for (const { name, row } of tracks) {
    pen.fillStyle = theme.muted
    pen.fillText(name || 'main', 4, AXIS + row * ROW + ROW / 2)
  }
  // Those with an error last, so that none is hidden.
  for (const one of placed.toSorted((a, b) => Number(a.span.isError) - Number(b.span.isError)))
    paintSpan(pen, one, view, theme)
}

function paintSpan(
  pen: Parameters<typeof paintWaterfall>[0],
  { span, row }: Placed,
  view: WaterfallView,
  theme: Theme,
): void {
  const left = leftOf(span.start, view)
  const right = leftOf(span.end, view)
  if (right < 0 || left > view.width) return
  const x = Math.max(-2, left)
  const width = Math.max(1.5, Math.min(view.width + 2, right) - x)
  const y = AXIS + row * ROW + 1.5
  const color = span.isError ? theme.bad : view.colorOf(span.name)
  pen.fillStyle = color
  pen.globalAlpha = 0.24
  pen.fillRect(x, y, width, ROW - 3)
  pen.globalAlpha = 1
  pen.fillRect(x, y, Math.min(2.5, width / 3), ROW - 3)
  if (view.selected === idOf(span)) {
    pen.strokeStyle = theme.text
    pen.lineWidth = 2
    pen.strokeRect(x, y, width, ROW - 3)
  }
  if (width < 26) return
  const text = `${span.isError ? '✕ ' : ''}${span.name}`
  const room = width - 10
  const whole = `${text} ${duration(span.end - span.start)}`
  const fitting = pen.measureText(whole).width <= room ? whole : text
  pen.save()
  pen.beginPath()
  pen.rect(x, y, width - 3, ROW)
  pen.clip()
  pen.fillStyle = theme.text
  pen.fillText(fitting, Math.max(x, 0) + 6, y + (ROW - 3) / 2 + 0.5)
  pen.restore()
}

/** The span under a place in the picture. */
export function spanAt(
  { placed }: ReturnType<typeof placeSpans>,
  view: WaterfallView,
  left: number,
  top: number,
): SpanRow | null {
  const row = Math.floor((top - AXIS) / ROW)
  const near = placed.filter(
    (one) => one.row === row && leftOf(one.span.start, view) <= left + 2 && leftOf(one.span.end, view) >= left - 2,
  )
  return near.sort((a, b) => a.span.end - a.span.start - (b.span.end - b.span.start))[0]?.span ?? null
}
