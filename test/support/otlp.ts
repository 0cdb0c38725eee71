import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { EventRow, WaitingRow } from '../../src/channel/messages.ts'
import type { PutEvent } from '../../src/layer/event-row.ts'
import type { Fields, TracingEvent } from '../../src/layer/event.ts'
import { globs } from '../../src/layer/globs.ts'
import { compileRules, type LayerSettings } from '../../src/layer/rules.ts'
import { SpanLayer, type SpanLayerOptions } from '../../src/layer/spans.ts'
import { WaitingLedger } from '../../src/layer/waiting.ts'
import { Layer } from '../../src/layer/layer.ts'
import { SpanColumns } from '../../src/otlp/columns.ts'
import { logsFromJson, tracesFromJson } from '../../src/otlp/json.ts'
import { readLogs } from '../../src/otlp/logs.ts'
import { Names } from '../../src/otlp/names.ts'
import { SpanTemplates } from '../../src/otlp/span-templates.ts'
import { readTraces, type OtlpSpan, type ReadOptions } from '../../src/otlp/traces.ts'
import { COUNTERS, Counters } from '../../src/telemetry/counters.ts'
import { defaultLayer, RECEIVED_AT } from './extract.ts'

const ROOT = new URL('../fixtures/otlp/', import.meta.url)

/** A recorded request, decompressed; JSON is still JSON. */
export interface Recorded {
  path: string
  contentType: string
  contentEncoding: string | null
  /** As it was sent. */
  sent: Buffer
  body: Buffer
}

type Json = Record<string, any>

export const recordings: string[] = readdirSync(ROOT).filter((name) => !name.includes('.'))

export const expectedOf = (name: string): Json =>
  JSON.parse(readFileSync(new URL(`${name}/expected.json`, ROOT), 'utf8')) as Json

/** The requests of a recording, in order. */
export const requestsOf = (name: string): Recorded[] =>
  readdirSync(new URL(name, ROOT))
    .filter((file) => file.endsWith('.body'))
    .sort()
    .map((file) => {
      const head = JSON.parse(readFileSync(new URL(`${name}/${file.replace('.body', '.json')}`, ROOT), 'utf8')) as Json
      const headers = new Map((head['headers'] as [string, string][]).map(([key, value]) => [key.toLowerCase(), value]))
      const sent = readFileSync(new URL(`${name}/${file}`, ROOT))
      const contentEncoding = headers.get('content-encoding') ?? null
      return {
        path: head['path'] as string,
        contentType: headers.get('content-type')!,
        contentEncoding,
        sent,
        body: contentEncoding === 'gzip' ? gunzipSync(sent) : sent,
      }
    })

export interface Taken {
  points: { key: string; step: number; time: number; value: number }[]
  params: [string, string][]
  counts: Record<string, number>
  spans: OtlpSpan[]
  /** Those of level WARN and above. */
  events: EventRow[]
  /** The first of which something was skipped, by reason. */
  examples: { reason: string; message: string | null; wrapped: readonly Fields[] }[]
}

export interface OtlpRunOptions {
  settings?: Partial<LayerSettings>
  /** Spans are read as objects, not as columns. */
  asObjects?: boolean
  allows?: SpanLayerOptions['allows']
  isMeasured?: SpanLayerOptions['isMeasured']
  reading?: ReadOptions
}

/** A run that takes OTLP; `now` is the time of receipt. */
export function otlpRun({
  settings = {},
  asObjects = false,
  allows = () => true,
  isMeasured = globs(['*']),
  reading = {},
}: OtlpRunOptions = {}) {
  const counters = new Counters()
  const keys: string[] = []
  const taken: Taken = { points: [], params: [], counts: {}, spans: [], events: [], examples: [] }
  const rules = compileRules({ ...defaultLayer, ...settings })
  const out = {
    series: (id: number, key: string): void => void (keys[id] = key),
    point: (series: number, step: number, time: number, value: number): void =>
      void taken.points.push({ key: keys[series]!, step, time, value }),
    params: (params: readonly (readonly [string, string])[]): void =>
      void taken.params.push(...params.map(([name, value]): [string, string] => [name, value])),
    firstSkipped: (reason: string, { message, wrapped }: TracingEvent): void =>
      void taken.examples.push({ reason, message, wrapped }),
  }
  const layer = new Layer(rules, out, counters)
  const kept = new Map<number, WaitingRow>()
  const keeper = {
    waiting: (rows: readonly WaitingRow[]): void => rows.forEach((row) => kept.set(row.id, row)),
    settled: (ids: readonly number[]): void => ids.forEach((id) => kept.delete(id)),
  }
  const spans = new SpanLayer({ rules, isMeasured, allows })
  const putEvent: PutEvent = (_level, make) => void taken.events.push(make())
  const run = { layer, counters, ledger: new WaitingLedger(keeper), names: new Set<string>(), putEvent }
  const columns = new SpanColumns(new Names(), new SpanTemplates((name) => spans.asksText(name)))
  const inColumns = (body: Uint8Array, now: number): OtlpSpan[] => {
    columns.read(body, reading)
    const groups = [...columns.groups.keys()]
    return spans.columns(columns, groups, run, now).map((span) => columns.span(span))
  }
  return {
    layer: spans,
    end: (): void => spans.end(run),
    /** What the journal would hold of the waiting. */
    kept,
    traces: (body: Uint8Array, now = RECEIVED_AT): void =>
      void taken.spans.push(...(asObjects ? spans.spans(readTraces(body, reading), run, now) : inColumns(body, now))),
    logs: (body: Uint8Array, now = RECEIVED_AT): void => spans.logs(readLogs(body), run, now),
    take(request: Recorded): void {
      const isJson = request.contentType.startsWith('application/json')
      const text = request.body.toString()
      if (request.path === '/v1/traces') this.traces(isJson ? tracesFromJson(text) : request.body)
      else this.logs(isJson ? logsFromJson(text) : request.body)
    },
    get taken(): Taken {
      taken.counts = Object.fromEntries(
        COUNTERS.map((name, i) => [name, counters.values[i]!] as const).filter(([, n]) => n !== 0),
      )
      return taken
    },
  }
}
