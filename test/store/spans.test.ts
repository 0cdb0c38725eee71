import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tracesFromJson } from '../../src/otlp/json.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { RunHistory } from '../../src/store/history.ts'
import { FilledJournal } from '../support/filled-journal.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

interface Given {
  name: string
  id: number
  parent?: number
  /** Ms since the beginning of 2026. */
  start: number
  end: number
  attributes?: Record<string, number>
  isError?: boolean
}

const ZERO = Date.UTC(2026, 0)
const idOf = (n: number): string => n.toString(16).padStart(16, '0')
/** Times of our days in ms have a quarter of a microsecond as doubles. */
const rounded = (ms: number): number => Math.round(ms * 1000) / 1000
const nanos = (ms: number): string => `${BigInt(ZERO + ms) * 1_000_000n}`

const spanOf = ({ name, id, parent, start, end, attributes = {}, isError = false }: Given): object => ({
  traceId: '1'.repeat(32),
  spanId: idOf(id),
  ...(parent === undefined ? {} : { parentSpanId: idOf(parent) }),
  name,
  startTimeUnixNano: nanos(start),
  endTimeUnixNano: nanos(end),
  attributes: Object.entries(attributes).map(([key, n]) => ({ key, value: { intValue: String(n) } })),
  ...(isError ? { status: { code: 2 } } : {}),
})

/** A journal with these spans, as it is read where steps have such names. */
function historyOf(given: readonly Given[], stepFields?: readonly string[]): RunHistory {
  const path = join(temporaryDirectory(), '01TEST.sqlite')
  const { journal } = new FilledJournal({}, path)
  const json = { resourceSpans: [{ scopeSpans: [{ spans: given.map(spanOf) }] }] }
  const all = readTraces(tracesFromJson(JSON.stringify(json))).map(({ bytes }) => bytes)
  let end = 0
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  journal.addSpans({
    bytes: new Uint8Array(Buffer.concat(all)),
    ends: Uint32Array.from(all, (bytes) => (end += bytes.length)),
    heads: new Uint32Array(all.length),
  })
  journal.commit()
  return new RunHistory('01TEST', path, stepFields === undefined ? {} : { stepFields })
}

const TRAIN: readonly Given[] = [
  { name: 'update', id: 1, start: 0, end: 100, attributes: { step: 8, iteration: 3 } },
  { name: 'forward', id: 2, parent: 1, start: 10, end: 40 },
  { name: 'backward', id: 3, parent: 1, start: 40, end: 90, isError: true },
]

describe('the spans of a run', () => {
  it('have their place in time, and the step of a span around them', () => {
    const { range, total, spans } = historyOf(TRAIN).spans({ limit: 10 })
    expect([range, total]).toEqual([{ from: ZERO, to: ZERO + 100 }, 3])
    expect(
      spans.map(({ name, start, end, step, isError }) => [
        name,
        rounded(start - ZERO),
        rounded(end - ZERO),
        step,
        isError,
      ]),
    ).toEqual([
      ['update', 0, 100, 8, false],
      ['forward', 10, 40, 8, false],
      ['backward', 40, 90, 8, true],
    ])
  })

  it('of a stretch are those that touch it, the longest where they are too many', () => {
    const history = historyOf(TRAIN)
    const namesIn = (from: number, to: number, limit: number): string[] =>
      history.spans({ from: ZERO + from, to: ZERO + to, limit }).spans.map(({ name }) => name)
    expect(namesIn(50, 60, 10)).toEqual(['update', 'backward'])
    expect(namesIn(0, 100, 2)).toEqual(['update', 'backward'])
  })

  it('add up by step to the time that each name took by itself', () => {
    const { steps, names, counted, total } = historyOf(TRAIN).steps({ buckets: 10 })
    expect([steps, counted, total]).toEqual([[8], 3, 3])
    expect(names.map(({ name, ms }) => ({ name, ms: ms.map(rounded) }))).toEqual([
      { name: 'backward', ms: [50] },
      { name: 'forward', ms: [30] },
      { name: 'update', ms: [20] },
    ])
  })

  it('have the step where the settings say', () => {
    expect(historyOf(TRAIN, ['iteration']).steps({ buckets: 10 }).steps).toEqual([3])
    expect(historyOf(TRAIN, ['other']).steps({ buckets: 10 }).steps).toEqual([])
  })
})
