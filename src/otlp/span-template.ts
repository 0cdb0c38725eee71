import { NUMBER, TEXT } from './attributes.ts'
import type { SpanColumns } from './columns.ts'
import { DOUBLE, INT, STRING } from './any-value.ts'
import { LAST_FIXED, type Names } from './names.ts'
import { END, EVENT_TIME, EVENTS, LINKS, NAME, PARENT_SPAN_ID, SPAN_ID, START, TRACE_ID } from './span.ts'
import { WireReader } from './wire.ts'

/** Bytes of a double: of a varint that is read here there are at most 7. */
export const DOUBLE_BYTES = 8
/** More than this: so many digits of a text that counts as a number. */
const DIGITS = 16
const MOST_DIGITS = 15
const [ZERO, NINE, MINUS] = [0x30, 0x39, 0x2d]

/** The number at a place of a template, which has so many bytes there. */
export function numberAt(view: DataView, at: number, size: number): number {
  if (size === DOUBLE_BYTES) return view.getFloat64(at, true)
  let value = 0
  if (size > DIGITS) for (let i = 0; i < size - DIGITS; i += 1) value = value * 10 + view.getUint8(at + i) - ZERO
  else for (let i = at + size - 1; i >= at; i -= 1) value = value * 128 + (view.getUint8(i) & 127)
  return value
}

/** The attributes of a span or of one of its events, in a template: places count from where the Span message begins. */
export interface TemplateList {
  /** Where the number of each attribute stands, and how many bytes it has, as `numberAt` takes it; 0: it is no number. */
  readonly at: Int32Array
  readonly sizes: Uint8Array
  /** Where the time of an event stands; -1: it has none. */
  readonly timeAt: number
}

/** Where the parts of a span stand; -1: it has none. */
interface Head {
  traceId: number
  spanId: number
  parentId: number
  start: number
  end: number
}

/**
 * The bytes of a Span message but for its ids, times and numbers, and texts that nobody asks for. One that has the same at the same
 * places needs no reading: what it is was found when the template was made, and its numbers are read where they stand. So it is read and
 * taken in half the time (`bench/otlp.ts`).
 */
export class SpanTemplate {
  readonly size: number
  readonly integerText: boolean
  readonly head: Head
  /** By the `Names` that the columns have. */
  readonly name: number
  /** What reading it counts. */
  readonly objects: number
  readonly isOfTracing: boolean
  /** Of the span, then of each event. */
  readonly lists: readonly TemplateList[]
  readonly #bytes: BytesBut
  readonly #digits: readonly Digits[]

  constructor(of: Omit<SpanTemplate, 'isIn'>, bytes: BytesBut, digits: readonly Digits[]) {
    this.size = of.size
    this.integerText = of.integerText
    this.head = of.head
    this.name = of.name
    this.objects = of.objects
    this.isOfTracing = of.isOfTracing
    this.lists = of.lists
    this.#bytes = bytes
    this.#digits = digits
  }

  /** Whether so many bytes as it has are a span of it. */
  isIn(view: DataView, from: number): boolean {
    return this.#bytes.areAt(view, from) && (this.#digits.length === 0 || areDigits(this.#digits, view, from))
  }
}

/** Digits as one writes a number: without zeros before it. */
interface Digits {
  at: number
  count: number
}

function areDigits(all: readonly Digits[], view: DataView, from: number): boolean {
  for (const { at, count } of all) {
    if (count > 1 && view.getUint8(from + at) === ZERO) return false
    for (let i = 0; i < count; i += 1) {
      const byte = view.getUint8(from + at + i)
      if (byte < ZERO || byte > NINE) return false
    }
  }
  return true
}

/** What holds of a byte: any will do, one that goes on with a varint or ends it as this one does, this one. */
const ANY = 0
const VARINT = 0x80
const THIS = 0xff

/** Bytes of which some may be others: those that may not are compared as doubles, what is between them as masked words. */
class BytesBut {
  readonly #at: Int32Array
  readonly #doubles: Float64Array
  readonly #wordsAt: Int32Array
  readonly #words: Int32Array
  readonly #masks: Int32Array

  /** Of at least 8 bytes. */
  constructor(bytes: Uint8Array, mask: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const masks = new DataView(mask.buffer)
    const doubles: number[] = []
    const words: number[] = []
    for (let i = 0; i < bytes.length;) {
      const end = endOf(mask, i)
      // The last 8 bytes of those that have to be these overlap the ones before.
      const isShort = end > i && end - i < 8 && end >= 8
      const at = isShort && endOf(mask, end - 8) === end ? end - 8 : i
      if (end - at >= 8 && isExact(view.getFloat64(at, true))) {
        doubles.push(at)
        i = at + 8
      } else {
        const word = Math.min(i, bytes.length - 4)
        if (masks.getInt32(word, true) !== 0) words.push(word)
        i = word + 4
      }
    }
    this.#at = Int32Array.from(doubles)
    this.#doubles = Float64Array.from(doubles, (at) => view.getFloat64(at, true))
    this.#wordsAt = Int32Array.from(words)
    this.#masks = Int32Array.from(words, (at) => masks.getInt32(at, true))
    this.#words = Int32Array.from(words, (at) => view.getInt32(at, true) & masks.getInt32(at, true))
  }

  areAt(view: DataView, from: number): boolean {
    const at = this.#at
    const doubles = this.#doubles
    for (let i = 0; i < at.length; i += 1) if (view.getFloat64(from + at[i]!, true) !== doubles[i]) return false
    const wordsAt = this.#wordsAt
    const words = this.#words
    const masks = this.#masks
    for (let i = 0; i < wordsAt.length; i += 1)
      if ((view.getInt32(from + wordsAt[i]!, true) & masks[i]!) !== words[i]) return false
    return true
  }
}

/** Where the bytes end that have to be these. */
function endOf(mask: Uint8Array, from: number): number {
  let end = from
  while (end < mask.length && mask[end] === THIS) end += 1
  return end
}

/** Whether only the same bytes are the same number: no NaN, and no zero, of which there are two. */
const isExact = (double: number): boolean => Math.abs(double) >= 2 ** -1022

/** What the reader of a span knows of it. */
export interface ReadAs {
  integerText: boolean
  objects: number
  isOfTracing: boolean
  /** Whether the text of a name must be the same, for something is told by it. */
  isAsked: (name: string) => boolean
}

/** The template of a span in columns that is not odd; null: it can have none. */
export function templateOf(columns: SpanColumns, span: number, read: ReadAs): SpanTemplate | null {
  const [from, to] = [columns.from[span]!, columns.to[span]!]
  const mask = new Uint8Array(to - from).fill(THIS)
  const scanned = scan(columns, span, mask)
  if (scanned === null || columns.bigIntegers[span]! > 0) return null
  const { head, times } = scanned
  const digits: Digits[] = []
  const list = (first: number, end: number, timeAt: number): TemplateList | null =>
    listOf(columns, first, end, { from, mask, timeAt, read, digits })
  const lists = [list(columns.attributesFrom[span]!, columns.attributesTo[span]!, -1)]
  for (const [i, timeAt] of times.entries()) {
    const event = columns.eventsFrom[span]! + i
    lists.push(list(columns.eventFrom[event]!, columns.eventTo[event]!, timeAt))
  }
  if (!lists.every((each) => each !== null)) return null
  const name = columns.name[span]!
  const of = { ...read, size: to - from, head, name, lists }
  return new SpanTemplate(of, new BytesBut(columns.body.subarray(from, to), mask), digits)
}

/** Looks for ids and times; null: one comes twice, or there are links, whose ids are never the same. */
function scan(columns: SpanColumns, span: number, mask: Uint8Array): { head: Head; times: number[] } | null {
  const from = columns.from[span]!
  const r = new WireReader(columns.body)
  r.pos = from
  r.end = columns.to[span]!
  const found = new Map<number, number>()
  const times: number[] = []
  const take = (tag: number, size: number): boolean => {
    if (found.has(tag)) return false
    found.set(tag, size === 0 ? -1 : r.pos - from)
    mask.fill(ANY, r.pos - from, r.pos - from + size)
    r.pos += size
    return true
  }
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === LINKS || (tag === NAME && found.has(NAME))) return null
    if (tag === TRACE_ID || tag === SPAN_ID || tag === PARENT_SPAN_ID) {
      if (!take(tag, r.length())) return null
    } else if (tag === START || tag === END) {
      if (!take(tag, 8)) return null
    } else if (tag === EVENTS) {
      const outer = r.enter()
      found.delete(EVENT_TIME_IN)
      while (r.pos < r.end) {
        const inner = r.tag()
        if (inner !== EVENT_TIME) r.skip(inner)
        else if (!take(EVENT_TIME_IN, 8)) return null
      }
      times.push(found.get(EVENT_TIME_IN) ?? -1)
      r.end = outer
    } else {
      if (tag === NAME) found.set(NAME, -1)
      r.skip(tag)
    }
  }
  const at = (tag: number): number => found.get(tag) ?? -1
  const head = {
    traceId: at(TRACE_ID),
    spanId: at(SPAN_ID),
    parentId: at(PARENT_SPAN_ID),
    start: at(START),
    end: at(END),
  }
  return { head, times }
}

/** No field of a span has this tag. */
const EVENT_TIME_IN = -1

interface ListOptions {
  from: number
  mask: Uint8Array
  timeAt: number
  read: ReadAs
  digits: Digits[]
}

/** Lets the values of a list be others; null: one of them stands where it is not known. */
function listOf(
  { attributes, names, body }: SpanColumns,
  first: number,
  end: number,
  { from, mask, timeAt, read, digits }: ListOptions,
): TemplateList | null {
  const at = new Int32Array(end - first)
  const sizes = new Uint8Array(end - first)
  for (let i = first; i < end; i += 1) {
    const place = attributes.from[i]!
    const kind = attributes.kind[i]
    if (kind === TEXT && mayDiffer(attributes.name[i]!, names, read))
      mask.fill(ANY, place - from, place - from + attributes.value[i]!)
    if (kind !== NUMBER) continue
    const size = place === 0 ? 0 : sizeOf(body, place)
    if (size === 0) return null
    at[i - first] = place - from
    sizes[i - first] = size
    const bytes = size > DIGITS ? size - DIGITS : size
    if (size > DIGITS) digits.push({ at: place - from, count: bytes })
    mask.fill(size < DOUBLE_BYTES ? VARINT : ANY, place - from, place - from + bytes)
  }
  return { at, sizes, timeAt }
}

/** Whether a text is never asked for. A text may be a number where those count: then it has to be this one. */
const mayDiffer = (name: number, { texts }: Names, { integerText, isAsked }: ReadAs): boolean =>
  !integerText && name > LAST_FIXED && !isAsked(texts[name]!)

/** How many bytes the number at a place has, as `numberAt` takes it; 0: it is none of those that a template can have. */
function sizeOf(body: Buffer, place: number): number {
  if (body[place - 2] === STRING) {
    const count = body[place - 1]!
    const isPlain = count <= MOST_DIGITS && body[place] !== MINUS
    return isPlain ? DIGITS + count : 0
  }
  if (body[place - 1] === DOUBLE) return DOUBLE_BYTES
  if (body[place - 1] !== INT) return 0
  let size = 1
  while (body[place + size - 1]! > 127) size += 1
  return size < DOUBLE_BYTES ? size : 0
}
