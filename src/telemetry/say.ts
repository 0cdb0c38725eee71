import type { Output } from './output.ts'

/** A line of ours waits this long for the trainer to end its own on the same output. */
const PATIENCE_MS = 2000

/**
 * Control characters (C0, DEL, C1: a terminal may take U+009B for `ESC [`), and what turns the direction of text or
 * breaks a line, so that something else is read than what stands there.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

const hex = (character: string, digits: number): string => character.charCodeAt(0).toString(16).padStart(digits, '0')

/** Foreign text as one line that harms no terminal: control characters are written `\x1b`, others `\u202e`. */
export const escapeControl = (text: string): string =>
  text.replace(CONTROL, (character) => (character > '\xff' ? `\\u${hex(character, 4)}` : `\\x${hex(character, 2)}`))

/** JSON for people and programs: what harms a terminal is written as JSON escapes, which every parser reads. */
export const safeJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(CONTROL, (character) =>
    character === '\n' ? character : `\\u${hex(character, 4)}`,
  )

/**
 * Lines of ours on standard error, each with `spanbridge: ` before it and foreign control characters escaped. Where the
 * trainer writes to the same output, they stand between its lines and not inside them.
 */
export class Voice {
  readonly #output: Output
  #held: string[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(output: Output) {
    this.#output = output
    output.onWrite = () => this.#release()
  }

  say(text: string): void {
    this.#held.push(escapeControl(text))
    if (this.#output.atLineStart) this.#release()
    else this.#timer ??= setTimeout(() => this.flush(), PATIENCE_MS)
  }

  #release(): void {
    if (this.#held.length > 0 && this.#output.atLineStart) this.#write('')
  }

  /** Writes what is held, on a line of its own. */
  flush(): void {
    if (this.#held.length > 0) this.#write(this.#output.atLineStart ? '' : '\n')
  }

  #write(before: string): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const lines = this.#held.map((line) => `spanbridge: ${line}\n`).join('')
    this.#held = []
    this.#output.write(Buffer.from(before + lines))
  }
}
