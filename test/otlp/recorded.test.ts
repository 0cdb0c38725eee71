import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readLogs } from '../../src/otlp/logs.ts'
import { wrapTraces } from '../../src/otlp/rewrap.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { recorded, type Recorded } from './bodies.ts'
import {
  decode,
  expectedLogs,
  expectedSpans,
  flat,
  LogsRequest,
  TraceRequest,
  withoutBytes,
  type Json,
} from './oracle.ts'

const traces = recorded.filter((request) => request.signal === 'traces')
const logs = recorded.filter((request) => request.signal === 'logs')

const sourceOf = ({ name }: Recorded): string => name.split('/')[0]!
const expectedOf = (folder: string): Json =>
  JSON.parse(readFileSync(new URL(`../fixtures/otlp/${folder}/expected.json`, import.meta.url), 'utf8')) as Json

describe('a recorded body', () => {
  it.each(traces)('reads as an independent decoder reads it: $name', ({ body }) => {
    const spans = readTraces(body, { integerText: 'never' })
    expect(spans.length).toBeGreaterThan(0)
    expect(spans.map(withoutBytes)).toEqual(expectedSpans(decode(TraceRequest, body)))
  })

  it.each(logs)('reads as an independent decoder reads it: $name', ({ body }) => {
    const found = readLogs(body)
    expect(found.length).toBeGreaterThan(0)
    expect(found.map(withoutBytes)).toEqual(expectedLogs(decode(LogsRequest, body)))
  })

  it.each(traces)('is the same request when its spans are wrapped again: $name', ({ body }) => {
    const again = wrapTraces(readTraces(body))
    expect(flat(decode(TraceRequest, again))).toEqual(flat(decode(TraceRequest, body)))
  })

  it.each([...new Set(traces.map(sourceOf))])(
    'has the spans, events and times that its program noted: %s',
    (folder) => {
      const spans = traces.filter((request) => sourceOf(request) === folder).flatMap(({ body }) => readTraces(body))
      const expected = expectedOf(folder)
      expect(spans).toHaveLength(expected['counts'].spans)
      expect(spans.flatMap((span) => span.events)).toHaveLength(expected['counts'].span_events)
      for (const noted of expected['spans'] as Json[]) {
        const span = spans.find(({ spanId }) => spanId === noted['span_id'])
        expect(span).toMatchObject({
          name: noted['name'],
          traceId: noted['trace_id'],
          parentSpanId: noted['parent_span_id'] ?? '',
        })
        if (noted['start_ns'] !== undefined) {
          const [start, end] = [BigInt(noted['start_ns']), BigInt(noted['end_ns'])]
          expect(span).toMatchObject({ startMs: Number(start / 1_000_000n), durationMs: Number(end - start) / 1e6 })
        }
      }
    },
  )
})
