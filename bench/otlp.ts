/**
 * Reading spans and taking every number of them into columns, as a run does, against the code that protobufjs generates from the
 * schema, which only decodes. Both run in turns on the same requests; printed are the medians, in spans per second, and the
 * median of the ratios per round.
 *
 *     node bench/otlp.ts --rounds 21
 *     node bench/otlp.ts --json        one line with the ratio of each round
 */
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { SpanColumns } from '../src/otlp/columns.ts'
import { layerOf } from './otlp-layer.ts'
import { NUMBERS_A_SPAN, requestOf } from './spans.ts'

const SPANS = 512
const REQUESTS_A_ROUND = 20
/** The first rounds warm up. */
const WARM_UP = 3

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '21' }, json: { type: 'boolean', default: false } },
})

const require = createRequire(import.meta.url)
const { opentelemetry } = require('otlp-transformer-oracle/build/src/generated/root.js') as Record<string, any>
const Request = opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest as {
  decode(bytes: Uint8Array): { resourceSpans: { scopeSpans: { spans: unknown[] }[] }[] }
}

const columns = new SpanColumns()
const layer = layerOf()

/** @returns how many numbers became points */
function ours(body: Buffer): number {
  columns.read(body)
  return layer.take(columns)
}

const theirs = (body: Buffer): number =>
  Request.decode(body).resourceSpans[0]!.scopeSpans[0]!.spans.length * NUMBERS_A_SPAN

function spansPerSecond(bodies: readonly Buffer[], read: (body: Buffer) => number): number {
  let ms = 0
  let numbers = 0
  for (const body of bodies) {
    // As a body is that has just come out of its socket: near the processor.
    const copy = Buffer.from(body)
    const from = performance.now()
    numbers += read(copy)
    ms += performance.now() - from
  }
  const rate = (SPANS * bodies.length * 1000) / ms
  if (numbers !== SPANS * bodies.length * NUMBERS_A_SPAN) throw new Error(`${numbers} numbers were taken`)
  return rate
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

let bytes = 0
const rounds = Array.from({ length: Number(flags.rounds) + WARM_UP }, (_, i) => {
  // Spans that have come before are not taken again: hence others in each round.
  const bodies = Array.from({ length: REQUESTS_A_ROUND }, () => requestOf(SPANS))
  bytes = bodies[0]!.length
  const order = i % 2 === 0 ? [ours, theirs] : [theirs, ours]
  const rates = new Map(order.map((read) => [read, spansPerSecond(bodies, read)]))
  return { ours: rates.get(ours)!, theirs: rates.get(theirs)! }
}).slice(WARM_UP)

const ratios = rounds.map(({ ours, theirs }) => ours / theirs)
console.log(
  JSON.stringify(
    flags.json
      ? { rows: { 'otlp-decode': ratios } }
      : {
          bytesPerSpan: Math.round(bytes / SPANS),
          readAndTaken: Math.round(median(rounds.map(({ ours }) => ours))),
          protobufjsDecode: Math.round(median(rounds.map(({ theirs }) => theirs))),
          ratio: Number(median(ratios).toFixed(2)),
        },
  ),
)
