/**
 * Reading spans: `readTraces` and taking every number, against the code that protobufjs generates from the schema. Both
 * run in turns on the same request; printed are the medians, in spans per second, and the median of the ratios per round.
 */
import { createRequire } from 'node:module'
import { isFields, type Fields } from '../src/layer/event.ts'
import { tracesFromJson } from '../src/otlp/json.ts'
import { readTraces } from '../src/otlp/traces.ts'

const SPANS = 512
const ROUNDS = Number(process.argv[2] ?? 31)
const REQUESTS_A_ROUND = 20
const NAMES = ['policy_loss', 'value_loss', 'entropy', 'approx_kl', 'clip_fraction', 'grad_norm', 'learning_rate']

type Json = Record<string, any>
const require = createRequire(import.meta.url)
const { opentelemetry } = require('otlp-transformer-oracle/build/src/generated/root.js') as Json
const Request = opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest as {
  decode(bytes: Uint8Array): Json
  encode(message: Json): { finish(): Uint8Array }
}

const attribute = (key: string, value: Json): Json => ({ key, value })
const numbers = (): Json[] => NAMES.map((name) => attribute(name, { doubleValue: Math.random() * 10 }))
const hex = (bytes: number): string =>
  Array.from({ length: bytes * 2 }, () => Math.floor(Math.random() * 16).toString(16)).join('')

const parents = Array.from({ length: SPANS / 16 }, () => ({ traceId: hex(16), parentSpanId: hex(8) }))

/** A span with 10 attributes and 2 events of 9 attributes: 21 numbers and 3 steps. 16 of them are the children of one span. */
function span(i: number): Json {
  const start = 1_772_366_400_000_000_000n + BigInt(i) * 3_141_592n
  const step = attribute('step', { intValue: String(i * 8192) })
  const category = attribute('category', { stringValue: 'TRAINER' })
  const event = (at: bigint): Json => ({
    timeUnixNano: String(start + at),
    name: 'update done',
    attributes: [category, step, ...numbers()],
  })
  return {
    ...parents[i >> 4],
    spanId: hex(8),
    name: 'train_step',
    kind: 1,
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(start + 2_500_000n),
    attributes: [category, step, attribute('phase', { stringValue: 'learn' }), ...numbers()],
    events: [event(1_000_000n), event(2_000_000n)],
    status: {},
  }
}

const resource = { attributes: [attribute('service.name', { stringValue: 'ppo' })] }
const scopeSpans = [{ scope: { name: 'trainer' }, spans: Array.from({ length: SPANS }, (_, i) => span(i)) }]
const body = tracesFromJson(JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }))

function sumOf(fields: Fields): number {
  let sum = 0
  for (const name in fields) {
    const value = fields[name]
    if (typeof value === 'number') sum += value
    else if (isFields(value)) sum += sumOf(value)
  }
  return sum
}

function ours(): number {
  let sum = 0
  for (const { attributes, events } of readTraces(body)) {
    sum += sumOf(attributes)
    for (const event of events) sum += sumOf(event.attributes)
  }
  return sum
}

function sumOfList(attributes: Json[]): number {
  let sum = 0
  for (const { value } of attributes) {
    if (value.doubleValue !== null && value.doubleValue !== undefined) sum += value.doubleValue
    else if (value.intValue !== null && value.intValue !== undefined) sum += Number(value.intValue)
  }
  return sum
}

function theirs(): number {
  let sum = 0
  for (const { scopeSpans } of Request.decode(body)['resourceSpans'])
    for (const { spans } of scopeSpans)
      for (const { attributes, events } of spans) {
        sum += sumOfList(attributes)
        for (const event of events) sum += sumOfList(event.attributes)
      }
  return sum
}

function spansPerSecond(read: () => number): number {
  const from = performance.now()
  for (let i = 0; i < REQUESTS_A_ROUND; i += 1) read()
  return (SPANS * REQUESTS_A_ROUND * 1000) / (performance.now() - from)
}

const decodeOnly = (): number => (Request.decode(body)['resourceSpans'] as unknown[]).length
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

if (Math.abs(ours() / theirs() - 1) > 1e-9) throw new Error(`the sums differ: ${ours()}, ${theirs()}`)
const rounds = Array.from({ length: ROUNDS }, (_, i) => {
  const order = i % 2 === 0 ? [ours, decodeOnly, theirs] : [theirs, decodeOnly, ours]
  return new Map(order.map((read) => [read, spansPerSecond(read)]))
}).slice(3) // the first ones warm up

const rate = (read: () => number): number => median(rounds.map((round) => round.get(read)!))
const ratio = (read: () => number): number => median(rounds.map((round) => round.get(ours)! / round.get(read)!))
console.log(
  JSON.stringify({
    bytesPerSpan: Math.round(body.length / SPANS),
    readTracesAndNumbers: Math.round(rate(ours)),
    protobufjsDecode: Math.round(rate(decodeOnly)),
    protobufjsDecodeAndNumbers: Math.round(rate(theirs)),
    ratioToDecode: Number(ratio(decodeOnly).toFixed(2)),
    ratioToDecodeAndNumbers: Number(ratio(theirs).toFixed(2)),
  }),
)
