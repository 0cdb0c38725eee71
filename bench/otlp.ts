/**
 * Reading spans: `readTraces` and taking every number, against the code that protobufjs generates from the schema. Both
 * run in turns on the same request; printed are the medians, in spans per second, and the median of the ratios per round.
 */
import { createRequire } from 'node:module'
import { isFields, type Fields } from '../src/layer/event.ts'
import { readTraces } from '../src/otlp/traces.ts'
import { requestOf } from './spans.ts'

const SPANS = 512
const ROUNDS = Number(process.argv[2] ?? 31)
const REQUESTS_A_ROUND = 20

type Json = Record<string, any>
const require = createRequire(import.meta.url)
const { opentelemetry } = require('otlp-transformer-oracle/build/src/generated/root.js') as Json
const Request = opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest as {
  decode(bytes: Uint8Array): Json
  encode(message: Json): { finish(): Uint8Array }
}

const body = requestOf(SPANS)

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
