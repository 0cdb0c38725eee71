import { expect, it } from 'vitest'
import { lineAt, NUMBERS } from '../../bench/load/lines.ts'
import { countOf } from '../../bench/load/otlp-count.ts'
import { agesOf, shownLine } from '../../bench/load/page-lines.ts'
import { POINTS_A_SPAN, SPANS_A_REQUEST, SpanRequests } from '../../bench/load/spans.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { decode, LogsRequest, TraceRequest } from '../otlp/oracle.ts'
import { spanbridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'
import { recordings, requestsOf } from '../support/otlp.ts'

it('each line gives ten points, with new numbers in every line and as many series as were asked for', async () => {
  const lines = Array.from({ length: 2000 }, (_, i) => lineAt(i, Date.now(), 5))
  const stateDir = temporaryDirectory()
  await spanbridge(['--quiet', '--state-dir', stateDir], lines.join(''))
  const [run] = await statusOf(stateDir)
  expect(run).toMatchObject({ points: 2000 * NUMBERS, series: 5 * 40, notEvents: {}, skipped: { no_step: 0 } })
  const decimals = lines.flatMap((line) => line.match(/\d+\.\d{6,}(?!\d*Z)/g) ?? [])
  expect(decimals.length).toBeGreaterThan(10_000)
  expect(new Set(decimals).size).toBeGreaterThan(decimals.length * 0.999)
})

it('requests of spans never repeat an id, a step or a number, and each span gives eleven points', () => {
  const requests = [new SpanRequests(1), new SpanRequests(2, 'other')]
  const spans = requests.flatMap((one) => [1, 2].flatMap(() => [...readTraces(Buffer.from(one.next()))]))
  expect(spans).toHaveLength(4 * SPANS_A_REQUEST)
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length)
  expect(new Set(spans.map(({ attributes }) => attributes['step'])).size).toBe(spans.length)
  const numbers = spans.flatMap(({ attributes }) =>
    Object.entries(attributes).flatMap(([name, value]) =>
      typeof value === 'number' && name !== 'step' ? [value] : [],
    ),
  )
  expect(numbers).toHaveLength((POINTS_A_SPAN - 1) * spans.length)
  expect(new Set(numbers).size).toBe(numbers.length)
})

it('the sink counts spans and log records as the SDK decodes them', () => {
  for (const name of recordings)
    for (const { path, contentType, body } of requestsOf(name)) {
      if (contentType !== 'application/x-protobuf') continue
      const isTraces = path === '/v1/traces'
      const message = decode(isTraces ? TraceRequest : LogsRequest, body)
      const groups: any[] = isTraces ? message['resourceSpans'] : message['resourceLogs']
      const expected = groups
        .flatMap((group) => group.scopeSpans ?? group.scopeLogs)
        .reduce((sum: number, scope: any) => sum + (scope.spans ?? scope.logRecords).length, 0)
      expect(countOf(body), `${name} ${path}`).toBe(expected)
    }
})

it('a value that the page passes over is as old as the one behind it is when that is read', () => {
  expect(
    agesOf(
      [
        [1500, '2'],
        [1500, '2'],
        [1900, '1,003'],
      ],
      [0, 1000, 1001, ...Array.from({ length: 1001 }, () => 1100)],
    ),
  ).toEqual([500, 499, ...Array.from({ length: 1001 }, () => 800)])
  expect(() => agesOf([[1500, '2']], [0, 1, 2, 3])).toThrow('expected 3 values on the page, got 2')
})

it('a line for the page gives ten points', async () => {
  const stateDir = temporaryDirectory()
  await spanbridge(['--quiet', '--state-dir', stateDir], shownLine(0, 1.7e12) + shownLine(1, 1.7e12))
  expect((await statusOf(stateDir))[0]).toMatchObject({ points: 20, series: 10 })
})
