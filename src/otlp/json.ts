import { isFields, own, type Fields } from '../layer/event.ts'
import { endOfText } from './json-texts.ts'
import { integerOf, itemsOf, kindOf, writeKeyValue, writeValue } from './json-values.ts'
import { LOGS_REQUEST, TRACE_REQUEST, type FieldType, type MessageType } from './schema.ts'
import { I32, I64, LEN, MAX_OBJECTS, tagOf, VARINT, WireError } from './wire.ts'
import { WireWriter } from './writer.ts'

/** OTLP/JSON traces as the same request in protobuf. Throws `WireError` when the text is no such request. */
export const tracesFromJson = (text: string): Uint8Array => transcode(text, TRACE_REQUEST)

/** The same for logs. */
export const logsFromJson = (text: string): Uint8Array => transcode(text, LOGS_REQUEST)

function transcode(text: string, type: MessageType): Uint8Array {
  const json = parse(text)
  if (!isFields(json)) throw new WireError('a JSON object', kindOf(json), 'the top')
  const out = new WireWriter(text.length)
  writeFields(out, type, json, '')
  return out.bytes()
}

/** A number of so many digits may be beyond 2^53. Inside a text it does no harm: the slower way gives the same. */
const MANY_DIGITS = /[:[,]\s*-?\d{16}/

/**
 * Refuses what would become millions of objects before there are any: a body of 64 KB compressed, `{},{},...`, is 3 GB
 * once it is parsed. Costs 2 ms per MB.
 */
function checkValues(text: string): void {
  let values = 0
  for (let i = 0; i < text.length; i += 1) {
    switch (text.charCodeAt(i)) {
      case 0x22: // a text: to its end
        i = endOfText(text, i)
        break
      case 0x2c: // ,
        values += 1
        break
      case 0x5b: // [
      case 0x7b: // {
        values += 1
        break
      default:
    }
    if (values > MAX_OBJECTS)
      throw new WireError(`at most ${MAX_OBJECTS} values`, 'more; send them in pieces', 'the body')
  }
}

/** JSON whose integers beyond 2^53 are their text. */
function parse(text: string): unknown {
  checkValues(text)
  try {
    return MANY_DIGITS.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text)
  } catch (error) {
    // The reviver goes down by recursion: thousands of nested lists are a RangeError.
    const why = error instanceof RangeError ? 'lists nested too deep' : (error as Error).message
    throw new WireError('JSON', why, 'the body')
  }
}

function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context?.source ?? ''
  return /^-?\d+$/.test(source) ? source : value
}

function writeFields(out: WireWriter, type: MessageType, json: Fields, place: string): void {
  for (const name of Object.keys(type)) {
    const value = own(json, name)
    if (value === undefined || value === null) continue
    const { number, type: fieldType, isList } = type[name]!
    const at = place === '' ? name : `${place}.${name}`
    if (isList)
      for (const [i, item] of itemsOf(value, at).entries()) writeField(out, number, fieldType, item, `${at}[${i}]`)
    else writeField(out, number, fieldType, value, at)
  }
}

function writeField(out: WireWriter, number: number, type: FieldType, json: unknown, place: string): void {
  if (typeof type === 'string') {
    WRITE[type](out, number, json, place)
    return
  }
  const from = out.begin(tagOf(number, LEN))
  writeFields(out, type, objectOf(json, place), place)
  out.finish(from)
}

type Write = (out: WireWriter, number: number, json: unknown, place: string) => void

const WRITE: Readonly<Record<Exclude<FieldType, MessageType>, Write>> = {
  string(out, number, json, place) {
    if (typeof json !== 'string') throw new WireError('a text', kindOf(json), place)
    out.text(tagOf(number, LEN), json)
  },
  hex16: (out, number, json, place) => writeId(out, number, json, place, 16),
  hex8: (out, number, json, place) => writeId(out, number, json, place, 8),
  enum(out, number, json, place) {
    // The specification allows no names here; one is as good as an unknown field.
    if (typeof json === 'string' && integerOf(json) === null) return
    out.varint(tagOf(number, VARINT))
    out.varint64(wholeOf(json, -(2n ** 31n), 2n ** 31n - 1n, place))
  },
  uint32(out, number, json, place) {
    out.varint(tagOf(number, VARINT))
    out.varint64(wholeOf(json, 0n, 2n ** 32n - 1n, place))
  },
  fixed32(out, number, json, place) {
    out.varint(tagOf(number, I32))
    out.fixed32(Number(wholeOf(json, 0n, 2n ** 32n - 1n, place)))
  },
  fixed64(out, number, json, place) {
    out.varint(tagOf(number, I64))
    out.fixed64(wholeOf(json, 0n, 2n ** 64n - 1n, place))
  },
  value: (out, number, json, place) => writeValue(out, tagOf(number, LEN), json, place),
  keyValue: (out, number, json, place) => writeKeyValue(out, tagOf(number, LEN), objectOf(json, place), place),
}

function objectOf(json: unknown, place: string): Fields {
  if (!isFields(json)) throw new WireError('an object', kindOf(json), place)
  return json
}

const HEX = /^(?:[0-9a-f]{2})*$/i

function writeId(out: WireWriter, number: number, json: unknown, place: string, bytes: number): void {
  if (typeof json !== 'string' || json.length > bytes * 2 || !HEX.test(json)) {
    throw new WireError(
      `an id of ${bytes * 2} hex digits`,
      typeof json === 'string' ? 'another text' : kindOf(json),
      place,
    )
  }
  out.field(tagOf(number, LEN), Buffer.from(json, 'hex'))
}

function wholeOf(json: unknown, min: bigint, max: bigint, place: string): bigint {
  const value = integerOf(json)
  if (value === null || value < min || value > max) {
    throw new WireError(`an integer from ${min} to ${max}`, value === null ? kindOf(json) : String(value), place)
  }
  return value
}
