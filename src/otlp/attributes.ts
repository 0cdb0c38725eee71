import { ANY_VALUE, ARRAY, BOOL, BYTES, DOUBLE, INT, KEY, KEY_VALUE, KVLIST, STRING, VALUE } from './any-value.ts'
import { BUSY, IDLE, LAST_FIXED, LEVEL, MAX_NAMES, TARGET, type Names } from './names.ts'
import { RUST_LEVELS } from './options.ts'
import { Texts } from './texts.ts'
import { fromText, readInteger, readNested, type ValueNotes } from './values.ts'
import type { WireReader } from './wire.ts'

/** What an attribute is, as far as numbers are taken of it. */
export const NUMBER = 0
export const TEXT = 1
/** Neither: a boolean, a list, bytes, nothing. */
export const OTHER = 2
/** In a frame: a number as a varint. */
const INTEGER = 3

/** Bytes of the shortest KeyValue with name and value. */
const SHORTEST = 6
/** Most KeyValues for which room is made beforehand: whoever sends more of them in a row is asked again whether he may. */
const MOST_AT_ONCE = 1 << 14
/** Doubles in which a frame is kept. */
const FRAME = 8

const texts = new Texts()

/**
 * Lists of attributes as columns: the number of each name, and its value. A text stays where it is until it is asked for. What does
 * not fit in here (a map, a name that comes twice in a list or has no number) makes the list odd: then it has to be read as an object.
 */
export class AttributeTable {
  readonly names: Names
  count = 0
  /** By `names`. */
  name = new Int32Array(1024)
  kind = new Uint8Array(1024)
  /** The number, or how many bytes the text has. */
  value = new Float64Array(1024)
  /** Where a text begins in the body. */
  from = new Int32Array(1024)

  /** What was met since a list began. */
  isOdd = false
  /** Whether its names are those that Rust's tracing-opentelemetry writes. */
  isOfTracing = false
  /** What KeyValues with each name began with when they came last, how many bytes that were, and what kind of value followed. */
  #frames = new Float64Array(256 * FRAME)
  readonly #frameSizes = new Uint8Array(MAX_NAMES)
  readonly #frameKinds = new Uint8Array(MAX_NAMES)
  #tracing = 0
  #list = 0
  #last = 0
  #after: Int32Array

  constructor(names: Names) {
    this.names = names
    this.#after = names.afterInSpan
  }

  get bytesHeld(): number {
    return this.name.length * 17
  }

  /** A list begins: `start` is what comes before its first name. */
  begin(start: number, after: Int32Array): void {
    this.#list = this.names.beginList()
    this.#last = start
    this.#after = after
    this.isOdd = false
    this.isOfTracing = false
    this.#tracing = 0
  }

  /** Whether an attribute that is a text is that of a number of `names`. */
  isText(r: WireReader, i: number, text: number): boolean {
    return this.names.isSame(text, r.view, this.from[i]!, this.value[i]!)
  }

  /** The number of the text of an attribute, -1: it has none. */
  textNumber(r: WireReader, i: number): number {
    const from = this.from[i]!
    return this.names.find(r.bytes, r.view, from, from + this.value[i]!)
  }

  /** The text of an attribute. */
  text(r: WireReader, i: number): string {
    const from = this.from[i]!
    return texts.read(r.bytes, r.view, from, from + this.value[i]!)
  }

  /**
   * Reads KeyValues that follow each other, of the first of which the tag, `tag`, has been read. Most begin as the one before with that
   * name did: with the same lengths, name and kind of value. These bytes, its frame, are compared at once, as doubles: none is 0 or
   * above 127, so that there is no NaN and no second zero. Without it reading takes half as long again (`bench/otlp.ts`).
   */
  readAll(r: WireReader, tag: number, notes: ValueNotes): void {
    const { bytes, view, end } = r
    this.#reserve(1 + Math.min(Math.ceil((end - r.pos) / SHORTEST), MOST_AT_ONCE))
    const { name: names, kind: kinds, value: values, from: froms } = this
    const { lists } = this.names
    const after = this.#after
    const list = this.#list
    const limit = names.length
    const isText = notes.integerText ? OTHER : TEXT
    let { pos } = r
    let { count } = this
    let last = this.#last
    let framed = 0
    const frameSizes = this.#frameSizes
    const frameKinds = this.#frameKinds
    let frames = this.#frames
    for (;;) {
      const name = after[last]!
      const size = frameSizes[name]!
      const kind = frameKinds[name]!
      let value = -1
      let to = 0
      let isKnown = size > 0 && pos + size <= end && isFramed(frames, name * FRAME, view, pos, size)
      if (isKnown) {
        to = pos + 1 + bytes[pos]!
        isKnown = to <= end
        if (isKnown && kind === NUMBER) value = view.getFloat64(pos + size, true)
        else if (isKnown && kind === isText) value = to - pos - size
        else if (isKnown && kind === INTEGER) isKnown = (value = smallInteger(bytes, pos + size, to)) >= 0
        else isKnown = false
      }
      if (isKnown) {
        if (lists[name] === list) this.isOdd = true
        lists[name] = list
        names[count] = name
        kinds[count] = kind === INTEGER ? NUMBER : kind
        values[count] = value
        froms[count] = pos + size
        count += 1
        framed += 1
        last = name
        pos = to
      } else {
        r.pos = pos
        this.count = count
        this.#last = last
        this.#read(r, notes)
        pos = r.pos
        count = this.count
        last = this.#last
        frames = this.#frames
      }
      if (pos >= end || bytes[pos] !== tag || count === limit) break
      pos += 1
    }
    r.pos = pos
    r.object(framed)
    this.count = count
    this.#last = last
  }

  /**
   * Reads a KeyValue. This way is for what almost all are: below 128 bytes, name and value once each, in either order, and the value
   * a double, a text or an integer of up to 49 bits. Everything else, and everything that is not sound, goes to `#readAny`.
   */
  #read(r: WireReader, notes: ValueNotes): void {
    const { bytes, view, pos } = r
    const size = pos < r.end ? bytes[pos]! : 128
    const to = pos + 1 + size
    if (size > 127 || size < SHORTEST || to > r.end) return this.#readAny(r, notes)
    // A length of two bytes begins with 128 or more, which is beyond `to`: no need to ask for it.
    const first = pos + 3 + bytes[pos + 2]!
    if (first + 2 >= to || first + 2 + bytes[first + 1]! !== to) return this.#readAny(r, notes)
    // The Collector writes the value first.
    const isKeyFirst = bytes[pos + 1] === KEY
    if (isKeyFirst ? bytes[first] !== VALUE : bytes[pos + 1] !== VALUE || bytes[first] !== KEY)
      return this.#readAny(r, notes)
    const nameFrom = isKeyFirst ? pos + 3 : first + 2
    const nameTo = isKeyFirst ? first : to
    let from = isKeyFirst ? first + 3 : pos + 4
    const end = isKeyFirst ? to : first
    const tag = bytes[from - 1]
    let kind = NUMBER
    let value: number
    if (tag === DOUBLE && end - from === 8) {
      value = view.getFloat64(from, true)
    } else if (tag === INT && end - from <= 7 && end > from) {
      value = smallInteger(bytes, from, end)
      if (value < 0) return this.#readAny(r, notes)
      kind = INTEGER
    } else if (tag === STRING && end > from && end === from + 1 + bytes[from]! && !notes.integerText) {
      kind = TEXT
      from += 1
      value = end - from
    } else {
      return this.#readAny(r, notes)
    }
    r.object()
    r.pos = to
    const name = this.#put(r, nameFrom, nameTo, kind === INTEGER ? NUMBER : kind, value, from)
    if (isKeyFirst && name >= 0 && this.names.isPlain[name] === 1) this.#keepFrame(name, kind, view, pos, from)
  }

  /** @returns the number of the name, -1: it has none */
  #put(r: WireReader, nameFrom: number, nameTo: number, kind: number, value: number, from: number): number {
    const { names } = this
    const { bytes, view } = r
    let name = this.#after[this.#last]!
    if (!names.isSame(name, view, nameFrom, nameTo - nameFrom)) {
      name = names.find(bytes, view, nameFrom, nameTo)
      if (name < 0) {
        this.isOdd = true
        return -1
      }
      this.#after[this.#last] = name
    }
    this.#last = name
    if (names.lists[name] === this.#list) this.isOdd = true
    names.lists[name] = this.#list
    const at = this.count
    this.#reserve(1)
    this.name[at] = name
    this.kind[at] = kind
    this.value[at] = value
    this.from[at] = from
    this.count = at + 1
    if (name <= LAST_FIXED) this.#noteTracing(r, name, at)
    return name
  }

  /** Keeps what a KeyValue begins with, from its length at `from` to its value. */
  #keepFrame(name: number, kind: number, view: DataView, from: number, to: number): void {
    const size = to - from
    if (size < 8) return
    if ((name + 1) * FRAME > this.#frames.length)
      this.#frames = grown(this.#frames, new Float64Array(2 ** Math.ceil(Math.log2((name + 1) * FRAME))))
    let at = name * FRAME
    for (let i = from; i < to - 8; i += 8) this.#frames[at++] = view.getFloat64(i, true)
    this.#frames[at] = view.getFloat64(to - 8, true)
    this.#frameSizes[name] = size
    this.#frameKinds[name] = kind
  }

  #noteTracing(r: WireReader, name: number, at: number): void {
    const kind = this.kind[at]!
    if (name === BUSY || name === IDLE ? kind !== NUMBER : kind !== TEXT) return
    if (name === LEVEL && !RUST_LEVELS.has(this.text(r, at))) return
    this.#tracing |= 1 << name
    const times = (1 << BUSY) | (1 << IDLE)
    const marks = (1 << LEVEL) | (1 << TARGET)
    const seen = this.#tracing
    this.isOfTracing = this.#after === this.names.afterInSpan ? (seen & times) === times : (seen & marks) === marks
  }

  #readAny(r: WireReader, notes: ValueNotes): void {
    r.object()
    const outer = r.enter()
    let nameFrom = r.pos
    let nameTo = r.pos
    let kind = OTHER
    let value = 0
    let from = 0
    while (r.pos < r.end) {
      const tag = r.tag()
      if (tag === KEY) {
        const length = r.length()
        nameFrom = r.pos
        nameTo = r.pos += length
      } else if (tag === VALUE) {
        ;({ kind, value, from } = this.#readValue(r, notes))
      } else {
        r.skip(tag, KEY_VALUE)
      }
    }
    r.end = outer
    this.#put(r, nameFrom, nameTo, kind, value, from)
  }

  #readValue(r: WireReader, notes: ValueNotes): { kind: number; value: number; from: number } {
    const outer = r.enter()
    let kind = OTHER
    let value = 0
    let from = 0
    while (r.pos < r.end) {
      const tag = r.tag()
      kind = OTHER
      if (tag === DOUBLE || tag === INT) {
        kind = NUMBER
        value = tag === DOUBLE ? r.double() : (readInteger(r, notes) as number)
      } else if (tag === STRING) {
        kind = TEXT
        value = r.length()
        from = r.pos
        r.pos += value
        const read = notes.integerText ? fromText(texts.read(r.bytes, r.view, from, r.pos), notes) : null
        if (typeof read === 'number') {
          kind = NUMBER
          value = read
        }
      } else if (tag === BOOL) {
        r.varint()
      } else if (tag === ARRAY || tag === KVLIST) {
        readNested(r, tag, notes, 1)
        if (tag === KVLIST) this.isOdd = true
      } else if (tag === BYTES) {
        r.viewOfField()
      } else {
        const { pos } = r
        r.skip(tag, ANY_VALUE)
        // A field that nobody knows leaves the value as it is: rare enough to be read as an object.
        this.isOdd ||= r.pos > pos
      }
    }
    r.end = outer
    return { kind, value, from }
  }

  /** Makes room for so many more. */
  #reserve(more: number): void {
    let size = this.name.length
    if (this.count + more <= size) return
    while (size < this.count + more) size *= 2
    this.name = grown(this.name, new Int32Array(size))
    this.kind = grown(this.kind, new Uint8Array(size))
    this.value = grown(this.value, new Float64Array(size))
    this.from = grown(this.from, new Int32Array(size))
  }
}

/** Whether the bytes from `pos` are the frame that begins at `at`; its last 8 bytes overlap those before. */
function isFramed(frames: Float64Array, at: number, view: DataView, pos: number, size: number): boolean {
  const last = pos + size - 8
  let i = pos
  let f = at
  for (; i < last; i += 8) {
    if (frames[f] !== view.getFloat64(i, true)) return false
    f += 1
  }
  return frames[f] === view.getFloat64(last, true)
}

/** `into` with the beginning of `column`, in whose place it comes. */
export function grown<T extends Int32Array | Uint8Array | Float64Array>(column: T, into: T): T {
  into.set(column)
  return into
}

/** The varint that fills a range of at most 7 bytes; -1 when none does. */
function smallInteger(bytes: Buffer, from: number, to: number): number {
  let value = 0
  for (let i = to - 1; i >= from; i -= 1) {
    const byte = bytes[i]!
    if (byte > 127 === (i === to - 1)) return -1
    value = value * 128 + (byte & 127)
  }
  return value
}
