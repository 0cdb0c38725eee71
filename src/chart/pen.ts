/**
 * The part of a canvas that charts are drawn with (a `CanvasRenderingContext2D` is one). An `SvgPen` takes the same strokes,
 * so that both pictures agree.
 */
export interface Pen {
  beginPath(): void
  moveTo(x: number, y: number): void
  lineTo(x: number, y: number): void
  stroke(): void
  fill(): void
  arc(x: number, y: number, radius: number, from: number, to: number): void
  closePath(): void
  fillRect(x: number, y: number, width: number, height: number): void
  fillText(text: string, x: number, y: number): void
  setLineDash(dash: readonly number[]): void
  save(): void
  restore(): void
  rect(x: number, y: number, width: number, height: number): void
  clip(): void
  /** Colours; a canvas knows gradients, too. */
  strokeStyle: unknown
  fillStyle: unknown
  lineWidth: number
  lineJoin: 'bevel' | 'miter' | 'round'
  globalAlpha: number
  font: string
  textAlign: 'center' | 'end' | 'left' | 'right' | 'start'
  textBaseline: 'alphabetic' | 'bottom' | 'hanging' | 'ideographic' | 'middle' | 'top'
}

/** What XML cannot hold, however it is written. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const NO_XML = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g

const escaped = (text: string): string =>
  text
    .toWellFormed()
    .replace(NO_XML, '\ufffd')
    .replace(/[&<>"]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[letter] ?? letter)
const short = (n: number): string => String(Math.round(n * 100) / 100)
const ANCHORS: Readonly<Record<string, string>> = {
  left: 'start',
  start: 'start',
  center: 'middle',
  right: 'end',
  end: 'end',
}
/** Share of the font's size from a text's middle or top down to its base line. */
const BASELINES: Readonly<Record<string, number>> = { middle: 0.35, top: 0.8 }

/** Writes what is drawn as SVG. */
export class SvgPen implements Pen {
  strokeStyle = '#000'
  fillStyle = '#000'
  lineWidth = 1
  lineJoin: Pen['lineJoin'] = 'round'
  globalAlpha = 1
  font = '10px sans-serif'
  textAlign: Pen['textAlign'] = 'start'
  textBaseline: Pen['textBaseline'] = 'alphabetic'
  #dash: readonly number[] = []
  #path = ''
  #rect: readonly number[] = []
  #clips = 0
  #groups: number[] = [0]
  #out: string[] = []

  beginPath(): void {
    this.#path = ''
  }
  moveTo(x: number, y: number): void {
    this.#path += `M${short(x)} ${short(y)}`
  }
  lineTo(x: number, y: number): void {
    this.#path += `L${short(x)} ${short(y)}`
  }
  /** Whole circles only. */
  arc(x: number, y: number, r: number): void {
    this.#path += `M${short(x - r)} ${short(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`
  }
  closePath(): void {
    this.#path += 'Z'
  }
  rect(...rect: [number, number, number, number]): void {
    this.#rect = rect
  }
  setLineDash(dash: readonly number[]): void {
    this.#dash = dash
  }
  stroke(): void {
    const dash = this.#dash.length > 0 ? ` stroke-dasharray="${this.#dash.join(' ')}"` : ''
    this.#out.push(
      `<path d="${this.#path}" fill="none" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth}" stroke-linejoin="round" opacity="${this.globalAlpha}"${dash}/>`,
    )
  }
  fill(): void {
    this.#out.push(`<path d="${this.#path}" fill="${this.fillStyle}" opacity="${this.globalAlpha}"/>`)
  }
  fillRect(x: number, y: number, width: number, height: number): void {
    this.#out.push(
      `<rect x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}" fill="${this.fillStyle}" opacity="${this.globalAlpha}"/>`,
    )
  }
  fillText(text: string, x: number, y: number): void {
    const [, weight = '', size = '10', family = 'sans-serif'] = /^(\d{3} )?([\d.]+)px (.*)$/.exec(this.font) ?? []
    const base = y + Number(size) * (BASELINES[this.textBaseline] ?? 0)
    this.#out.push(
      `<text x="${short(x)}" y="${short(base)}" font-size="${size}" font-family="${escaped(family)}" font-weight="${weight.trim() || '400'}" text-anchor="${ANCHORS[this.textAlign] ?? 'start'}" fill="${this.fillStyle}">${escaped(text)}</text>`,
    )
  }
  save(): void {
    this.#groups.push(0)
  }
  /** Cuts what follows to the last rectangle, until `restore`. */
  clip(): void {
    const [x = 0, y = 0, width = 0, height = 0] = this.#rect
    const id = `c${++this.#clips}`
    this.#out.push(
      `<clipPath id="${id}"><rect x="${x}" y="${y}" width="${width}" height="${height}"/></clipPath><g clip-path="url(#${id})">`,
    )
    this.#groups[this.#groups.length - 1]! += 1
  }
  restore(): void {
    this.#out.push('</g>'.repeat(this.#groups.pop() ?? 0))
  }

  /** The whole picture, what was drawn enlarged by `zoom`. */
  toString(width: number, height: number, zoom = 1): string {
    const box = `0 0 ${short(width / zoom)} ${short(height / zoom)}`
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${box}">${this.#out.join('')}</svg>\n`
  }
}
