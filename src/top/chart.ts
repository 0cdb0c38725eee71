import { endsOf } from '../chart/ends.ts'
import { count, relativeLabel, shortValue, tickLabel, timeLabel } from '../chart/format.ts'
import { buildScene, type DrawnLine, type Scene } from '../chart/scene.ts'
import { linearTicks, logTicks, timeTicks } from '../chart/ticks.ts'
import type { SeriesSummary } from '../web/api.ts'
import { Dots } from './dots.ts'
import type { Box, Frame } from './frame.ts'
import type { TopState } from './state.ts'
import { fit, widthOf } from './text.ts'
import type { Style } from './theme.ts'

/** One series as it is drawn. */
export interface ChartItem {
  summary: SeriesSummary
  line: DrawnLine
  /** Zero of the relative axis, UTC ms. */
  origin: number
  /** What stands in the title: the label, with its category where others have the same. */
  title: string
}

export type ChartOptions = Pick<TopState, 'smoothing' | 'isLog' | 'axis'>

/** Ranks of dots, the strongest last, and how cells look that have one. */
const RAW = 1
const LINE = 2
const WARN = 3
const BAD = 4
const STYLES: readonly Style[] = ['plain', 'raw', 'line', 'warn', 'bad']

type Severity = 'good' | 'warn' | 'bad'

/** How bad a value is, as the registry's thresholds have it. */
export function severityOf(value: number, thresholds: SeriesSummary['thresholds']): Severity {
  if (Number.isNaN(value)) return 'bad'
  if (thresholds === null) return 'good'
  const { warn, bad, below = false } = thresholds
  const reaches = (edge: number): boolean => (below ? value <= edge : value >= edge)
  return reaches(bad) ? 'bad' : reaches(warn) ? 'warn' : 'good'
}

/** Draws a chart with its title and axes into a box. */
export function drawChart(
  frame: Frame,
  box: Box,
  item: ChartItem,
  options: ChartOptions & { isChosen: boolean },
): void {
  const scene = sceneOf(item, options)
  drawTitle(frame, box, item, { isChosen: options.isChosen, hidden: scene.notPositive })
  const rows = box.height - 2
  if (rows < 1 || box.width < 12) return
  const ys = ticksDown(scene, rows)
  const gutter = Math.max(3, ...ys.map(({ label }) => label.length)) + 1
  const plot = { x: box.x + gutter + 1, y: box.y + 1, width: box.width - gutter - 1, height: rows }
  if (plot.width < 4) return
  const scale = scaleOf(scene, plot)
  for (let row = 0; row < rows; row += 1) frame.put(plot.x - 1, plot.y + row, '│', 'muted')
  for (const { at, label } of ys) {
    const row = plot.y + (scale.y(at) >> 2)
    frame.put(plot.x - 1 - label.length - 1, row, label, 'muted')
    frame.put(plot.x - 1, row, '┤', 'muted')
  }
  drawLine(frame, plot, scene, { scale, thresholds: item.summary.thresholds })
  drawOdd(frame, plot, scene, scale)
  drawAcross(frame, plot, scene, scale)
  if (scene.isEmpty) {
    const why = options.isLog ? 'nothing above 0' : 'no finite value'
    frame.put(plot.x + ((plot.width - why.length) >> 1), plot.y + (rows >> 1), why, 'muted')
  }
}

/** Label on the left, last value and what is odd (or `hidden` by a logarithmic axis) on the right, a rule between them. */
function drawTitle(
  frame: Frame,
  box: Box,
  { summary, title }: ChartItem,
  { isChosen, hidden }: { isChosen: boolean; hidden: number },
): void {
  const last = Number(summary.last.value)
  const severity = severityOf(last, summary.thresholds)
  const mark = { good: '', warn: ' !', bad: ' !!' }[severity]
  const odd = [
    ...(summary.nan > 0 ? [`×${count(summary.nan)} NaN`] : []),
    ...(hidden > 0 ? [`≤0:${count(hidden)}`] : []),
    ...(summary.infinite > 0 ? [`▲${count(summary.infinite)}`] : []),
  ].join(' ')
  const unit = summary.unit === null ? '' : ` ${summary.unit}`
  const value = `${shortValue(last)}${unit}${mark}`
  const right = box.x + box.width
  const room = box.width - widthOf(value) - (odd === '' ? 0 : widthOf(odd) + 1) - 2
  frame.tile({ ...box, height: 1 }, '─', 'muted')
  const label = fit(title, Math.max(4, room))
  frame.put(box.x, box.y, isChosen ? `▸${label} ` : `${label} `, isChosen ? 'selected' : 'strong', right)
  const at = right - widthOf(value) - 1
  frame.put(at, box.y, ` ${value}`, severity === 'good' ? 'strong' : severity, right)
  if (odd !== '') frame.put(at - widthOf(odd) - 1, box.y, ` ${odd}`, 'bad', at)
}

function sceneOf({ summary, line, origin, title }: ChartItem, { smoothing, isLog, axis }: ChartOptions): Scene {
  const look = { color: '', dash: [], title, start: origin }
  const scene = buildScene([line], {
    axis,
    zoom: null,
    smoothing,
    log: isLog,
    clip: false,
    looks: new Map([[line.run, look]]),
    marks: [],
    thresholds: null,
  })
  const ends = endsOf(summary, axis, origin)
  const [min, max] = [Math.min(scene.x.min, ...ends), Math.max(scene.x.max, ...ends)]
  return { ...scene, x: max > min ? { min, max } : { min: min - 0.5, max: max + 0.5 } }
}

interface Scale {
  /** Places on the axes as dots of the plot. */
  x: (value: number) => number
  y: (value: number) => number
  /** The value in the middle of a row of dots. */
  valueAt: (y: number) => number
}

function scaleOf({ x, y, log }: Scene, { width, height }: Box): Scale {
  const [to, from]: [(v: number) => number, (v: number) => number] = log
    ? [Math.log10, (v) => 10 ** v]
    : [(v) => v, (v) => v]
  const [low, high] = [to(y.min), to(y.max)]
  const [wide, high4] = [width * 2 - 1, height * 4 - 1]
  // Halves first: from -1e308 to 1e308 is no double.
  const part = (v: number, least: number, most: number): number => (v / 2 - least / 2) / (most / 2 - least / 2)
  const within = (dot: number, most: number): number => Math.max(0, Math.min(most, Math.round(dot)))
  return {
    x: (value) => within(part(value, x.min, x.max) * wide, wide),
    y: (value) => within((1 - part(to(value), low, high)) * high4, high4),
    valueAt: (dot) => {
      const share = 1 - dot / high4
      return from(low * (1 - share) + high * share)
    },
  }
}

interface Tick {
  at: number
  label: string
}

function ticksDown(scene: Scene, rows: number): Tick[] {
  const most = Math.max(3, Math.floor(rows / 2))
  const places = (scene.log ? logTicks : linearTicks)(scene.y, most).filter(
    (at) => at >= scene.y.min && at <= scene.y.max,
  )
  const gap = Math.abs((places[1] ?? 0) - (places[0] ?? 0)) || Math.abs(places[0] ?? 1)
  return places.map((at) => ({ at, label: tickLabel(at, scene.log ? at : gap) }))
}

function ticksAcross({ axis, x }: Scene, width: number): Tick[] {
  const most = Math.max(3, Math.floor(width / 9))
  const offset = axis === 'time' ? -new Date(x.min).getTimezoneOffset() * 60_000 : 0
  const places =
    axis === 'step' ? linearTicks(x, most).filter((at) => Number.isInteger(at)) : timeTicks(x, most, offset)
  const gap = (places[1] ?? 1) - (places[0] ?? 0)
  const labelOf = { step: tickLabel, time: timeLabel, relative: relativeLabel }[axis]
  return places.map((at) => ({ at, label: labelOf(at, gap) }))
}

/** Labels below the plot, as many as stand apart. */
function drawAcross(frame: Frame, plot: Box, scene: Scene, scale: Scale): void {
  const y = plot.y + plot.height
  let free = plot.x - 1
  for (const { at, label } of ticksAcross(scene, plot.width)) {
    const middle = plot.x + (scale.x(at) >> 1)
    const left = Math.max(plot.x - 1, Math.min(middle - (label.length >> 1), plot.x + plot.width - label.length))
    if (left < free) continue
    free = frame.put(left, y, label, 'muted') + 1
  }
}

interface LineLook {
  scale: Scale
  thresholds: SeriesSummary['thresholds']
}

function drawLine(frame: Frame, plot: Box, scene: Scene, { scale, thresholds }: LineLook): void {
  const [line] = scene.lines
  if (line === undefined) return
  const dots = new Dots(plot.width, plot.height)
  const ranks = { good: LINE, warn: WARN, bad: BAD }
  const rankOf = (y: number): number => ranks[severityOf(scale.valueAt(y), thresholds)]
  if (line.smoothed !== null) stroke(dots, line.xs, line.ys, { scale, rankOf: () => RAW })
  stroke(dots, line.xs, line.smoothed ?? line.ys, { scale, rankOf })
  for (let row = 0; row < plot.height; row += 1) {
    for (let column = 0; column < plot.width; column += 1) {
      const cell = dots.cell(column, row)
      if (cell !== null) frame.put(plot.x + column, plot.y + row, cell.text, STYLES[cell.rank])
    }
  }
}

function stroke(
  dots: Dots,
  xs: readonly number[],
  ys: readonly number[],
  { scale, rankOf }: { scale: Scale; rankOf: (y: number) => number },
): void {
  let before: readonly [number, number] | null = null
  for (const [i, value] of ys.entries()) {
    if (!Number.isFinite(value)) {
      before = null
      continue
    }
    const here = [scale.x(xs[i]!), scale.y(value)] as const
    dots.line(before ?? here, here, rankOf)
    before = here
  }
}

/** What is no number: at the foot, infinity at the head. */
function drawOdd(frame: Frame, plot: Box, scene: Scene, scale: Scale): void {
  for (const { x, value } of scene.lines[0]?.odd ?? []) {
    const row = value === Infinity ? plot.y : plot.y + plot.height - 1
    const mark = Number.isNaN(value) ? '×' : value > 0 ? '▲' : '▼'
    frame.put(plot.x + (scale.x(x) >> 1), row, mark, 'bad')
  }
}
