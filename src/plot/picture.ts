import { THEMES, type Mode } from '../chart/palette.ts'
import { SvgPen } from '../chart/pen.ts'
import { drawPanel, type Panel } from './panel.ts'
import type { ReadOptions } from './read.ts'

/** Area that is laid out at its own size, in pixels; what is larger is drawn larger, so that its text can be read. */
const NATURAL = 800 * 400

export interface PictureOptions extends ReadOptions {
  /** Of the whole picture, in pixels. */
  height: number
  mode: Mode
}

/** Panels below each other as SVG. */
export function svgOf(panels: readonly Panel[], options: PictureOptions): string {
  const { width, height, mode } = options
  const zoom = Math.max(1, Math.sqrt((width * height) / panels.length / NATURAL))
  const [wide, high] = [width / zoom, height / zoom]
  const pen = new SvgPen()
  pen.fillStyle = THEMES[mode].surface
  pen.fillRect(0, 0, wide, high)
  const each = high / Math.max(1, panels.length)
  for (const [i, panel] of panels.entries())
    drawPanel(pen, panel, { top: i * each, width: wide, height: each }, options, THEMES[mode])
  return pen.toString(width, height, zoom)
}
