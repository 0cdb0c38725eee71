import { isDeepStrictEqual } from 'node:util'
import type { PutEvent } from '../../src/layer/event-row.ts'
import { Layer } from '../../src/layer/layer.ts'
import { compileRules } from '../../src/layer/rules.ts'
import { SpanLayer } from '../../src/layer/spans.ts'
import { WaitingLedger } from '../../src/layer/waiting.ts'
import { withResource } from '../../src/otlp/copy.ts'
import { SpanColumns } from '../../src/otlp/columns.ts'
import { logsFromJson, tracesFromJson } from '../../src/otlp/json.ts'
import { readLogs, type OtlpLog } from '../../src/otlp/logs.ts'
import { wrapTraces } from '../../src/otlp/rewrap.ts'
import { readPartialSuccess } from '../../src/otlp/status.ts'
import { readTraces, spanAsWritten, spanIdsOf, spanName, type OtlpSpan } from '../../src/otlp/traces.ts'
import { attributesOf } from '../../src/otlp/values.ts'
import { WireError } from '../../src/otlp/wire.ts'
import { ownerOf } from '../../src/receivers/otlp-http/identity.ts'
import { NUMBERS, POINTS, SKIP_REASONS, skipped, Counters, WAITING } from '../../src/telemetry/counters.ts'
import { hostile, hostileBytes, recorded } from '../otlp/bodies.ts'
import type { Random } from '../simulation/random.ts'
import { defaultLayer, RECEIVED_AT } from '../support/extract.ts'
import { mutate, mutateJson } from './mutate.ts'
import { mutateWire } from './mutate-wire.ts'
import { law, outcomeOf, type Target } from './target.ts'
import { checkEvent } from './events.ts'

const hostileBodies = hostile.map(({ data }) => hostileBytes(data)).filter(({ length }) => length < 100_000)
const bodiesOf = (signal: 'traces' | 'logs'): Buffer[] =>
  recorded.filter((each) => each.signal === signal).map(({ body }) => Buffer.from(body))
const textsOf = (signal: 'traces' | 'logs'): string[] =>
  recorded.flatMap((each) => (each.signal === signal && each.json !== null ? [each.json] : []))

/** A body is read several times here, and JSON at some 10 MB a second: more would be slow for its size alone. */
const MAX_BODY_BYTES = 300_000

function body(random: Random, bodies: readonly Buffer[]): Buffer {
  const other = random.of(bodies)
  const source = random.chance(0.05) ? random.of(hostileBodies) : random.of(bodies)
  const changed = random.chance(0.6) ? mutateWire(source, random) : source
  const again = changed === source || random.chance(0.4) ? mutate(changed, random, other) : changed
  return again.subarray(0, MAX_BODY_BYTES)
}

function text(random: Random, texts: readonly string[]): Buffer {
  const changed = Buffer.from(mutateJson(random.of(texts), random))
  return (random.chance(0.4) ? mutate(changed, random, changed) : changed).subarray(0, MAX_BODY_BYTES)
}

const rules = compileRules(defaultLayer)

interface Taken {
  points: [series: string, step: number, time: number, value: number][]
  counts: number[]
}

/** What the layer makes of a request, as objects or in columns: every number of it is a point, skipped, or waits until the end. */
function take(spans: readonly OtlpSpan[] | SpanColumns, logs: readonly OtlpLog[]): Taken {
  const counters = new Counters()
  const keys: string[] = []
  const points: Taken['points'] = []
  const layer = new Layer(
    rules,
    {
      params: () => {},
      firstSkipped: () => {},
      series: (id, key) => void (keys[id] = key),
      point: (series, step, time, value) => void points.push([keys[series]!, step, time, value]),
    },
    counters,
  )
  const putEvent: PutEvent = (_level, make) => checkEvent(make())
  const spanLayer = new SpanLayer({ rules, isMeasured: () => true, allows: () => true })
  const ledger = new WaitingLedger({ waiting: () => {}, settled: () => {} })
  const run = { layer, counters, ledger, names: new Set<string>(), putEvent }
  if (spans instanceof SpanColumns) spanLayer.columns(spans, [...spans.groups.keys()], run, RECEIVED_AT)
  else spanLayer.spans(spans, run, RECEIVED_AT)
  spanLayer.logs(logs, run, RECEIVED_AT)
  spanLayer.end(run)
  const { values } = counters
  const skips = SKIP_REASONS.reduce((sum, reason) => sum + values[skipped(reason)]!, 0)
  law(values[WAITING] === 0, 'nothing waits behind the end')
  law(values[NUMBERS] === values[POINTS]! + skips, 'numbers = points + skipped')
  law(values[POINTS] === points.length, 'every point that is counted is there')
  return { points, counts: [...values] }
}

/** One for all inputs, so that what it remembers of one meets the next. */
const columns = new SpanColumns()

function readColumns(bytes: Uint8Array, spans: readonly OtlpSpan[]): void {
  columns.read(bytes, { integerText: 'auto' })
  const same = Array.from({ length: columns.count }, (_, i) => columns.span(i))
  law(isDeepStrictEqual(same, spans), 'spans in columns are the same')
  law(isDeepStrictEqual(take(columns, []), take(spans, [])), 'spans in columns give the same points and counts')
}

/** @throws what the objects do not: that columns take it */
function refuseColumns(bytes: Uint8Array, error: unknown): never {
  const found = outcomeOf(() => columns.read(bytes, { integerText: 'auto' }), WireError)
  law(found === 'refused', 'what is refused is refused in columns')
  throw error
}

function spansOf(bytes: Uint8Array): OtlpSpan[] {
  try {
    return readTraces(bytes, { integerText: 'auto' })
  } catch (error) {
    return refuseColumns(bytes, error)
  }
}

function readAllTraces(bytes: Uint8Array): void {
  const spans = spansOf(bytes)
  const plain = readTraces(bytes, { integerText: 'never' })
  for (const { bytes, attributes } of plain)
    // The fast way to read attributes against the one that knows no short cuts.
    law(isDeepStrictEqual(attributesOf(bytes, 9), attributes), 'two ways to read have one result')
  const rewrapped = readTraces(wrapTraces(plain), { integerText: 'never' })
  law(isDeepStrictEqual(rewrapped.map(withoutBytes), plain.map(withoutBytes)), 'spans are the same, wrapped again')
  for (const span of spans.slice(0, 50)) {
    law(
      spanName(span.bytes) === span.name && spanIdsOf(span.bytes).traceId === span.traceId,
      'a span alone is the same',
    )
    spanAsWritten(span.bytes, { exact: true })
    const copied = withResource(span, (name) => name.startsWith('service.'))
    law(copied === span || spanName(copied.bytes) === span.name, 'attributes behind a span leave it what it is')
    ownerOf(span.resource, { attributes: ['service.name', 'host.name'], acceptIds: true, isOurs: () => false })
  }
  readColumns(bytes, spans)
}

const withoutBytes = (span: OtlpSpan): unknown => ({ ...span, bytes: null })

function readAllLogs(bytes: Uint8Array): void {
  const logs = readLogs(bytes, { integerText: 'auto' })
  law(readLogs(wrapTraces(logs), { integerText: 'auto' }).length === logs.length, 'records are the same, wrapped again')
  take([], logs)
}

/** What has been transcoded from JSON is sound: a refusal of it would be a fault of ours. */
function fromJson(transcode: (text: string) => Uint8Array, read: (bytes: Uint8Array) => void, input: Buffer): void {
  const bytes = transcode(input.toString())
  try {
    read(bytes)
  } catch (error) {
    throw error instanceof WireError && !error.message.startsWith('expected at most')
      ? new Error(`what was transcoded cannot be read: ${error.message}`, { cause: error })
      : error
  }
}

interface Kind {
  name: string
  share: number
  make: (random: Random) => Buffer
  read: (input: Buffer) => void
}

const wireTarget = ({ name, share, make, read }: Kind): Target => ({
  name,
  share,
  make,
  read: (input) => outcomeOf(() => read(input), WireError),
})

const [tracesBodies, logsBodies] = [bodiesOf('traces'), bodiesOf('logs')]
const [tracesTexts, logsTexts] = [textsOf('traces'), textsOf('logs')]

/** Answers of collectors to spans. */
const ANSWERS = [
  Buffer.alloc(0),
  Buffer.from('0a0c080312086261642073706e73', 'hex'),
  Buffer.from('0a0b08ffffffffffffffffff01', 'hex'),
  Buffer.from('{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad spans"}}'),
  Buffer.from('{"partialSuccess":{"rejectedLogRecords":7}}'),
  Buffer.from('{}'),
]

const answers: Kind = {
  name: 'otlp-answer',
  share: 2600,
  make: (random) => {
    const answer = random.of(ANSWERS)
    const changed = random.chance(0.3) ? Buffer.from(mutateJson(answer.toString('latin1'), random), 'latin1') : answer
    return mutate(changed, random, random.of(ANSWERS))
  },
  read: (input) => {
    const partial = readPartialSuccess(input, input[0] === 0x7b ? 'application/json' : 'application/x-protobuf')
    law(partial === null || Number.isInteger(partial.rejected), 'what was refused is a number of spans')
    law(partial === null || partial.rejected >= 0, 'no less than nothing is refused')
  },
}

export const OTLP_TARGETS: readonly Target[] = [
  { name: 'otlp-traces', share: 600, make: (random: Random) => body(random, tracesBodies), read: readAllTraces },
  { name: 'otlp-logs', share: 800, make: (random: Random) => body(random, logsBodies), read: readAllLogs },
  {
    name: 'otlp-json-traces',
    share: 80,
    make: (random: Random) => text(random, tracesTexts),
    read: (input: Buffer) => fromJson(tracesFromJson, readAllTraces, input),
  },
  {
    name: 'otlp-json-logs',
    share: 120,
    make: (random: Random) => text(random, logsTexts),
    read: (input: Buffer) => fromJson(logsFromJson, readAllLogs, input),
  },
  answers,
].map(wireTarget)
