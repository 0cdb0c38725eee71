import { endsOf } from '../chart/ends.ts'
import { count, counted, shortValue } from '../chart/format.ts'
import { FONT_SIZE, frameOf, paint, ticksOf, type Theme } from '../chart/paint.ts'
import type { Pen } from '../chart/pen.ts'
import { buildScene, type Look, type Scene } from '../chart/scene.ts'
import type { ReadLine, ReadOptions } from './read.ts'
import { textWidth } from './text-width.ts'

/** One line of a panel: what it is called there, and how it looks. */
export interface PanelLine extends ReadLine {
  label: string
  color: string
  dash: readonly number[]
}

/** A chart with its title, in a picture. */
export interface Panel {
  /** What all of its lines have in common. */
  title: string
  lines: readonly PanelLine[]
}

export interface Box {
  top: number
  width: number
  height: number
}

const TITLE_SIZE = 15
const LEGEND_SIZE = 12
const MARGIN = 12
const ROW = 18
const SWATCH = 20
const GAP = 18

/** Draws a panel into its box. */
export function drawPanel(pen: Pen, panel: Panel, box: Box, options: ReadOptions, theme: Theme): void {
  const scene = sceneOf(panel, options)
  const head = drawHead(pen, panel, box, theme)
  const foot = ROW
  const height = Math.max(40, box.height - head - foot)
  const ticks = ticksOf(scene, box.width, height)
  const frame = frameOf(ticks, box.width, height, (text) => textWidth(text, FONT_SIZE))
  paint(pen, scene, ticks, { ...frame, top: frame.top + box.top + head }, theme)
  if (scene.isEmpty) {
    text(pen, 'no value in this range', { x: box.width / 2, y: box.top + head + height / 2, size: LEGEND_SIZE })
  }
  pen.fillStyle = theme.muted
  pen.textAlign = 'left'
  const notes = notesOf(panel, scene, options).join(' · ')
  text(pen, cut(notes, box.width - 2 * MARGIN, 10), { x: MARGIN, y: box.top + box.height - 8, size: 10 })
}

function sceneOf({ lines }: Panel, { axis, from, to, smoothing, log }: ReadOptions): Scene {
  const looks = new Map<string, Look>(
    lines.map(({ label, color, dash, origin }, i) => [String(i), { color, dash, title: label, start: origin }]),
  )
  const all = new Set(lines.map(({ summary }) => JSON.stringify(summary.thresholds)))
  const scene = buildScene(
    // A line is known by its place: one run may have several.
    lines.map(({ drawn }, i) => ({ ...drawn, run: String(i) })),
    {
      axis,
      zoom: null,
      smoothing,
      log,
      clip: false,
      looks,
      marks: [],
      thresholds: all.size === 1 ? (lines[0]?.summary.thresholds ?? null) : null,
    },
  )
  const ends = lines.flatMap(({ summary, origin }) => endsOf(summary, axis, origin))
  const min = from ?? Math.min(scene.x.min, ...ends)
  const max = to ?? Math.max(scene.x.max, ...ends)
  return { ...scene, x: max > min ? { min, max } : scene.x }
}

/** Title and legend. @returns their height */
function drawHead(pen: Pen, { title, lines }: Panel, box: Box, theme: Theme): number {
  const [only] = lines
  pen.fillStyle = theme.text
  pen.textAlign = 'left'
  const base = box.top + MARGIN + TITLE_SIZE - 2
  if (lines.length === 1 && only !== undefined) {
    const heading = cut(`${only.label}: ${lastOf(only)}`, box.width - 2 * MARGIN, TITLE_SIZE)
    text(pen, heading, { x: MARGIN, y: base, size: TITLE_SIZE })
    const x = MARGIN + textWidth(heading, TITLE_SIZE) + GAP
    pen.fillStyle = theme.muted
    text(pen, cut(title, box.width - x - MARGIN, LEGEND_SIZE), { x, y: base, size: LEGEND_SIZE })
    return MARGIN + ROW + 4
  }
  text(pen, cut(title, box.width - 2 * MARGIN, TITLE_SIZE), { x: MARGIN, y: base, size: TITLE_SIZE })
  return MARGIN + ROW + drawLegend(pen, lines, { top: base + 8, width: box.width }, theme) + 6
}

function drawLegend(
  pen: Pen,
  lines: readonly PanelLine[],
  { top, width }: { top: number; width: number },
  theme: Theme,
): number {
  let x = MARGIN
  let row = 0
  for (const line of lines) {
    const entry = cut(`${line.label}  ${lastOf(line)}`, width - 2 * MARGIN - SWATCH - 6, LEGEND_SIZE)
    const wide = SWATCH + 6 + textWidth(entry, LEGEND_SIZE)
    if (x > MARGIN && x + wide > width - MARGIN) {
      x = MARGIN
      row += 1
    }
    const y = top + row * ROW + 8
    pen.strokeStyle = line.color
    pen.lineWidth = 2.5
    pen.setLineDash(line.dash)
    pen.beginPath()
    pen.moveTo(x, y)
    pen.lineTo(x + SWATCH, y)
    pen.stroke()
    pen.setLineDash([])
    pen.fillStyle = theme.text
    text(pen, entry, { x: x + SWATCH + 6, y: y + 4, size: LEGEND_SIZE })
    x += wide + GAP
  }
  return (row + 1) * ROW
}

/** What the picture does not say by itself. */
function notesOf({ lines }: Panel, { notPositive }: Scene, { axis, smoothing }: ReadOptions): string[] {
  const sum = (of: (line: PanelLine) => number): number => lines.reduce((n, line) => n + of(line), 0)
  const points = sum(({ drawn }) => drawn.points)
  const [nan, infinite] = [sum(({ drawn }) => drawn.nan), sum(({ drawn }) => drawn.infinite)]
  const isRaw = lines.every(({ drawn }) => drawn.isRaw)
  return [
    { step: 'by step', time: 'by local time', relative: 'since the first point' }[axis],
    counted(points, 'point') + (isRaw ? '' : ', extremes kept'),
    ...(smoothing > 0 ? [`smoothed ${smoothing}${isRaw ? '' : ' over means'}, raw behind`] : []),
    ...(nan > 0 ? [`× ${count(nan)} NaN`] : []),
    ...(infinite > 0 ? [`▲ ${count(infinite)} infinite`] : []),
    ...(notPositive > 0 ? [`${count(notPositive)} not above 0 left out`] : []),
  ]
}

const lastOf = ({ summary }: PanelLine): string => shortValue(Number(summary.last.value))

function text(pen: Pen, words: string, { x, y, size }: { x: number; y: number; size: number }): void {
  pen.textBaseline = 'alphabetic'
  pen.font = `${size}px 'DejaVu Sans', system-ui, sans-serif`
  pen.fillText(words, x, y)
}

function cut(words: string, width: number, size: number): string {
  if (textWidth(words, size) <= width) return words
  let end = words.length
  while (end > 0 && textWidth(`${words.slice(0, end)}…`, size) > width) end -= 1
  return end === 0 ? '' : `${words.slice(0, end).toWellFormed()}…`
}
