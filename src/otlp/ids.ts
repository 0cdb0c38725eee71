import type { WireReader } from './wire.ts'

export const TRACE_ID_BYTES = 16
export const SPAN_ID_BYTES = 8

/**
 * Reads ids of one kind as lower-case hex; '' when empty or all zero. Remembers the last one: the spans of a trace mostly
 * come together, as do children of one parent, and to write the three ids of a span as hex takes a fifth of all its time.
 */
export class Ids {
  readonly #longest: number
  readonly #last: Uint8Array
  #lastText = ''

  /** None is longer than `longest` bytes: ids are kept for long. */
  constructor(longest: number) {
    this.#longest = longest
    this.#last = new Uint8Array(longest)
  }

  read(r: WireReader): string {
    const length = r.length()
    if (length > this.#longest) r.fail(`an id of at most ${this.#longest} bytes`, length)
    const from = r.pos
    r.pos += length
    if (length < this.#longest) return isZero(r.bytes, from, r.pos) ? '' : r.bytes.toString('hex', from, r.pos)
    for (let i = 0; i < length; i += 1) if (this.#last[i] !== r.bytes[from + i]) return this.#remember(r.bytes, from)
    return this.#lastText
  }

  #remember(bytes: Buffer, from: number): string {
    const to = from + this.#longest
    for (let i = from; i < to; i += 1) this.#last[i - from] = bytes[i]!
    this.#lastText = isZero(bytes, from, to) ? '' : bytes.toString('hex', from, to)
    return this.#lastText
  }
}

function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i += 1) if (bytes[i] !== 0) return false
  return true
}
