import { isFields, own } from '../layer/event.ts'
import { integerOf } from './json-values.ts'
import { fieldSet, LEN, tagOf, VARINT, WireError, WireReader } from './wire.ts'
import { WireWriter } from './writer.ts'

/** How a request came, and how its answer goes back. */
export type Encoding = 'protobuf' | 'json'

export type Signal = 'traces' | 'logs'

const PARTIAL_SUCCESS = tagOf(1, LEN)
const REJECTED = tagOf(1, VARINT)
const ERROR_MESSAGE = tagOf(2, LEN)
const STATUS_CODE = tagOf(1, VARINT)
const STATUS_MESSAGE = tagOf(2, LEN)

/** What a server took from a request, and what not. */
export interface PartialSuccess {
  /** Spans or records that it refused; sending them again would not help. */
  rejected: number
  message: string
}

/** Everything was taken: the specification asks that the partial success be absent. */
export const encodeSuccess = (encoding: Encoding): Uint8Array =>
  encoding === 'json' ? Buffer.from('{}') : Buffer.alloc(0)

/** Part of a request was taken. None rejected with a message is a warning. */
export function encodePartialSuccess(signal: Signal, partial: PartialSuccess, encoding: Encoding): Uint8Array {
  const { rejected, message } = partial
  if (encoding === 'json') {
    const name = signal === 'traces' ? 'rejectedSpans' : 'rejectedLogRecords'
    // A 64-bit integer is text in protobuf's JSON.
    return Buffer.from(JSON.stringify({ partialSuccess: { [name]: String(rejected), errorMessage: message } }))
  }
  const out = new WireWriter()
  const from = out.begin(PARTIAL_SUCCESS)
  out.varint(REJECTED)
  out.varint(rejected)
  out.text(ERROR_MESSAGE, message)
  out.finish(from)
  return out.bytes()
}

/** The body of an error answer: a google.rpc.Status. */
export function encodeStatus(code: number, message: string, encoding: Encoding): Uint8Array {
  if (encoding === 'json') return Buffer.from(JSON.stringify({ code, message }))
  const out = new WireWriter()
  out.varint(STATUS_CODE)
  out.varint(code)
  out.text(STATUS_MESSAGE, message)
  return out.bytes()
}

/** The partial success in a server's answer; null when all was taken. Throws `WireError` when the answer cannot be read. */
export function readPartialSuccess(body: Uint8Array, contentType: string): PartialSuccess | null {
  const found = /^application\/json\b/i.test(contentType.trim()) ? partialOfJson(body) : partialOfProtobuf(body)
  // Counted, a negative number would be spans that were taken twice.
  if (found.rejected < 0) throw new WireError('a number of refused spans', found.rejected, 'the partial success')
  return found.rejected === 0 && found.message === '' ? null : found
}

function partialOfProtobuf(body: Uint8Array): PartialSuccess {
  const r = new WireReader(body)
  const found = { rejected: 0, message: '' }
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === PARTIAL_SUCCESS) readPartial(r, found)
    else r.skip(tag, fieldSet(1))
  }
  return found
}

function readPartial(r: WireReader, found: PartialSuccess): void {
  const outer = r.enter()
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === REJECTED) found.rejected = r.int64()
    else if (tag === ERROR_MESSAGE) found.message = Buffer.from(r.viewOfField()).toString()
    else r.skip(tag, fieldSet(1, 2))
  }
  r.end = outer
}

function partialOfJson(body: Uint8Array): PartialSuccess {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(body).toString())
  } catch (error) {
    throw new WireError('JSON', (error as Error).message, 'the body')
  }
  if (!isFields(json)) throw new WireError('a JSON object', typeof json, 'the body')
  const partial = own(json, 'partialSuccess')
  if (!isFields(partial)) return { rejected: 0, message: '' }
  const rejected = integerOf(own(partial, 'rejectedSpans') ?? own(partial, 'rejectedLogRecords') ?? 0)
  const message = own(partial, 'errorMessage')
  return { rejected: Number(rejected ?? 0), message: typeof message === 'string' ? message : '' }
}
