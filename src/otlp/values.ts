import type { Fields } from '../layer/event.ts'
import {
  ANY_VALUE,
  ARRAY,
  BOOL,
  BYTES,
  DOUBLE,
  INT,
  ITEMS,
  KEY,
  KEY_VALUE,
  KVLIST,
  STRING,
  VALUE,
} from './any-value.ts'
import { Texts } from './texts.ts'
import { fieldSet, LEN, MAX_NESTING, tagOf, WireReader } from './wire.ts'

const LIST = fieldSet(1)

const TWO_TO_53 = 2 ** 53

/** How values are read. */
export interface ValueOptions {
  /** Integers beyond 2^53 come as their exact text (`JSON.rawJSON`), not as the nearest double. */
  exact?: boolean
  /** Texts that are integers as one writes them (`0`, `-12`) come as numbers. */
  integerText?: boolean
}

/** How the values of a message are read, and what was met on the way. */
export class ValueNotes {
  readonly exact: boolean
  readonly integerText: boolean
  /** Integers beyond 2^53 in magnitude, whether or not a double holds them. */
  bigIntegers = 0
  /** Lists and maps beyond the nesting limit: null stands in their place. */
  tooDeep = 0

  constructor({ exact = false, integerText = false }: ValueOptions = {}) {
    this.exact = exact
    this.integerText = integerText
  }
}

const names = new Texts()
const texts = new Texts()

/** Reads a name, which is likely to come again. */
export function readName(r: WireReader): string {
  const length = r.length()
  r.pos += length
  return names.read(r.bytes, r.view, r.pos - length, r.pos)
}

/** Reads a text. */
export function readText(r: WireReader): string {
  const length = r.length()
  r.pos += length
  return texts.read(r.bytes, r.view, r.pos - length, r.pos)
}

/** Reads a KeyValue into `fields`. Its parts may come in any order; of a repeated name the last value stays. */
export function readAttribute(r: WireReader, fields: Fields, notes: ValueNotes, depth = 1): void {
  r.object()
  const outer = r.enter()
  let name = ''
  let value: unknown = null
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === KEY) name = readName(r)
    else if (tag === VALUE) value = readValue(r, notes, depth)
    else r.skip(tag, KEY_VALUE)
  }
  r.end = outer
  put(fields, name, value)
}

function put(fields: Fields, name: string, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(fields, name, { ...OWN, value })
  else fields[name] = value
}

const OWN = { enumerable: true, configurable: true, writable: true }

/**
 * The same, faster for what almost all attributes are: below 128 bytes, the key before the value, and a double, a text or an
 * integer of up to 49 bits. Everything else, and everything that is not sound, goes to `readAttribute`. Without it,
 * reading spans takes three quarters longer (`bench/otlp.ts`).
 */
export function readPlainAttribute(r: WireReader, fields: Fields, notes: ValueNotes): void {
  const { bytes, pos } = r
  const size = pos < r.end ? bytes[pos]! : 128
  const to = pos + 1 + size
  if (size > 127 || size < 6 || to > r.end || bytes[pos + 1] !== KEY) return readAttribute(r, fields, notes)
  // A length of two bytes begins with 128 or more, which is beyond `to`: no need to ask for it.
  const keyEnd = pos + 3 + bytes[pos + 2]!
  const from = keyEnd + 3
  if (from >= to || bytes[keyEnd] !== VALUE || from - 1 + bytes[keyEnd + 1]! !== to)
    return readAttribute(r, fields, notes)
  const tag = bytes[from - 1]
  let value: unknown
  if (tag === DOUBLE && to - from === 8) {
    value = r.view.getFloat64(from, true)
  } else if (tag === STRING && to === from + 1 + bytes[from]!) {
    const text = texts.read(bytes, r.view, from + 1, to)
    value = notes.integerText ? fromText(text, notes) : text
  } else if (tag === INT && to - from <= 7) {
    value = smallInteger(bytes, from, to)
  }
  if (value === undefined) return readAttribute(r, fields, notes)
  r.object()
  r.pos = to
  put(fields, names.read(bytes, r.view, pos + 3, keyEnd), value)
}

/** The varint that fills a range of at most 7 bytes; undefined when none does. */
function smallInteger(bytes: Buffer, from: number, to: number): number | undefined {
  let value = 0
  for (let i = to - 1; i >= from; i -= 1) {
    const byte = bytes[i]!
    if (byte > 127 === (i === to - 1)) return undefined
    value = value * 128 + (byte & 127)
  }
  return value
}

/** Reads an AnyValue; null when it is empty. `depth` is 1 for the value of an attribute. */
export function readValue(r: WireReader, notes: ValueNotes, depth = 1): unknown {
  const outer = r.enter()
  let value: unknown = null
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === DOUBLE) value = r.double()
    else if (tag === INT) value = readInteger(r, notes)
    else if (tag === STRING) value = notes.integerText ? fromText(readText(r), notes) : readText(r)
    else if (tag === BOOL) value = readBool(r)
    else if (tag === ARRAY || tag === KVLIST) value = readNested(r, tag, notes, depth)
    else if (tag === BYTES) value = r.viewOfField().slice() // values outlive the body
    else r.skip(tag, ANY_VALUE)
  }
  r.end = outer
  return value
}

function readBool(r: WireReader): boolean {
  r.varint()
  return r.low !== 0 || r.high !== 0
}

/** Reads an ArrayValue or a KeyValueList; null when it lies too deep. */
export function readNested(r: WireReader, tag: number, notes: ValueNotes, depth: number): unknown {
  if (depth >= MAX_NESTING) {
    notes.tooDeep += 1
    r.skip(tag)
    return null
  }
  r.object()
  const outer = r.enter()
  const list: unknown[] = []
  const fields: Fields = {}
  while (r.pos < r.end) {
    const item = r.tag()
    if (item !== ITEMS) r.skip(item, LIST)
    else if (tag === ARRAY) list.push(readValue(r, notes, depth + 1))
    else readAttribute(r, fields, notes, depth + 1)
  }
  r.end = outer
  return tag === ARRAY ? list : fields
}

/** Reads an integer; of one beyond 2^53 the nearest double, or what `notes` ask for. */
export function readInteger(r: WireReader, notes: ValueNotes): unknown {
  const value = r.int64()
  if (value < TWO_TO_53 && value > -TWO_TO_53) return value
  return big((BigInt(r.high | 0) << 32n) | BigInt(r.low), value, notes)
}

function big(exact: bigint, value: number, notes: ValueNotes): unknown {
  if (exact <= 2n ** 53n && exact >= -(2n ** 53n)) return value
  notes.bigIntegers += 1
  return notes.exact ? JSON.rawJSON(String(exact)) : value
}

/** No integer of 128 bits, the widest that Rust writes as text, has more than 39 digits. */
const INTEGER = /^(?:0|-?[1-9]\d{0,38})$/

/** The integer that a text is, else the text. */
export function fromText(text: string, notes: ValueNotes): unknown {
  if (text.length > 40 || !INTEGER.test(text)) return text
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : big(BigInt(text), value, notes)
}

/** The attributes of a message: every KeyValue in its field `field`. */
export function attributesOf(message: Uint8Array, field: number, options: ValueOptions = {}): Fields {
  const r = new WireReader(message)
  const notes = new ValueNotes(options)
  const fields: Fields = {}
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === tagOf(field, LEN)) readAttribute(r, fields, notes)
    else r.skip(tag)
  }
  return fields
}
