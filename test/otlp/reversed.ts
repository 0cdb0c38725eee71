import { LOGS_REQUEST, TRACE_REQUEST, type FieldType, type MessageType } from '../../src/otlp/schema.ts'
import { LEN, tagOf, WireReader } from '../../src/otlp/wire.ts'
import { WireWriter } from '../../src/otlp/writer.ts'

/** A message's fields: the tag, and where the whole field and its content lie. */
interface Field {
  tag: number
  from: number
  content: Uint8Array
  whole: Uint8Array
}

function fieldsOf(bytes: Uint8Array): Field[] {
  const r = new WireReader(bytes)
  const fields: Field[] = []
  while (r.pos < r.end) {
    const from = r.pos
    const tag = r.tag()
    const at = r.pos
    r.skip(tag)
    const inner = new WireReader(bytes.subarray(at, r.pos))
    const content = (tag & 7) === LEN ? inner.viewOfField() : new Uint8Array()
    fields.push({ tag, from, content, whole: bytes.subarray(from, r.pos) })
  }
  return fields
}

type Inner = (field: number) => Inner | null

const VALUE: Inner = (field) => (field === 5 ? (item) => (item === 1 ? VALUE : null) : field === 6 ? KV_LIST : null)
const KEY_VALUE: Inner = (field) => (field === 2 ? VALUE : null)
const KV_LIST: Inner = (field) => (field === 1 ? KEY_VALUE : null)

function innerOf(type: FieldType): Inner | null {
  if (typeof type === 'object') return innerOfMessage(type)
  if (type === 'keyValue') return KEY_VALUE
  return type === 'value' ? VALUE : null
}

const innerOfMessage =
  (type: MessageType): Inner =>
  (number) => {
    const spec = Object.values(type).find((field) => field.number === number)
    return spec === undefined ? null : innerOf(spec.type)
  }

/**
 * Turns the fields of every message round, but leaves those of one number in their order: to protobuf, that is the same
 * message.
 */
function turn(bytes: Uint8Array, inner: Inner): Uint8Array {
  const out = new WireWriter()
  const groups = Map.groupBy(fieldsOf(bytes), (field) => field.tag)
  for (const [tag, fields] of [...groups].toReversed()) {
    const deeper = inner(tag >>> 3)
    for (const { content, whole } of fields) {
      if (deeper !== null && (tag & 7) === LEN) out.field(tagOf(tag >>> 3, LEN), turn(content, deeper))
      else out.raw(whole)
    }
  }
  return out.bytes()
}

/** A request with all its fields, at every level, in the opposite order. */
export const reversed = (body: Uint8Array, signal: 'traces' | 'logs'): Uint8Array =>
  turn(body, innerOfMessage(signal === 'traces' ? TRACE_REQUEST : LOGS_REQUEST))
