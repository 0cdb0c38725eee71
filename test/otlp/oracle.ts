import { createRequire } from 'node:module'
import type { Fields } from '../../src/layer/event.ts'

/**
 * An independent decoder and encoder: the code that protobufjs generated from the OTLP schema, from a release of
 * OpenTelemetry's transformer that still had it for traces and logs.
 */
export interface Codec {
  decode(bytes: Uint8Array): object
  encode(message: object): { finish(): Uint8Array }
  fromObject(json: object): object
  toObject(message: object, options: object): Json
}

// oxlint-disable-next-line typescript/no-explicit-any -- decoded by foreign code, which types nothing
export type Json = Record<string, any>

const require = createRequire(import.meta.url)
const { opentelemetry } = require('otlp-transformer-oracle/build/src/generated/root.js') as Json
const { collector } = opentelemetry.proto as Json

export const TraceRequest = collector['trace'].v1.ExportTraceServiceRequest as Codec
export const LogsRequest = collector['logs'].v1.ExportLogsServiceRequest as Codec
export const TraceResponse = collector['trace'].v1.ExportTraceServiceResponse as Codec
export const LogsResponse = collector['logs'].v1.ExportLogsServiceResponse as Codec

/** A message as plain objects; integers of 64 bits are text. */
export const decode = (codec: Codec, bytes: Uint8Array): Json =>
  codec.toObject(codec.decode(bytes), { longs: String, bytes: Array })

export const encode = (codec: Codec, json: Json): Uint8Array => codec.encode(codec.fromObject(json)).finish()

const hex = (bytes: number[] | undefined): string => {
  const text = Buffer.from(bytes ?? []).toString('hex')
  return /^0*$/.test(text) ? '' : text
}

const ms = (nanos: string | undefined): number => Number(BigInt(nanos ?? 0) / 1_000_000n)

/** What our readers make of a value, by the oracle's. */
function valueOf(any: Json | undefined, text: boolean): unknown {
  if (any === undefined) return null
  if (any['stringValue'] !== undefined) {
    return text && /^(0|-?[1-9]\d{0,38})$/.test(any['stringValue']) ? Number(any['stringValue']) : any['stringValue']
  }
  if (any['intValue'] !== undefined) return Number(any['intValue'])
  if (any['arrayValue'] !== undefined) return (any['arrayValue'].values ?? []).map((v: Json) => valueOf(v, text))
  if (any['kvlistValue'] !== undefined) return fieldsOf(any['kvlistValue'].values, text)
  if (any['bytesValue'] !== undefined) return Uint8Array.from(any['bytesValue'])
  return any['boolValue'] ?? any['doubleValue'] ?? null
}

export function fieldsOf(list: Json[] | undefined, text = false): Fields {
  const fields: Fields = {}
  for (const { key, value } of list ?? []) {
    const descriptor = { value: valueOf(value, text), enumerable: true, configurable: true, writable: true }
    Object.defineProperty(fields, key ?? '', descriptor)
  }
  return fields
}

/** How many integers in a list of attributes lie beyond 2^53. */
function bigOf(json: unknown, text: boolean): number {
  if (typeof json !== 'object' || json === null) return 0
  if (Array.isArray(json)) return json.reduce<number>((sum, item) => sum + bigOf(item, text), 0)
  return Object.entries(json).reduce((sum, [name, value]) => {
    const isInteger = name === 'intValue' || (text && name === 'stringValue' && /^(0|-?[1-9]\d{0,38})$/.test(value))
    if (!isInteger) return sum + bigOf(value, text)
    return sum + Number(BigInt(value) > 2n ** 53n || BigInt(value) < -(2n ** 53n))
  }, 0)
}

const isRust = (resource: Fields): boolean => resource['telemetry.sdk.language'] === 'rust'

/** The spans of a decoded request as `readTraces` must give them, without bytes. */
export function expectedSpans(request: Json): Json[] {
  return (request['resourceSpans'] ?? []).flatMap((group: Json) => {
    const resource = fieldsOf(group['resource']?.attributes)
    const text = isRust(resource)
    return (group['scopeSpans'] ?? []).flatMap((scope: Json) =>
      (scope['spans'] ?? []).map((span: Json) => ({ resource, ...expectedSpan(span, text) })),
    )
  })
}

function expectedSpan(span: Json, text: boolean): Json {
  const [start, end] = [BigInt(span['startTimeUnixNano'] ?? 0), BigInt(span['endTimeUnixNano'] ?? 0)]
  return {
    traceId: hex(span['traceId']),
    spanId: hex(span['spanId']),
    parentSpanId: hex(span['parentSpanId']),
    name: span['name'] ?? '',
    startMs: ms(span['startTimeUnixNano']),
    endMs: ms(span['endTimeUnixNano']),
    durationMs: start === 0n || end === 0n || end < start ? null : Number(end - start) / 1e6,
    attributes: fieldsOf(span['attributes'], text),
    events: (span['events'] ?? []).map((event: Json) => ({
      name: event['name'] ?? '',
      timeMs: ms(event['timeUnixNano']),
      attributes: fieldsOf(event['attributes'], text),
    })),
    bigIntegers:
      bigOf(span['attributes'], text) +
      bigOf(
        (span['events'] ?? []).map((event: Json) => event['attributes']),
        text,
      ),
    tooDeep: 0,
  }
}

/** The records of a decoded request as `readLogs` must give them, without bytes. */
export function expectedLogs(request: Json): Json[] {
  return (request['resourceLogs'] ?? []).flatMap((group: Json) => {
    const resource = fieldsOf(group['resource']?.attributes)
    return (group['scopeLogs'] ?? []).flatMap((scope: Json) =>
      (scope['logRecords'] ?? []).map((log: Json) => expectedLog(log, resource)),
    )
  })
}

const expectedLog = (log: Json, resource: Fields): Json => ({
  resource,
  timeMs: ms(log['timeUnixNano']) || ms(log['observedTimeUnixNano']) || null,
  severity: log['severityNumber'] ?? 0,
  severityText: log['severityText'] ?? '',
  body: valueOf(log['body'], false),
  eventName: log['eventName'] ?? '',
  traceId: hex(log['traceId']),
  spanId: hex(log['spanId']),
  attributes: fieldsOf(log['attributes'], isRust(resource)),
  bigIntegers: bigOf(log['attributes'], isRust(resource)),
  tooDeep: 0,
})

/** A span or record without the bytes that it was read from. */
export const withoutBytes = (item: object): Json =>
  Object.fromEntries(Object.entries(item).filter(([name]) => !['bytes', 'resourceHead', 'scopeHead'].includes(name)))

/** Every span with all that belongs to it, to compare requests that are grouped otherwise. */
export const flat = (request: Json): Json[] =>
  (request['resourceSpans'] ?? []).flatMap(({ scopeSpans, ...resource }: Json) =>
    (scopeSpans ?? []).flatMap(({ spans, ...scope }: Json) =>
      (spans ?? []).map((span: Json) => ({ resource, scope, span })),
    ),
  )
