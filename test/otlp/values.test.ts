import { describe, expect, it } from 'vitest'
import { logAsWritten, readLogs } from '../../src/otlp/logs.ts'
import { readTraces, spanAsWritten } from '../../src/otlp/traces.ts'
import { attributesOf } from '../../src/otlp/values.ts'
import { encode, LogsRequest, TraceRequest, type Json } from './oracle.ts'

const attribute = (key: string, value: Json): Json => ({ key, value })
const int = (value: string): Json => ({ intValue: value })
const text = (value: string): Json => ({ stringValue: value })

function requestOf(span: Json, language: string): Uint8Array {
  const resource = { attributes: [attribute('telemetry.sdk.language', text(language)), attribute('pid', text('17'))] }
  return encode(TraceRequest, { resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] })
}

const MOST = [
  '9007199254740992',
  '-9007199254740992',
  '9007199254740993',
  '-9223372036854775808',
  '9223372036854775807',
]

describe('integers', () => {
  const attributes = MOST.map((value, i) => attribute(`a${i}`, int(value)))
  const [span] = readTraces(requestOf({ attributes, events: [{ attributes }] }, 'python'))

  it('beyond 2^53 are the nearest double, and counted', () => {
    expect(Object.values(span!.attributes)).toEqual(MOST.map(Number))
    expect(span!.bigIntegers).toBe(6)
  })

  it('can be had with all their digits', () => {
    const { attributes, events } = spanAsWritten(span!.bytes, { exact: true })
    for (const fields of [attributes, events[0]!.attributes, attributesOf(span!.bytes, 9, { exact: true })]) {
      expect(JSON.stringify(Object.values(fields))).toBe(`[${MOST.join(',')}]`)
    }
  })

  it('of log records too, in body and attributes', () => {
    const record = { body: int(MOST[2]!), attributes }
    const [log] = readLogs(encode(LogsRequest, { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] }))
    expect(log).toMatchObject({ body: 2 ** 53, bigIntegers: 3 })
    expect(JSON.stringify(logAsWritten(log!.bytes, { exact: true }).body)).toBe(MOST[2])
  })
})

describe('integers that were written as text', () => {
  const numbers = ['0', '-1', '8192', '9007199254740993', '340282366920938463463374607431768211455']
  const texts = ['', '-', '-0', '+1', '01', '1.0', '1e3', ' 1', '0x10', '1'.repeat(40), '1'.repeat(400)]
  const attributes = [...numbers, ...texts].map((value, i) => attribute(`a${i}`, text(value)))
  const span = { name: '5', attributes, events: [{ attributes }] }

  it('count from Rust, and only if they are written as one writes integers', () => {
    const [read] = readTraces(requestOf(span, 'rust'))
    expect(Object.values(read!.attributes)).toEqual([...numbers.map(Number), ...texts])
    expect(read!.events[0]!.attributes).toEqual(read!.attributes)
    expect(read).toMatchObject({ name: '5', bigIntegers: 4, resource: { pid: '17' } })
  })

  it('count never or always when that is asked for', () => {
    expect(Object.values(readTraces(requestOf(span, 'rust'), { integerText: 'never' })[0]!.attributes)).toEqual([
      ...numbers,
      ...texts,
    ])
    expect(readTraces(requestOf(span, 'go'), { integerText: 'always' })[0]!.attributes).toMatchObject({ a2: 8192 })
    expect(readTraces(requestOf(span, 'go'))[0]!.attributes).toMatchObject({ a2: '8192' })
  })

  it('keep all their digits as well', () => {
    const [read] = readTraces(requestOf(span, 'rust'))
    const exact = spanAsWritten(read!.bytes, { exact: true, integerText: true }).attributes
    expect(JSON.stringify(Object.values(exact).slice(0, 5))).toBe(`[${numbers.join(',')}]`)
  })

  it('stay text in the body of a record', () => {
    const resource = { attributes: [attribute('telemetry.sdk.language', text('rust'))] }
    const record = { body: text('17'), attributes: [attribute('a', text('17'))] }
    const [log] = readLogs(encode(LogsRequest, { resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record] }] }] }))
    expect(log).toMatchObject({ body: '17', attributes: { a: 17 } })
  })
})

describe('spans', () => {
  it('share the objects of their resource and scope', () => {
    const scopeSpans = [
      { scope: { name: 'a' }, spans: [{}, {}] },
      { scope: { name: 'b' }, spans: [{}] },
    ]
    const body = encode(TraceRequest, { resourceSpans: [{ resource: {}, scopeSpans, schemaUrl: 'x' }] })
    const [a, b, c] = readTraces(body)
    expect(a!.resourceHead).toBe(c!.resourceHead)
    expect(a!.resource).toBe(c!.resource)
    expect(a!.scopeHead).toBe(b!.scopeHead)
    expect(a!.scopeHead).not.toBe(c!.scopeHead)
  })

  it('of a resource that comes in two pieces have the attributes of both', () => {
    const piece = (key: string): Uint8Array =>
      encode(TraceRequest, { resourceSpans: [{ resource: { attributes: [attribute(key, text('v'))] } }] }).subarray(2)
    const spans = encode(TraceRequest, { resourceSpans: [{ scopeSpans: [{ spans: [{}] }] }] }).subarray(2)
    const group = Buffer.concat([piece('a'), spans, piece('b')])
    const [span] = readTraces(Buffer.concat([Uint8Array.of(10, group.length), group]))
    expect(span!.resource).toEqual({ a: 'v', b: 'v' })
  })

  it('have durations exact to the nanosecond, or none', () => {
    const durationOf = (start: string, end: string): number | null =>
      readTraces(requestOf({ startTimeUnixNano: start, endTimeUnixNano: end }, 'go'))[0]!.durationMs
    expect(durationOf('1772366400000000001', '1772366400345678902')).toBe(345.678901)
    expect(durationOf('1772366400000000001', '1772366400000000001')).toBe(0)
    expect(durationOf('1772366400000000001', '1772366400000000000')).toBe(null)
    expect([durationOf('0', '5'), durationOf('5', '0')]).toEqual([null, null])
  })

  it('have bad UTF-8 replaced, and no id that is all zero', () => {
    const [span] = readTraces(requestOf({ name: 'ab', traceId: Array<number>(16).fill(0), spanId: [0, 0] }, 'go'))
    const bytes = Buffer.from(requestOf({ name: 'abcd' }, 'go'))
    bytes[bytes.indexOf('abcd') + 1] = 0xff
    expect([span!.traceId, span!.spanId, readTraces(bytes)[0]!.name]).toEqual(['', '', 'a\uFFFDcd'])
  })
})
