import { glyphsOf } from './text.ts'
import { sequenceOf, type Depth, type Style } from './theme.ts'

export interface Box {
  x: number
  y: number
  width: number
  height: number
}

/** What a terminal is to show: a cell for each column and row. What lies outside is not drawn. */
export class Frame {
  readonly width: number
  readonly height: number
  /** An empty text is the right half of the wide character before it. */
  readonly #texts: string[]
  readonly #styles: Style[]

  constructor(width: number, height: number) {
    this.width = width
    this.height = height
    this.#texts = Array.from({ length: width * height }, () => ' ')
    this.#styles = Array.from({ length: width * height }, () => 'plain')
  }

  /** Writes text from a cell on, up to the column `end`. @returns the column behind it */
  put(x: number, y: number, text: string, style: Style = 'plain', end = this.width): number {
    let at = x
    for (const glyph of glyphsOf(text)) {
      if (at + glyph.width > Math.min(end, this.width)) break
      if (at >= 0) {
        this.#set(at, y, glyph.text, style)
        if (glyph.width === 2) this.#set(at + 1, y, '', style)
      } else if (at + glyph.width > 0) this.#set(0, y, ' ', style)
      at += glyph.width
    }
    return at
  }

  /** The same over and over. */
  tile({ x, y, width, height }: Box, text: string, style: Style): void {
    for (let row = y; row < y + height; row += 1) this.put(x, row, text.repeat(width), style, x + width)
  }

  /** A row as text. */
  row(y: number): string {
    return this.#texts.slice(y * this.width, (y + 1) * this.width).join('')
  }

  /** What turns a terminal that shows `before` into one that shows this. */
  changesFrom(before: Frame | null, depth: Depth): string {
    const isNew = before === null || before.width !== this.width || before.height !== this.height
    let out = isNew ? '\x1b[0m\x1b[2J' : ''
    let style: Style | null = null
    for (let y = 0; y < this.height; y += 1) {
      let behind = -1
      for (let x = 0; x < this.width; x += 1) {
        const at = y * this.width + x
        const text = this.#texts[at]!
        const isSame = isNew
          ? text === ' ' && this.#styles[at] === 'plain'
          : text === before.#texts[at] && this.#styles[at] === before.#styles[at]
        if (isSame || text === '') continue
        if (behind !== x) out += `\x1b[${y + 1};${x + 1}H`
        if (style !== this.#styles[at]) out += sequenceOf((style = this.#styles[at]!), depth)
        out += text
        // Terminals disagree on how wide some characters are: behind those that may be, the place is said again.
        behind = text.length === 1 && text < '\u2e80' ? x + 1 : -1
      }
    }
    return out === '' ? '' : `${out}\x1b[0m`
  }

  #set(x: number, y: number, text: string, style: Style): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return
    const at = y * this.width + x
    // Half of a wide character is none.
    if (text !== '' && this.#texts[at] === '' && x > 0) this.#texts[at - 1] = ' '
    if (x + 1 < this.width && this.#texts[at + 1] === '') this.#texts[at + 1] = ' '
    this.#texts[at] = text
    this.#styles[at] = style
  }
}
