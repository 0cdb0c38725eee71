import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { logsFromJson, tracesFromJson } from '../../src/otlp/json.ts'
import { readLogs } from '../../src/otlp/logs.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { WireError } from '../../src/otlp/wire.ts'
import { anyLogs, anyTraces } from './arbitrary.ts'
import { recorded } from './bodies.ts'
import { decode, encode, LogsRequest, TraceRequest, type Json } from './oracle.ts'

const IDS = new Set(['traceId', 'spanId', 'parentSpanId'])

/** What the oracle makes of OTLP/JSON, which is protobuf's JSON but for the ids. */
const byOracle = (json: string, signal: 'traces' | 'logs'): Json => {
  const message = JSON.parse(json, (key, value: unknown) =>
    IDS.has(key) && typeof value === 'string' ? [...Buffer.from(value, 'hex')] : value,
  ) as Json
  const codec = signal === 'traces' ? TraceRequest : LogsRequest
  return decode(codec, encode(codec, message))
}

/** The OTLP/JSON text of a message as the oracle has it. */
const jsonOf = (message: Json, upper: boolean): string =>
  JSON.stringify(message, (key, value: unknown) => {
    if (IDS.has(key)) {
      const hex = Buffer.from(value as number[]).toString('hex')
      return upper ? hex.toUpperCase() : hex
    }
    if (key === 'bytesValue') return Buffer.from(value as number[]).toString('base64')
    if (key === 'doubleValue' && Object.is(value, -0)) return '-0.0'
    return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
  })

/** Integers of 64 bits as bare numbers, with all their digits. */
const bare = (json: string): string => json.replace(/"(intValue|\w*UnixNano)":"(-?\d+)"/g, '"$1":$2')

const attributesOf = (values: string): Record<string, unknown> => {
  const attributes = `[${values}]`
  const [span] = readTraces(
    tracesFromJson(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":${attributes}}]}]}]}`),
  )
  return span!.attributes
}

describe('OTLP/JSON', () => {
  it.each(recorded.filter(({ json }) => json !== null))(
    'becomes the same request in protobuf: $name',
    ({ body, json, signal }) => {
      expect(decode(signal === 'traces' ? TraceRequest : LogsRequest, body)).toEqual(byOracle(json!, signal))
    },
  )

  it('loses nothing of any request, however its integers and ids are written', () => {
    fc.assert(
      fc.property(anyTraces, anyLogs, fc.boolean(), (traces, logs, other) => {
        const form = (message: Json): string => (other ? bare(jsonOf(message, other)) : jsonOf(message, other))
        expect(decode(TraceRequest, tracesFromJson(form(traces)))).toEqual(
          decode(TraceRequest, encode(TraceRequest, traces)),
        )
        expect(decode(LogsRequest, logsFromJson(form(logs)))).toEqual(decode(LogsRequest, encode(LogsRequest, logs)))
      }),
      { numRuns: 300 },
    )
  })

  it('gives no number for a value that is none, above all never 0', () => {
    const none = ['{"doubleValue":null}', '{"intValue":""}', '{"intValue":1.5}', '{"intValue":"0x10"}', '{}', 'null']
    none.push(
      '{"doubleValue":""}',
      '{"doubleValue":"1e400"}',
      '{"doubleValue":1e400}',
      '{"boolValue":0}',
      '{"int_value":"4"}',
    )
    none.push('{"intValue":"9223372036854775808"}', '{"doubleValue":true}', '{"bytesValue":"?"}', '{"stringValue":5}')
    const values = none.map((value, i) => `{"key":"k${i}","value":${value}}`).join(',')
    expect(attributesOf(values)).toEqual(Object.fromEntries(none.map((_, i) => [`k${i}`, null])))
  })

  it('keeps empty values that are values', () => {
    const some = [
      '{"doubleValue":0}',
      '{"intValue":"0"}',
      '{"stringValue":""}',
      '{"boolValue":false}',
      '{"arrayValue":{}}',
    ]
    const values = some.map((value, i) => `{"key":"${i}","value":${value}}`).join(',')
    expect(Object.values(attributesOf(values))).toEqual([0, 0, '', false, []])
  })

  it('takes null for an absent field, and ignores what the schema does not know', () => {
    const record =
      '{"body":null,"attributes":null,"traceId":null,"severityNumber":"SEVERITY_NUMBER_INFO","new":{"deep":[1]}}'
    const [log] = readLogs(
      logsFromJson(`{"resourceLogs":[{"resource":null,"scopeLogs":[{"logRecords":[${record}]}]}]}`),
    )
    expect(log).toMatchObject({ body: null, attributes: {}, traceId: '', severity: 0, timeMs: null })
  })

  it('counts lists that lie too deep, and does not overflow the stack', () => {
    const deep = `${'{"arrayValue":{"values":['.repeat(5_000)}{"intValue":1}${']}}'.repeat(5_000)}`
    const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":${deep}}]}]}]}]}`
    expect(readTraces(tracesFromJson(text))[0]!.tooDeep).toBe(1)
    expect(() => tracesFromJson(`${'['.repeat(100_000)}1234567890123456789${']'.repeat(100_000)}`)).toThrow(WireError)
  })

  it.each([
    ['', 'expected JSON'],
    ['null', 'expected a JSON object, found null at the top'],
    ['{"resourceSpans":{}}', 'expected a list, found an object at resourceSpans'],
    ['{"resourceSpans":[5]}', 'expected an object, found a number at resourceSpans[0]'],
    [
      '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":5}]}]}]}',
      'expected a text, found a number at resourceSpans[0].scopeSpans[0].spans[0].name',
    ],
    [
      '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"AAECAwQFBgcICQoLDA0ODw=="}]}]}]}',
      'expected an id of 32 hex digits, found another text',
    ],
    [
      '{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"soon"}]}]}]}',
      'expected an integer from 0 to 18446744073709551615, found a text',
    ],
  ])('that is no request is refused with a reason: %s', (text, reason) => {
    expect(() => tracesFromJson(text)).toThrow(reason)
    expect(() => tracesFromJson(text)).toThrow(WireError)
  })
})
