import { linearTicks, logTicks, timeTicks } from './ticks.ts'
import { relativeLabel, tickLabel, timeLabel } from './format.ts'
import type { Pen } from './pen.ts'
import type { Scene, SceneLine } from './scene.ts'

/** Colours of a chart, in the mode of the page. */
export interface Theme {
  text: string
  muted: string
  grid: string
  surface: string
  warn: string
  bad: string
  font: string
}

/** The rectangle of the plot in its picture, CSS pixels. */
export interface Frame {
  left: number
  top: number
  width: number
  height: number
}

export const FONT_SIZE = 11
const BOTTOM = 17
const TOP = 6
const RIGHT = 12
/** Up to so many points each is marked by a dot. */
const DOTTED = 40

const DENSE = 200

export interface Ticks {
  x: { at: number; label: string }[]
  y: { at: number; label: string }[]
}

/** Round places on both axes, as many as fit. */
export function ticksOf(scene: Scene, width: number, height: number): Ticks {
  const down = Math.min(6, Math.max(2, Math.floor(height / 34)))
  const across = Math.min(10, Math.max(2, Math.floor(width / 72)))
  const ys = scene.log ? logTicks(scene.y, down) : linearTicks(scene.y, down)
  const gapY = Math.abs((ys[1] ?? 0) - (ys[0] ?? 0)) || Math.abs(ys[0] ?? 1)
  const offset = -new Date(scene.x.min).getTimezoneOffset() * 60_000
  const xs =
    scene.axis === 'step'
      ? linearTicks(scene.x, across).filter((tick) => Number.isInteger(tick))
      : timeTicks(scene.x, across, scene.axis === 'time' ? offset : 0)
  const gapX = (xs[1] ?? 1) - (xs[0] ?? 0)
  const label = scene.axis === 'step' ? tickLabel : scene.axis === 'time' ? timeLabel : relativeLabel
  return {
    x: xs.map((at) => ({ at, label: label(at, gapX) })),
    y: ys.map((at) => ({ at, label: tickLabel(at, scene.log ? Math.min(at, gapY) : gapY) })),
  }
}

/** Where the plot lies; its left edge leaves room for the widest label. */
export function frameOf(ticks: Ticks, width: number, height: number, textWidth: (text: string) => number): Frame {
  const left = Math.ceil(Math.max(18, ...ticks.y.map(({ label }) => textWidth(label)))) + 10
  return { left, top: TOP, width: Math.max(10, width - left - RIGHT), height: Math.max(10, height - TOP - BOTTOM) }
}

/** Turns places on the axes into pixels. */
export function scalesOf(scene: Scene, frame: Frame): { x: (value: number) => number; y: (value: number) => number } {
  const { min: x0, max: x1 } = scene.x
  const at = scene.log ? Math.log10 : (value: number) => value
  const y0 = at(scene.y.min)
  const y1 = at(scene.y.max)
  return {
    x: (value) => frame.left + ((value - x0) / (x1 - x0)) * frame.width,
    // Halves first: from -1e308 to 1e308 is no double.
    y: (value) => frame.top + frame.height - ((at(value) / 2 - y0 / 2) / (y1 / 2 - y0 / 2)) * frame.height,
  }
}

type Scales = ReturnType<typeof scalesOf>

function paintGrid(pen: Pen, ticks: Ticks, frame: Frame, { x, y }: Scales, theme: Theme): void {
  pen.font = `${FONT_SIZE}px ${theme.font}`
  pen.lineWidth = 1
  pen.strokeStyle = theme.grid
  pen.fillStyle = theme.muted
  pen.textBaseline = 'middle'
  pen.textAlign = 'right'
  pen.beginPath()
  for (const { at, label } of ticks.y) {
    const top = Math.round(y(at)) + 0.5
    pen.moveTo(frame.left, top)
    pen.lineTo(frame.left + frame.width, top)
    pen.fillText(label, frame.left - 6, top)
  }
  pen.stroke()
  pen.textAlign = 'center'
  const bottom = frame.top + frame.height
  for (const { at, label } of ticks.x) {
    const left = x(at)
    // A label at the edge is turned inwards and not cut.
    pen.textAlign = left > frame.left + frame.width - 14 ? 'right' : 'center'
    pen.fillText(label, pen.textAlign === 'right' ? frame.left + frame.width + RIGHT - 5 : left, bottom + 10)
  }
}

/** Faint bands where a value deserves a look, and where it is bad. */
function paintThresholds(pen: Pen, scene: Scene, frame: Frame, { y }: Scales, theme: Theme): void {
  const { thresholds } = scene
  if (thresholds === null) return
  const { warn, bad, below = false } = thresholds
  const edge = (value: number): number =>
    scene.log && value <= 0
      ? frame.top + frame.height
      : Math.min(frame.top + frame.height, Math.max(frame.top, y(value)))
  const end = below ? frame.top + frame.height : frame.top
  const band = (from: number, to: number, color: string): void => {
    pen.fillStyle = color
    pen.globalAlpha = 0.075
    pen.fillRect(frame.left, Math.min(from, to), frame.width, Math.abs(to - from))
  }
  band(edge(warn), edge(bad), theme.warn)
  band(edge(bad), end, theme.bad)
  pen.globalAlpha = 1
}

/** Half the width of a point that has no neighbours, so that it is seen. */
const ALONE = 1.6

/** One polyline with gaps where a value is none; a point between two gaps is a dot. */
function strokeLine(pen: Pen, xs: readonly number[], ys: readonly number[], { x, y }: Scales): void {
  pen.beginPath()
  let isDown = false
  for (let i = 0; i < xs.length; i++) {
    const value = ys[i]!
    if (!Number.isFinite(value)) {
      isDown = false
      continue
    }
    if (isDown) pen.lineTo(x(xs[i]!), y(value))
    else if (Number.isFinite(ys[i + 1] ?? Number.NaN)) pen.moveTo(x(xs[i]!), y(value))
    else {
      pen.moveTo(x(xs[i]!) - ALONE, y(value))
      pen.lineTo(x(xs[i]!) + ALONE, y(value))
    }
    isDown = true
  }
  pen.stroke()
}

function paintDots(pen: Pen, { xs, ys, look }: SceneLine, { x, y }: Scales): void {
  pen.fillStyle = look.color
  pen.beginPath()
  for (let i = 0; i < xs.length; i++) {
    if (!Number.isFinite(ys[i]!)) continue
    pen.moveTo(x(xs[i]!) + 2.2, y(ys[i]!))
    pen.arc(x(xs[i]!), y(ys[i]!), 2.2, 0, 2 * Math.PI)
  }
  pen.fill()
}

function paintLine(pen: Pen, line: SceneLine, scales: Scales): void {
  pen.strokeStyle = line.look.color
  // Round joins take half as long again to draw, and cannot be seen where points are dense.
  pen.lineJoin = line.xs.length > DENSE ? 'bevel' : 'round'
  pen.setLineDash(line.look.dash)
  if (line.smoothed !== null) {
    pen.globalAlpha = 0.28
    pen.lineWidth = 1
    pen.setLineDash([])
    strokeLine(pen, line.xs, line.ys, scales)
    pen.globalAlpha = 1
    pen.setLineDash(line.look.dash)
  }
  pen.lineWidth = line.smoothed === null ? 1.6 : 2
  if (line.smoothed === null) strokeLine(pen, line.xs, line.ys, scales)
  else strokeLine(pen, line.xs, line.smoothed, scales)
  pen.setLineDash([])
  if (line.xs.length <= DOTTED && line.smoothed === null) paintDots(pen, line, scales)
}

/** Crosses for NaN at the foot, triangles for infinity at the head or foot. */
function paintOdd(pen: Pen, line: SceneLine, frame: Frame, { x }: Scales, theme: Theme): void {
  const foot = frame.top + frame.height - 6
  for (const { x: at, value } of line.odd) {
    const left = x(at)
    if (left < frame.left - 1 || left > frame.left + frame.width + 1) continue
    pen.strokeStyle = theme.bad
    pen.fillStyle = theme.bad
    pen.lineWidth = 1.8
    pen.beginPath()
    if (Number.isNaN(value)) {
      pen.moveTo(left - 3.5, foot - 3.5)
      pen.lineTo(left + 3.5, foot + 3.5)
      pen.moveTo(left - 3.5, foot + 3.5)
      pen.lineTo(left + 3.5, foot - 3.5)
      pen.stroke()
      continue
    }
    const [base, tip] = value > 0 ? [frame.top + 9, frame.top + 1] : [foot - 3, foot + 5]
    pen.moveTo(left - 4.5, base)
    pen.lineTo(left + 4.5, base)
    pen.lineTo(left, tip)
    pen.closePath()
    pen.fill()
  }
}

function paintMarks(pen: Pen, scene: Scene, frame: Frame, { x }: Scales, theme: Theme): void {
  const bottom = frame.top + frame.height
  for (const { at, kind } of scene.marks) {
    const left = Math.round(x(at)) + 0.5
    if (left < frame.left || left > frame.left + frame.width) continue
    pen.strokeStyle = kind === 'place' ? theme.text : kind === 'ERROR' ? theme.bad : theme.warn
    pen.lineWidth = kind === 'place' ? 1 : 2
    pen.setLineDash(kind === 'place' ? [4, 3] : [])
    pen.beginPath()
    pen.moveTo(left, kind === 'place' ? frame.top : bottom - (kind === 'ERROR' ? 9 : 6))
    pen.lineTo(left, bottom)
    pen.stroke()
  }
  pen.setLineDash([])
}

/** Draws a scene; the background is left as it is. */
export function paint(pen: Pen, scene: Scene, ticks: Ticks, frame: Frame, theme: Theme): void {
  const scales = scalesOf(scene, frame)
  paintGrid(pen, ticks, frame, scales, theme)
  pen.save()
  pen.beginPath()
  pen.rect(frame.left, frame.top - 2, frame.width + 2, frame.height + 3)
  pen.clip()
  paintThresholds(pen, scene, frame, scales, theme)
  paintMarks(pen, scene, frame, scales, theme)
  for (const line of scene.lines.toReversed()) paintLine(pen, line, scales)
  for (const line of scene.lines) paintOdd(pen, line, frame, scales, theme)
  pen.restore()
}
