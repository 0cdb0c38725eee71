import { escapeControl } from '../telemetry/say.ts'

/** What a terminal shows in two columns. */
const WIDE =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u

/** What has no column of its own, where nothing before it carries it. */
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]+$/u

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** ASCII and what terminals agree on needs no look. */
const PLAIN = /^[\x20-\x7e]*$/

export interface Glyph {
  text: string
  /** Columns: 1 or 2. */
  width: number
}

/** Foreign text as what stands in the cells of a terminal, control characters escaped. */
export function glyphsOf(text: string): Glyph[] {
  if (PLAIN.test(text)) return Array.from(text, (letter) => ({ text: letter, width: 1 }))
  return Array.from(graphemes.segment(escapeControl(text).toWellFormed()), ({ segment }) => ({
    text: segment,
    width: WIDE.test(segment) ? 2 : 1,
  })).filter(({ text }) => !ZERO.test(text))
}

/** Columns that a text takes. */
export const widthOf = (text: string): number =>
  PLAIN.test(text) ? text.length : glyphsOf(text).reduce((sum, { width }) => sum + width, 0)

/** As much of a text as fits, with `…` where something is cut. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let left = width - 1
  let out = ''
  for (const glyph of glyphsOf(text)) {
    if (glyph.width > left) break
    out += glyph.text
    left -= glyph.width
  }
  return width <= 0 ? '' : `${out}…`
}
