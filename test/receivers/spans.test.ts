import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileRules } from '../../src/layer/rules.ts'
import { serializeSpans } from '../../src/otlp/readable.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { LineReader } from '../../src/receivers/lines/index.ts'
import { LineSpans, type LineSpan } from '../../src/receivers/lines/spans.ts'
import { Counters } from '../../src/telemetry/counters.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { decode, flat, TraceRequest } from '../otlp/oracle.ts'
import { defaultLayer, RECEIVED_AT } from '../support/extract.ts'
import { fixture } from '../support/fixtures.ts'

/** The spans that lines make, in the order in which they end. */
function spansOf(input: Buffer | string, run = '01TEST'): LineSpan[] {
  const rules = compileRules(defaultLayer)
  const found: LineSpan[] = []
  const spans = new LineSpans(run, rules.stepFields.flat(), (span) => found.push(span))
  const out = { series: () => {}, point: () => {}, params: () => {}, example: () => {}, event: () => {} }
  const options = { rules, wrappers: SETTINGS['layer.wrappers'].default, spans }
  const stream = new LineReader(options, out, new Counters()).stream(() => RECEIVED_AT)
  stream.push(Buffer.from(input))
  stream.end()
  spans.end()
  return found
}

const at = (seconds: number): string => new Date(RECEIVED_AT + seconds * 1000).toISOString()
const line = (seconds: number, message: string, spans: object[], fields: object = {}): string =>
  `${JSON.stringify({ timestamp: at(seconds), level: 'INFO', target: 'ppo', fields: { message, ...fields }, span: spans.at(-1), spans })}\n`

/** Names from the root inwards, and how many events. */
const shape = (spans: readonly LineSpan[]): string[] => {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const path = (span: LineSpan): string =>
    span.parentSpanId === null ? span.name : `${path(byId.get(span.parentSpanId)!)}/${span.name}`
  return spans.map((span) => `${path(span)} ${JSON.stringify(span.attributes)} ${span.events.length}`).sort()
}

describe('lines of tracing-subscriber that show spans', () => {
  it('with FmtSpan::CLOSE give each span once, with its parent, events, and the times that the close line tells', () => {
    const { bytes } = fixture('rust-lines/nested-close.jsonl')
    const spans = spansOf(bytes)
    const closes = bytes
      .toString()
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text) as Record<string, any>)
      .filter(({ fields }) => fields.message === 'close')
    expect(spans.length).toBe(closes.length)
    const toMs: Record<string, number> = { ns: 1e-6, µs: 1e-3, ms: 1, s: 1000 }
    const ms = (text: string): number => Number.parseFloat(text) * toMs[text.replace(/[\d.]/g, '')]!
    for (const [i, { fields, span }] of closes.entries()) {
      const { name, ...attributes } = span
      expect(spans[i]).toMatchObject({ name, attributes })
      expect(spans[i]!.endMs - spans[i]!.startMs).toBeCloseTo(ms(fields['time.busy']) + ms(fields['time.idle']), 3)
    }
    // 'update_span' holds the two others, and the events of each are in it.
    expect(new Set(shape(spans).map((text) => text.split(' ')[0]))).toEqual(
      new Set(['update_span', 'update_span/rollout_span', 'update_span/optimization_span']),
    )
    expect(spans.find(({ name }) => name === 'rollout_span')!.events[0]).toMatchObject({
      name: 'rollout finished',
      attributes: { level: 'INFO', target: 'lines' },
    })
  })

  it('without it give the same spans from the first to the last line that shows them', () => {
    const withClose = shape(spansOf(fixture('rust-lines/nested-close.jsonl').bytes))
    const names = (shapes: readonly string[]): string[] => shapes.map((text) => text.split(' ')[0]!)
    for (const name of ['nested-default', 'flat']) {
      const spans = spansOf(fixture(`rust-lines/${name}.jsonl`).bytes)
      expect(new Set(names(shape(spans))), name).toEqual(new Set(names(withClose)))
      for (const span of spans) expect(span.endMs).toBeGreaterThanOrEqual(span.startMs)
    }
  })

  it('end a span when one of its name is at a later step, and with it what is inside', () => {
    const input = [
      line(0, 'a', [{ name: 'training' }, { name: 'update', step: 1 }, { name: 'rollout' }]),
      line(1, 'b', [{ name: 'training' }, { name: 'update', step: 1 }]),
      line(2, 'c', [{ name: 'training' }, { name: 'update', step: 2 }]),
      line(3, 'd', [{ name: 'training' }]),
    ]
    expect(
      spansOf(input.join('')).map(({ name, startMs, endMs, events }) => [
        name,
        startMs - RECEIVED_AT,
        endMs - RECEIVED_AT,
        events.length,
      ]),
    ).toEqual([
      ['rollout', 0, 0, 1],
      ['update', 0, 1000, 1],
      ['update', 2000, 2000, 1],
      ['training', 0, 3000, 1],
    ])
  })

  it('keep a span that gets more fields, and tell one that is not the same', () => {
    const input = [
      line(0, 'a', [{ name: 'worker', id: 1 }]),
      line(1, 'b', [{ name: 'worker', id: 2 }]),
      line(2, 'c', [{ name: 'worker', id: 1, seed: 7 }]),
    ]
    expect(spansOf(input.join('')).map(({ attributes, events }) => [attributes, events.length])).toEqual([
      [{ id: 2 }, 1],
      [{ id: 1, seed: 7 }, 2],
    ])
  })

  it('have ids that follow from the run and the order of the lines', () => {
    const { bytes } = fixture('rust-lines/nested-default.jsonl')
    const ids = (run: string): string[] => spansOf(bytes, run).map(({ traceId, spanId }) => traceId + spanId)
    expect(ids('01A')).toEqual(ids('01A'))
    expect(new Set([...ids('01A'), ...ids('01B')]).size).toBe(2 * ids('01A').length)
  })

  it('whose close never comes are bounded, and end when they have not been shown for a while', () => {
    const many = Array.from({ length: 5000 }, (_, i) => line(i / 100, 'x', [{ name: 'root' }, { name: 'job', id: i }]))
    let open = 0
    const rules = compileRules(defaultLayer)
    const spans = new LineSpans('01TEST', rules.stepFields.flat(), () => (open -= 1))
    const out = { series: () => {}, point: () => {}, params: () => {}, example: () => {}, event: () => {} }
    const stream = new LineReader({ rules, wrappers: ['fields'], spans }, out, new Counters()).stream()
    for (const text of many) {
      open += 1
      stream.push(Buffer.from(text))
      expect(open).toBeLessThanOrEqual(257)
    }
    spans.end()
    const idle = spansOf(line(0, 'a', [{ name: 'first' }]) + line(400, 'b', [{ name: 'second' }]))
    expect(idle[0]).toMatchObject({ name: 'first', endMs: RECEIVED_AT })
    const full = spansOf(Array.from({ length: 300 }, () => line(0, 'x', [{ name: 'one' }])).join(''))
    expect([full[0]!.events.length, full[0]!.droppedEvents]).toEqual([128, 172])
  })

  it('that nest lists by the thousands, or are thousands inside each other, end nothing', () => {
    const deep = `${'['.repeat(40_000)}${']'.repeat(40_000)}`
    const inside = Array.from({ length: 20_000 }, (_, i) => `{"name":"s${i}"}`).join(',')
    const input = `{"message":"x","span":{"name":"deep","a":${deep}}}\n{"message":"x","spans":[${inside}]}\n${line(1, 'x', [{ name: 'last' }])}`
    const from = performance.now()
    const spans = spansOf(input)
    expect(performance.now() - from).toBeLessThan(5000)
    expect(spans.map(({ name }) => name)).toContain('last')
    expect(spans).toHaveLength(65)
    expect(readTraces(serializeSpans(spans, {}))).toHaveLength(65)
  })

  it('harm nothing, whatever stands in span and spans', () => {
    const json = fc.jsonValue({ maxDepth: 3 })
    fc.assert(
      fc.property(
        fc.array(fc.record({ span: json, spans: json, message: fc.constantFrom('close', 'new', 'x') }), {
          maxLength: 20,
        }),
        (lines) => {
          const spans = spansOf(lines.map((each) => `${JSON.stringify(each)}\n`).join(''))
          expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length)
          expect(readTraces(serializeSpans(spans, {})).length).toBe(spans.length)
        },
      ),
    )
  })
})

it("the SDK's serializer writes what an independent decoder reads: names, ids, parents, times, attributes, events", () => {
  const spans = spansOf(fixture('rust-lines/nested-close.jsonl').bytes)
  const read = flat(decode(TraceRequest, serializeSpans(spans, { 'service.name': 'ppo' })))
  expect(read.length).toBe(spans.length)
  expect(read[0]!['resource'].resource.attributes[0]).toMatchObject({
    key: 'service.name',
    value: { stringValue: 'ppo' },
  })
  const again = readTraces(serializeSpans(spans, { 'service.name': 'ppo' }))
  for (const [i, span] of again.entries()) {
    const { name, traceId, spanId, parentSpanId, startMs, endMs, attributes, events } = spans[i]!
    expect(span).toMatchObject({ name, traceId, spanId, parentSpanId: parentSpanId ?? '', attributes })
    expect(span.durationMs).toBeCloseTo(endMs - startMs, 3)
    expect(span.events.map((event) => event.name)).toEqual(events.map((event) => event.name))
  }
})
