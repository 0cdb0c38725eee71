/** Longest text in bytes that is remembered, and shortest: both are compared by words of 4 bytes. */
const LONGEST = 32
const SHORTEST = 4

/** A power of two: the slot is taken from the top bits of a hash. */
const SLOT_BITS = 11
const SLOTS = 1 << SLOT_BITS

/**
 * Remembers short ASCII texts (names of attributes, of spans) by their bytes, in each slot the one that came last. To compare
 * is far cheaper than to decode, and a name that is the same string each time is found faster in an object: without this,
 * reading spans takes four times as long (`bench/otlp.ts`).
 */
export class Texts {
  readonly #texts: string[] = Array.from({ length: SLOTS }, () => '')
  readonly #lengths = new Uint8Array(SLOTS)
  readonly #known = new DataView(new ArrayBuffer(SLOTS * LONGEST))

  /** The UTF-8 text in a range of `bytes`, of which `view` shows the same; what is no UTF-8 is U+FFFD. */
  read(bytes: Buffer, view: DataView, from: number, to: number): string {
    const length = to - from
    if (length > LONGEST || length < SHORTEST) return length === 0 ? '' : bytes.toString('utf8', from, to)
    const slot = slotOf(view, from, length)
    if (this.#lengths[slot] === length && this.#isSame(slot, view, from, length)) return this.#texts[slot]!
    return this.#remember(slot, bytes, from, to)
  }

  /** The last word overlaps the one before it where the length is no multiple of 4. */
  #isSame(slot: number, view: DataView, from: number, length: number): boolean {
    const known = this.#known
    const at = slot * LONGEST
    for (let i = 0; i < length - 4; i += 4) if (known.getInt32(at + i) !== view.getInt32(from + i)) return false
    return known.getInt32(at + length - 4) === view.getInt32(from + length - 4)
  }

  #remember(slot: number, bytes: Buffer, from: number, to: number): string {
    const text = bytes.toString('utf8', from, to)
    // As V8 keeps names of properties.
    const interned = Object.keys({ [text]: 0 })[0]!
    this.#texts[slot] = interned
    this.#lengths[slot] = to - from
    for (let i = from; i < to; i += 1) this.#known.setUint8(slot * LONGEST + i - from, bytes[i]!)
    return interned
  }
}

/** From the first, middle and last words: names that differ elsewhere share a slot, which is slow but right. */
function slotOf(view: DataView, from: number, length: number): number {
  const first = view.getInt32(from)
  const middle = view.getInt32(from + ((length - 4) >> 1))
  const last = view.getInt32(from + length - 4)
  const hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(middle, 0x85ebca6b) ^ Math.imul(last + length, 0xc2b2ae35)
  return Math.imul(hash ^ (hash >>> 15), 0x27d4eb2d) >>> (32 - SLOT_BITS)
}
