/** Longest name in bytes that has a number. */
const LONGEST = 56
const WORDS = LONGEST / 4

/** The size of what is no name: no text has it. */
const NEVER = -1

/** Most names that are numbered; whoever meets more begins anew. */
export const MAX_NAMES = 1 << 15

const PRINTABLE = /^[ -~]{2,}$/

/** Names that look like array indices stand first in an object, whenever they came: they have no number. */
const INDEX_LIKE = /^\d+$/

/** Names that are known from the start: what begins a list (its first name is guessed, too), then what Rust's tracing writes. */
export const SPAN_START = 0
export const EVENT_START = 1
export const BUSY = 2
export const IDLE = 3
export const LEVEL = 4
export const TARGET = 5
/** Numbers up to here have a meaning of their own. */
export const LAST_FIXED = TARGET
const FIXED = ['', '', 'busy_ns', 'idle_ns', 'level', 'target']

/**
 * Numbers names by their bytes, so that no text is made of a name that came before: which series it is, and what it means, is
 * then looked up in arrays. What usually follows a name is tried first: to compare takes a quarter of the time of a look-up.
 */
export class Names {
  readonly texts: string[] = []
  /** The list in which each name was met last. */
  readonly lists = new Int32Array(MAX_NAMES)
  /** What followed each name when it came last, in attributes of spans and of events. */
  readonly afterInSpan = new Int32Array(MAX_NAMES)
  readonly afterInEvent = new Int32Array(MAX_NAMES)
  #list = 0
  /** Whether a KeyValue with the name can be known again as a whole: see `AttributeTable`. */
  readonly isPlain = new Uint8Array(MAX_NAMES)
  readonly #sizes = new Int8Array(MAX_NAMES)
  #words = new Int32Array(256 * WORDS)
  /** Numbers + 1 by a hash of the bytes; a power of two of places, at most half of them taken. */
  #places = new Int32Array(1024)
  readonly #seed = Math.floor(Math.random() * 2 ** 31)

  constructor() {
    for (const text of FIXED) {
      const bytes = Buffer.from(`    ${text}`)
      this.#add(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), bytes, 4, bytes.length)
    }
  }

  get count(): number {
    return this.texts.length
  }

  get isFull(): boolean {
    return this.count >= MAX_NAMES
  }

  /** A list begins, in which no name may come twice. */
  beginList(): number {
    if (this.#list === 0x7fff_ffff) {
      this.lists.fill(0)
      this.#list = 0
    }
    this.#list += 1
    return this.#list
  }

  /**
   * The number of the name in a range of `bytes`, of which `view` shows the same; -1: it has none. There are at least 3 bytes
   * before the range.
   */
  find(bytes: Buffer, view: DataView, from: number, to: number): number {
    const size = to - from
    if (size === 0 || size > LONGEST) return -1
    const places = this.#places
    const mask = places.length - 1
    for (let place = this.#hash(view, from, size) & mask; ; place = (place + 1) & mask) {
      const name = places[place]! - 1
      if (name < 0) return this.#add(view, bytes, from, to)
      if (this.isSame(name, view, from, size)) return name
    }
  }

  /** Whether the name in a range is that of a number. The last word overlaps the one before it. */
  isSame(name: number, view: DataView, from: number, size: number): boolean {
    if (this.#sizes[name] !== size) return false
    const words = this.#words
    let at = name * WORDS
    if (size < 4) return words[at] === lastWord(view, from, size)
    const last = from + size - 4
    for (let i = from; i < last; i += 4) {
      if (words[at] !== view.getInt32(i, true)) return false
      at += 1
    }
    return words[at] === view.getInt32(last, true)
  }

  #add(view: DataView, bytes: Buffer, from: number, to: number): number {
    const name = this.texts.length
    const text = bytes.toString('utf8', from, to)
    // Different bytes that are no UTF-8 may be one text.
    if (name >= MAX_NAMES || INDEX_LIKE.test(text) || text.includes('\uFFFD')) return -1
    if ((name + 1) * WORDS > this.#words.length) this.#growWords()
    if ((name + 1) * 2 > this.#places.length) this.#growPlaces()
    const size = to - from
    let at = name * WORDS
    for (let i = from; i < to - 4; i += 4) this.#words[at++] = view.getInt32(i, true)
    this.#words[at] = lastWord(view, from, size)
    this.#sizes[name] = size === 0 ? NEVER : size
    this.texts.push(text)
    this.isPlain[name] = name > LAST_FIXED && PRINTABLE.test(text) ? 1 : 0
    if (size > 0) this.#place(name, this.#hash(view, from, size))
    return name
  }

  #hash(view: DataView, from: number, size: number): number {
    let hash = this.#seed + size
    for (let i = from; i < from + size - 4; i += 4) hash = mixed(hash, view.getInt32(i, true))
    hash = mixed(hash, lastWord(view, from, size))
    return hash ^ (hash >>> 15)
  }

  #place(name: number, hash: number): void {
    const mask = this.#places.length - 1
    let place = hash & mask
    while (this.#places[place] !== 0) place = (place + 1) & mask
    this.#places[place] = name + 1
  }

  #growWords(): void {
    const grown = new Int32Array(this.#words.length * 2)
    grown.set(this.#words)
    this.#words = grown
  }

  #growPlaces(): void {
    this.#places = new Int32Array(this.#places.length * 2)
    for (const [name, text] of this.texts.entries()) {
      if (text === '') continue
      const bytes = Buffer.from(`    ${text}`)
      this.#place(name, this.#hash(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 4, bytes.length - 4))
    }
  }
}

const mixed = (hash: number, word: number): number => {
  const product = Math.imul(hash ^ word, 0x9e37_79b1)
  return product ^ (product >>> 16)
}

/** The last 4 bytes of a name, or all of a shorter one. */
const lastWord = (view: DataView, from: number, size: number): number =>
  size < 4 ? view.getInt32(from + size - 4, true) >>> (8 * (4 - size)) : view.getInt32(from + size - 4, true)
