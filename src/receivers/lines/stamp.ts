import { TimeReader } from '../../layer/time.ts'

/** `2026-11-22T05:07:39.`: where the digits behind the second begin, and how many of them count. */
const FRACTION = 20
const COUNTED = 3

/** Longest text that is a date. */
const MAX_BYTES = 64

/**
 * Times as bytes: one of the same second as the one before is compared with it and not made a text of, which takes a third
 * of the time.
 */
export class StampReader {
  readonly #reader = new TimeReader()
  readonly #last = Buffer.alloc(MAX_BYTES)
  /** How long the last stamp was, or 0 when there is none to compare with. */
  #length = 0
  /** Where its fraction ends. */
  #fractionEnd = 0
  /** Its time without the fraction. */
  #secondMs = 0

  /** What `TimeReader` reads in the text from `from` to `to`. */
  read(bytes: DataView, from: number, to: number): number | null {
    const length = to - from
    if (length > MAX_BYTES) return null
    // An empty text is as long as no stamp.
    if (length > 0 && length === this.#length && this.#isSameSecond(bytes, from, to))
      return this.#secondMs + fractionOf(bytes, from)
    const ms = this.#reader.read(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1'))
    if (ms !== null) this.#remember(bytes, from, to, ms)
    return ms
  }

  #isSameSecond(bytes: DataView, from: number, to: number): boolean {
    const last = this.#last
    for (let i = from, at = 0; i < to; i += 1, at += 1) {
      const byte = bytes.getUint8(i)
      if (at < FRACTION || at >= this.#fractionEnd) {
        if (byte !== last[at]) return false
      } else if (!isDigit(byte)) return false
    }
    return true
  }

  #remember(bytes: DataView, from: number, to: number, ms: number): void {
    if (to - from <= FRACTION) {
      this.#length = 0
      return
    }
    let end = from + FRACTION
    while (end < to && isDigit(bytes.getUint8(end))) end += 1
    // A number of seconds has its point elsewhere: only a date has this dash.
    const mark = bytes.getUint8(from + FRACTION - 1)
    const isDate = bytes.getUint8(from + 4) === 45 && (mark === 46 || mark === 44)
    this.#length = isDate && end - from >= FRACTION + COUNTED ? to - from : 0
    this.#fractionEnd = end - from
    if (this.#length === 0) return
    this.#secondMs = ms - fractionOf(bytes, from)
    for (let i = from; i < to; i += 1) this.#last[i - from] = bytes.getUint8(i)
  }
}

const isDigit = (byte: number): boolean => byte >= 48 && byte <= 57

/** The first three digits behind the second; later ones are cut. */
function fractionOf(bytes: DataView, from: number): number {
  const at = from + FRACTION
  return bytes.getUint8(at) * 100 + bytes.getUint8(at + 1) * 10 + bytes.getUint8(at + 2) - 48 * 111
}
