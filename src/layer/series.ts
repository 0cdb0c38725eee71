import { MAX_KEY_BYTES, MAX_SERIES } from './rules.ts'

/** Why a number can have no series. Negative, so that a slot is either a series id or one of these. */
export const NOT_A_KEY = -1
export const KEY_TOO_LONG = -2
export const SERIES_CAP = -3
export const INVALID_KEY = -4

/** Bytes that were no UTF-8 became this character: a key with it is not what the trainer wrote. */
const REPLACEMENT = '\uFFFD'

/** The series of one run: metric keys interned to small integers from 0, in order of appearance. */
export class SeriesTable {
  readonly #ids = new Map<string, number>()
  readonly #announce: (id: number, key: string) => void

  /** `announce` is called once per series, before its first point. */
  constructor(announce: (id: number, key: string) => void) {
    this.#announce = announce
  }

  /** The id of `key`, or the reason why it has none: nothing is kept of a key that is refused. */
  intern(key: string): number {
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    // A character is at most three bytes of UTF-8 per UTF-16 unit.
    if (key.length > MAX_KEY_BYTES || (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES))
      return KEY_TOO_LONG
    if (!key.isWellFormed() || key.includes(REPLACEMENT)) return INVALID_KEY
    if (this.#ids.size >= MAX_SERIES) return SERIES_CAP
    const id = this.#ids.size
    this.#ids.set(key, id)
    this.#announce(id, key)
    return id
  }
}
