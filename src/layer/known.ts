import { createHash } from 'node:crypto'
import type { Fields } from './event.ts'

/** The id of a span as numbers: four of its trace, two of its own, two of its parent (zero: it has none). */
const WORDS = 8
const SPAN = 4
const PARENT = 6

/** What a span tells those inside it: fields that many tell, and one whose number each has for itself. */
export interface Told {
  shared: Fields
  /** The name of the field whose number is apart; null: there is none. */
  number: string | null
}

/** Spans around a span, of those that have a step or category, that are asked. */
const MAX_DEPTH = 64

/** Places for ids at the beginning; they double as spans come. */
const FIRST_SIZE = 1024

/**
 * The newest spans, at most `size`: what each tells those inside it. A ring, in which the oldest gives way to the newest, with a
 * table of places over it. What has given way keeps its place until the ring has gone round, when all places are given anew. With
 * chains, out of which it would be taken, a receiver takes a third fewer spans (`bench/otlp-http.ts`). That a span is new, as almost
 * all are, is told by the tags alone, which are so few bytes that they stay near: with places and whole hashes in one table taking
 * spans cost 1.06 times as much (`bench/otlp.ts`).
 */
export class KnownSpans {
  readonly #size: number
  #capacity: number
  /** Spans that were ever added; the newest is at the index before this, modulo the capacity. */
  #added = 0
  #words: Int32Array
  /** What each tells; null: nothing. */
  readonly #told: (Told | null)[] = []
  #numbers: Float64Array
  /** Number of the chain that has passed it last. */
  #passedIn: Int32Array
  /** For each place 8 bits of the hash of an id, never 0; 0: it is free. */
  #tags: Uint8Array
  /** For each place that is taken the index of its span. */
  #indexes: Int32Array
  readonly #seed = Math.floor(Math.random() * 2 ** 31)

  #chain = 0
  readonly #empty: number[] = []
  /** What the spans around told when `ask` was called last, innermost first. */
  readonly told: Fields[] = []
  /** Whether one of them is not here, and its id: four numbers of its trace, two of its own. */
  isMissing = false
  readonly missing = new Int32Array(SPAN + 2)

  constructor(size: number) {
    this.#size = size
    this.#capacity = Math.min(size, FIRST_SIZE)
    this.#words = new Int32Array(this.#capacity * WORDS)
    this.#numbers = new Float64Array(this.#capacity)
    this.#passedIn = new Int32Array(this.#capacity)
    this.#tags = new Uint8Array(placesFor(this.#capacity))
    this.#indexes = new Int32Array(this.#tags.length)
  }

  /**
   * Adds a span that tells nothing yet; `at`: where the eight numbers of its id begin in `ids`.
   *
   * @returns false when it is known already
   */
  add(ids: Int32Array, at: number): boolean {
    const hash = this.#hash(ids, at, at + SPAN)
    if (this.#find(hash, ids, at, at + SPAN) >= 0) return false
    if (this.#added > 0 && this.#added % this.#capacity === 0) this.#goRound()
    const index = this.#added % this.#capacity
    this.#added += 1
    for (let i = 0; i < WORDS; i += 1) this.#words[index * WORDS + i] = ids[at + i]!
    this.#told[index] = null
    this.#passedIn[index] = 0
    this.#place(hash, index)
    return true
  }

  /** Notes what the span tells that `add` has just taken, and the number of its own that goes with it. */
  tell(told: Told | null, number = 0): void {
    const index = (this.#added - 1) % this.#capacity
    this.#told[index] = told
    this.#numbers[index] = number
  }

  /** Asks what the span at `span` in `ids` (of the trace at `at`) and those around it tell: see `told`, `isMissing`. */
  ask(ids: Int32Array, at: number, span: number): void {
    this.told.length = 0
    this.isMissing = false
    if (!isNamed(ids, at, span)) return
    this.#beginChain()
    let [words, trace, own] = [ids, at, span]
    while (words[own] !== 0 || words[own + 1] !== 0) {
      const index = this.#find(this.#hash(words, trace, own), words, trace, own)
      if (index < 0) {
        this.isMissing = true
        for (let i = 0; i < SPAN; i += 1) this.missing[i] = words[trace + i]!
        this.missing[SPAN] = words[own]!
        this.missing[SPAN + 1] = words[own + 1]!
        break
      }
      // A circle of parents has an end, but only for who asks: what stands in it may be asked from elsewhere.
      if (this.#passedIn[index] === this.#chain || this.told.length >= MAX_DEPTH) {
        this.#setParents(words[own]!, words[own + 1]!)
        return
      }
      this.#passedIn[index] = this.#chain
      const told = this.#told[index]!
      if (told === null) {
        this.#empty.push(index)
      } else {
        // Those that tell nothing are stepped over from now on: long chains would be walked for each of their spans.
        this.#setParents(this.#words[index * WORDS + SPAN]!, this.#words[index * WORDS + SPAN + 1]!)
        this.told.push(fieldsOf(told, this.#numbers[index]!))
      }
      words = this.#words
      trace = index * WORDS
      own = index * WORDS + PARENT
    }
    if (this.isMissing) this.#setParents(this.missing[SPAN]!, this.missing[SPAN + 1]!)
    else this.#setParents(0, 0)
  }

  #setParents(low: number, high: number): void {
    for (const index of this.#empty) {
      this.#words[index * WORDS + PARENT] = low
      this.#words[index * WORDS + PARENT + 1] = high
    }
    this.#empty.length = 0
  }

  #beginChain(): void {
    if (this.#chain === 0x7fff_ffff) {
      this.#passedIn.fill(0)
      this.#chain = 0
    }
    this.#chain += 1
  }

  #find(hash: number, ids: Int32Array, at: number, span: number): number {
    const words = this.#words
    const tags = this.#tags
    const low = ids[span]!
    const high = ids[span + 1]!
    const tag = tagOf(hash)
    const mask = tags.length - 1
    for (let place = hash & mask; tags[place] !== 0; place = (place + 1) & mask) {
      if (tags[place] !== tag) continue
      // Of a span that has given way, this is the one in its stead.
      const index = this.#indexes[place]!
      const own = index * WORDS
      if (
        words[own + SPAN] === low &&
        words[own + SPAN + 1] === high &&
        words[own] === ids[at] &&
        words[own + 1] === ids[at + 1] &&
        words[own + 2] === ids[at + 2] &&
        words[own + 3] === ids[at + 3]
      )
        return index
    }
    return -1
  }

  /**
   * Ids are random, unless somebody chooses them: hence the seed. Of all words, for trace ids may begin with the same ones
   * (those of 64 bits with zeros) and span ids count from 1 in each trace.
   */
  #hash(ids: Int32Array, at: number, span: number): number {
    let hash = mixed(this.#seed, ids[span]!)
    hash = mixed(hash, ids[span + 1]!)
    for (let i = at; i < at + SPAN; i += 1) hash = mixed(hash, ids[i]!)
    return hash
  }

  #place(hash: number, index: number): void {
    const tags = this.#tags
    const mask = tags.length - 1
    let place = hash & mask
    while (tags[place] !== 0) place = (place + 1) & mask
    tags[place] = tagOf(hash)
    this.#indexes[place] = index
  }

  /** The ring is full: it grows, or begins from the front. */
  #goRound(): void {
    const spans = this.#capacity
    if (this.#capacity < this.#size) {
      this.#capacity = Math.min(this.#size, this.#capacity * 2)
      this.#words = copied(this.#words, new Int32Array(this.#capacity * WORDS))
      this.#numbers = copied(this.#numbers, new Float64Array(this.#capacity))
      this.#passedIn = copied(this.#passedIn, new Int32Array(this.#capacity))
      this.#tags = new Uint8Array(placesFor(this.#capacity))
      this.#indexes = new Int32Array(this.#tags.length)
    } else {
      this.#tags.fill(0)
    }
    for (let index = 0; index < spans; index += 1) {
      const own = index * WORDS
      this.#place(this.#hash(this.#words, own, own + SPAN), index)
    }
  }
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e37_79b1)
  return product ^ (product >>> 15)
}

function copied<T extends Int32Array | Float64Array>(from: T, into: T): T {
  into.set(from)
  return into
}

/** What a span tells as fields. */
export const fieldsOf = ({ shared, number }: Told, value: number): Fields =>
  number === null ? shared : { ...shared, [number]: value }

/** Bits of a hash that do not choose the place; with more than 16 million places a tag only tells less. */
const tagOf = (hash: number): number => hash >>> 24 || 1

/** Places for twice as many spans, at most three quarters of which are taken. */
const placesFor = (spans: number): number => 2 ** Math.ceil(Math.log2((spans * 2) / 0.77))

const isNamed = (ids: Int32Array, at: number, span: number): boolean =>
  (ids[at]! | ids[at + 1]! | ids[at + 2]! | ids[at + 3]!) !== 0 && (ids[span]! | ids[span + 1]!) !== 0

/** Puts the id of a span into `ids`, from its trace id, own and parent's as hex. */
export function putIds(ids: Int32Array, traceId: string, spanId: string, parentId: string): void {
  putWords(ids, 0, traceId, 4)
  putWords(ids, SPAN, spanId, 2)
  putWords(ids, PARENT, parentId, 2)
}

/** One without ids is known again by all that it is. */
export function putDigest(ids: Int32Array, bytes: Uint8Array): void {
  const digest = createHash('sha256').update(bytes).digest()
  for (let i = 0; i < PARENT; i += 1) ids[i] = digest.readInt32LE(i * 4)
  ids.fill(0, PARENT)
}

/** An id that is shorter than it has to be stands by its digest. */
function putWords(ids: Int32Array, at: number, hex: string, words: number): void {
  const isWhole = hex.length === words * 8
  const bytes = isWhole ? Buffer.from(hex, 'hex') : createHash('sha256').update(hex).digest()
  for (let i = 0; i < words; i += 1) ids[at + i] = hex === '' ? 0 : bytes.readInt32LE(i * 4)
}

/** Whether a span has ids of its trace and of itself. */
export const hasIds = (ids: Int32Array, at: number): boolean => isNamed(ids, at, at + SPAN)

/** Trace and span as one text. */
export function idText(ids: Int32Array, at: number): string {
  for (let i = 0; i < PARENT; i += 1) scratch.writeInt32LE(ids[at + i]!, i * 4)
  return scratch.toString('latin1')
}

const scratch = Buffer.alloc(PARENT * 4)
