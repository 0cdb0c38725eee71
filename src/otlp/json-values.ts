import { isFields, own, type Fields } from '../layer/event.ts'
import { ARRAY, BOOL, BYTES, DOUBLE, INT, ITEMS, KEY, KVLIST, STRING, VALUE } from './any-value.ts'
import { MAX_NESTING, WireError } from './wire.ts'
import type { WireWriter } from './writer.ts'

/** Writes a KeyValue of OTLP/JSON as a field `tag`. */
export function writeKeyValue(out: WireWriter, tag: number, json: Fields, place: string, depth = 1): void {
  const from = out.begin(tag)
  const key = own(json, 'key')
  if (typeof key === 'string') out.text(KEY, key)
  else if (key !== undefined && key !== null) throw new WireError('a text', kindOf(key), `${place}.key`)
  const value = own(json, 'value')
  if (value !== undefined && value !== null) writeValue(out, VALUE, value, `${place}.value`, depth)
  out.finish(from)
}

/**
 * Writes an AnyValue of OTLP/JSON as a field `tag`. A value that cannot be read (`{"doubleValue": null}`, which is how some
 * clients write NaN) is an empty one: no number is made up, and the request's other values are not lost with it.
 * What lies too deep for our reader is empty too, one level below its limit, so that the reader counts it.
 */
export function writeValue(out: WireWriter, tag: number, json: unknown, place: string, depth = 1): void {
  if (!isFields(json)) throw new WireError('an object', kindOf(json), place)
  const from = out.begin(tag)
  const text = own(json, 'stringValue')
  if (typeof text === 'string') out.text(STRING, text)
  const flag = own(json, 'boolValue')
  if (typeof flag === 'boolean') writeBool(out, flag)
  writeInt(out, own(json, 'intValue'))
  writeDouble(out, own(json, 'doubleValue'))
  writeBytes(out, own(json, 'bytesValue'))
  writeList(out, ARRAY, own(json, 'arrayValue'), `${place}.arrayValue`, depth)
  writeList(out, KVLIST, own(json, 'kvlistValue'), `${place}.kvlistValue`, depth)
  out.finish(from)
}

function writeBool(out: WireWriter, flag: boolean): void {
  out.varint(BOOL)
  out.varint(Number(flag))
}

function writeInt(out: WireWriter, json: unknown): void {
  const value = integerOf(json)
  if (value === null || BigInt.asIntN(64, value) !== value) return
  out.varint(INT)
  out.varint64(value)
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const NO_NUMBERS: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
])

function writeDouble(out: WireWriter, json: unknown): void {
  const value = NO_NUMBERS.get(json) ?? finiteOf(json)
  if (value === null) return
  out.varint(DOUBLE)
  out.double(value)
}

/** A number, or one written as text. 1e400 is no infinity that anybody meant. */
function finiteOf(json: unknown): number | null {
  if (typeof json !== 'number' && (typeof json !== 'string' || !NUMBER.test(json))) return null
  return Number.isFinite(Number(json)) ? Number(json) : null
}

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/

function writeBytes(out: WireWriter, json: unknown): void {
  if (typeof json === 'string' && BASE64.test(json)) out.field(BYTES, Buffer.from(json, 'base64'))
}

function writeList(out: WireWriter, tag: number, json: unknown, place: string, depth: number): void {
  if (json === undefined || json === null) return
  const from = out.begin(tag)
  if (depth < MAX_NESTING) {
    for (const [i, item] of itemsOf(isFields(json) ? own(json, 'values') : json, place).entries()) {
      const inner = `${place}.values[${i}]`
      if (tag === ARRAY) writeValue(out, ITEMS, item ?? {}, inner, depth + 1)
      else if (isFields(item)) writeKeyValue(out, ITEMS, item, inner, depth + 1)
      else throw new WireError('an object', kindOf(item), inner)
    }
  }
  out.finish(from)
}

/** The elements of a JSON list; none when it is absent. */
export function itemsOf(json: unknown, place: string): readonly unknown[] {
  if (json === undefined || json === null) return []
  if (!Array.isArray(json)) throw new WireError('a list', kindOf(json), place)
  return json as unknown[]
}

/** An integer written as text or as a number; null when it is neither. */
export function integerOf(json: unknown): bigint | null {
  if (typeof json === 'number') return Number.isInteger(json) ? BigInt(json) : null
  return typeof json === 'string' && json.length <= 20 && /^-?\d+$/.test(json) ? BigInt(json) : null
}

/** What a JSON value is, in a word. */
export function kindOf(json: unknown): string {
  if (json === null) return 'null'
  if (Array.isArray(json)) return 'a list'
  if (typeof json === 'object') return 'an object'
  return typeof json === 'string' ? 'a text' : `a ${typeof json}`
}
