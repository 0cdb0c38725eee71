import { linesOf, redraw } from '../state/charts.ts'
import { looks, seriesOf, shown } from '../state/runs.ts'
import { theme } from '../state/theme.ts'
import { view } from '../state/view.ts'
import { count, counted } from '../../chart/format.ts'
import { FONT_SIZE, frameOf, paint, scalesOf, ticksOf, type Frame, type Ticks } from '../../chart/paint.ts'
import { buildScene, type Scene } from '../../chart/scene.ts'
import { marksOf } from './marks.ts'
import { nearest } from './nearest.ts'

/** What a card says beside its picture. */
export interface PlotNote {
  notes: readonly string[]
  error: string | null
  isEmpty: boolean
  isLoading: boolean
}

let measure: CanvasRenderingContext2D | null = null
const widths = new Map<string, number>()
function textWidth(text: string): number {
  const font = `${FONT_SIZE}px ${theme.peek().font}`
  const known = widths.get(font + text)
  if (known !== undefined) return known
  measure ??= document.createElement('canvas').getContext('2d')!
  measure.font = font
  const { width } = measure.measureText(text)
  if (widths.size > 5000) widths.clear()
  widths.set(font + text, width)
  return width
}

/** Puts a canvas to a size in CSS pixels, as sharp as the screen, and gives it back empty. */
export function cleared(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = Math.min(3, devicePixelRatio)
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)]
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h]
  const pen = canvas.getContext('2d')!
  pen.setTransform(ratio, 0, 0, ratio, 0, 0)
  pen.clearRect(0, 0, width, height)
  return pen
}

/** One chart on the page: a canvas for the lines, and one over it for the cursor. */
export class Plot {
  readonly key: string
  readonly #canvas: HTMLCanvasElement
  readonly #overlay: HTMLCanvasElement
  readonly #noted: (note: PlotNote) => void
  /** Only what is seen asks for data and draws. */
  isSeen = false
  scene: Scene | null = null
  ticks: Ticks | null = null
  frame: Frame | null = null
  width = 0
  height = 0
  /** Range that is being dragged, in units of the x axis. */
  drag: readonly [number, number] | null = null

  constructor(key: string, canvas: HTMLCanvasElement, overlay: HTMLCanvasElement, noted: (note: PlotNote) => void) {
    this.key = key
    this.#canvas = canvas
    this.#overlay = overlay
    this.#noted = noted
  }

  /** The chart has come into view, or has left it. */
  see(isSeen: boolean): void {
    this.isSeen = isSeen
    if (isSeen) redraw(this)
  }

  resize(width: number, height: number): void {
    if (width === this.width && height === this.height) return
    this.width = width
    this.height = height
    redraw(this)
  }

  /** Asks for what is missing, and draws what is there. */
  draw(): void {
    if (!this.isSeen || this.width === 0 || document.hidden) return
    const { axis, zoom, smoothing, log, clip, marks, mark } = view.peek()
    const runs = shown.peek().map(({ run }) => run)
    const lines = linesOf(this.key)
    lines.want({ runs: runs.filter((run) => seriesOf.get(run)?.has(this.key)), axis, zoom, width: this.width - 50 })
    const first = runs.map((run) => seriesOf.get(run)?.get(this.key)).find((series) => series !== undefined)
    const drawn = runs.flatMap((run) => lines.lines.get(run) ?? [])
    this.scene = buildScene(drawn, {
      axis,
      zoom: zoom === null ? null : { min: zoom[0], max: zoom[1] },
      smoothing,
      log,
      clip,
      looks: looks.peek(),
      marks: marksOf(drawn, axis, marks, mark),
      thresholds: first?.thresholds ?? null,
    })
    this.ticks = ticksOf(this.scene, this.width, this.height)
    this.frame = frameOf(this.ticks, this.width, this.height, textWidth)
    const pen = cleared(this.#canvas, this.width, this.height)
    paint(pen, this.scene, this.ticks, this.frame, theme.peek())
    this.#noted({
      notes: this.#notes(drawn, smoothing > 0),
      error: lines.error,
      isEmpty: this.scene.isEmpty,
      isLoading: lines.isLoading && drawn.length === 0,
    })
  }

  #notes(lines: readonly { isRaw: boolean; points: number }[], isSmoothed: boolean): string[] {
    const sum = (of: (line: (typeof lines)[number]) => number): number => lines.reduce((n, line) => n + of(line), 0)
    const notes: string[] = []
    if (lines.some(({ isRaw }) => !isRaw))
      notes.push(
        `${counted(
          sum(({ points }) => points),
          'point',
        )}, extremes kept${isSmoothed ? ', means smoothed' : ''}`,
      )
    const scene = this.scene!
    // Of a line of extremes not every point is here to be counted.
    const least = notes.length > 0 ? 'at least ' : ''
    if (scene.nan > 0) notes.push(`${count(scene.nan)} NaN`)
    if (scene.infinite > 0) notes.push(`${count(scene.infinite)} infinite`)
    if (scene.notPositive > 0) notes.push(`log cannot show ${least}${counted(scene.notPositive, 'point')} ≤ 0`)
    if (scene.clipped > 0) notes.push(`${least}${counted(scene.clipped, 'outlier')} hidden`)
    return notes
  }

  /** Where the picture stands in the window. */
  box(): DOMRect {
    return this.#canvas.getBoundingClientRect()
  }

  /** Place on the x axis under a pixel of the picture. */
  placeAt(left: number): number | null {
    if (this.scene === null || this.frame === null) return null
    const share = (left - this.frame.left) / this.frame.width
    if (share < -0.05 || share > 1.05) return null
    const { min, max } = this.scene.x
    return min + Math.min(1, Math.max(0, share)) * (max - min)
  }

  /** Draws the cursor at a place on the x axis, and the range that is dragged. */
  drawCursor(place: number | null): void {
    if (this.width === 0) return
    const { drag } = this
    const pen = cleared(this.#overlay, this.width, this.height)
    const { scene, frame } = this
    if (scene === null || frame === null || (place === null && drag === null)) return
    const { text, surface } = theme.peek()
    const scales = scalesOf(scene, frame)
    if (drag !== null) {
      const [from, to] = [scales.x(Math.min(...drag)), scales.x(Math.max(...drag))]
      pen.globalAlpha = 0.14
      pen.fillStyle = text
      pen.fillRect(from, frame.top, to - from, frame.height)
      pen.globalAlpha = 1
    }
    if (place === null || place < scene.x.min || place > scene.x.max) return
    pen.strokeStyle = text
    pen.globalAlpha = 0.45
    pen.beginPath()
    pen.moveTo(scales.x(place), frame.top)
    pen.lineTo(scales.x(place), frame.top + frame.height)
    pen.stroke()
    pen.globalAlpha = 1
    for (const { look, x, shown } of this.at(place)) {
      if (!Number.isFinite(shown)) continue
      pen.beginPath()
      pen.arc(scales.x(x), scales.y(shown), 3.5, 0, 2 * Math.PI)
      pen.fillStyle = look.color
      pen.fill()
      pen.strokeStyle = surface
      pen.lineWidth = 1.5
      pen.stroke()
    }
  }

  /** The point of each line that is nearest to a place, if the line reaches that far. */
  at(place: number): { run: string; look: Scene['lines'][number]['look']; x: number; value: number; shown: number }[] {
    return (this.scene?.lines ?? []).flatMap((line) => {
      const i = nearest(line.xs, place)
      const last = line.xs.at(-1)
      if (i < 0 || last === undefined) return []
      const reach = (this.scene!.x.max - this.scene!.x.min) * 0.02
      if (place > last + reach || place < line.xs[0]! - reach) return []
      return [
        { run: line.run, look: line.look, x: line.xs[i]!, value: line.ys[i]!, shown: (line.smoothed ?? line.ys)[i]! },
      ]
    })
  }
}
