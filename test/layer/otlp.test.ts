import { describe, expect, it } from 'vitest'
import { encode, TraceRequest } from '../otlp/oracle.ts'
import { numberOf } from '../support/fixtures.ts'
import { expectedOf, otlpRun, recordings, requestsOf } from '../support/otlp.ts'

type Json = Record<string, any>
interface Point {
  key: string
  step: number
  value: number
}

const line = ({ key, step, value }: Point): string => `${key} ${step} ${Object.is(value, -0) ? '-0' : String(value)}`

const pointsOf = (expected: Json): Point[] =>
  ['span_attribute_points', 'span_event_points', 'log_points']
    .flatMap((kind) => (expected[kind] ?? []) as Json[])
    .map(({ key, step, value }) => ({ key, step, value: numberOf(value) }))

describe('a recorded OTLP stream', () => {
  for (const name of recordings) {
    const head = expectedOf(name)
    const optional = new Set((head['optional_keys'] ?? []) as string[])
    const isOwn = ({ key }: Point): boolean =>
      !/\/span\/.*\/duration_ms$/.test(key) && !optional.has(key.slice(key.indexOf('/') + 1))
    const readings: [string, Json, boolean][] = [
      ['gives exactly the points that its program logged', head['if_integer_text_counts'] ?? head, true],
      ...(head['if_steps_are_not_inherited'] === undefined || head['if_integer_text_counts'] !== undefined
        ? []
        : [
            ['gives only what is its own when steps are not inherited', head['if_steps_are_not_inherited'], false] as [
              string,
              Json,
              boolean,
            ],
          ]),
    ]
    for (const [what, expected, inherit] of readings) {
      it(`${name} ${what}`, () => {
        const run = otlpRun({ settings: { inherit } })
        for (const request of requestsOf(name)) run.take(request)
        run.end()
        const { points, counts, params } = run.taken
        expect(points.filter(isOwn).map(line).sort()).toEqual(pointsOf(expected).map(line).sort())
        const durations = points.filter(({ key }) => /\/span\/.*\/duration_ms$/.test(key))
        const spans = (expected['spans'] ?? []) as Json[]
        const measured = spans.filter(({ step }) => step !== null)
        expect(durations.map(({ key, step }) => `${key} ${step}`).sort()).toEqual(
          measured.map(({ name: span, prefix, step }) => `${prefix}/span/${span}/duration_ms ${step}`).sort(),
        )
        // Every number is a point, skipped, or waits: here nothing waits any more.
        const skipped = Object.entries(counts).filter(([counter]) => counter.startsWith('skipped.'))
        expect(counts['received.numbers']).toBe((counts['points'] ?? 0) + skipped.reduce((sum, [, n]) => sum + n, 0))
        expect(counts['waiting'] ?? 0).toBe(0)
        expect((counts['skipped.no_step'] ?? 0) - spans.filter(({ step }) => step === null).length).toBe(
          expected['numbers'].skipped_no_step,
        )
        expect(counts['skipped.config'] ?? 0).toBe(expected['numbers'].skipped_config)
        for (const { fields } of (expected['params'] ?? []) as Json[])
          for (const [param, value] of Object.entries(fields as Json))
            if (typeof value !== 'object' && !optional.has(param))
              expect(
                params.map(([key]) => key),
                `${param}=${String(value)}`,
              ).toContain(param)
      })
    }
  }
})

const id = (n: number, bytes: number): Buffer => Buffer.from(n.toString(16).padStart(bytes * 2, '0'), 'hex')

/** A request with spans of one trace, `[id, parent, attributes]`, under a resource. */
const request = (
  spans: [number, number, Record<string, number | string>][],
  resource: Record<string, number> = {},
): Uint8Array => {
  const list = (attributes: Record<string, number | string>): Json[] =>
    Object.entries(attributes).map(([key, value]) => ({
      key,
      value: typeof value === 'string' ? { stringValue: value } : { intValue: value },
    }))
  const all = spans.map(([span, parent, attributes]) => ({
    traceId: id(1, 16),
    spanId: span === 0 ? Buffer.alloc(0) : id(span, 8),
    ...(parent === 0 ? {} : { parentSpanId: id(parent, 8) }),
    name: 's',
    attributes: list(attributes),
  }))
  return encode(TraceRequest, {
    resourceSpans: [{ resource: { attributes: list(resource) }, scopeSpans: [{ spans: all }] }],
  })
}

const stepsOf = (run: ReturnType<typeof otlpRun>): number[] => run.taken.points.map(({ step }) => step)

describe('steps of spans', () => {
  it('come from a parent that is sent later, and from the resource only when none comes', () => {
    const run = otlpRun()
    run.traces(request([[2, 1, { loss: 2 }]], { step: 44 }))
    expect([stepsOf(run), run.taken.counts['waiting']]).toEqual([[], 1])
    run.traces(request([[1, 0, { step: 7 }]], { step: 44 }))
    run.traces(request([[4, 3, { loss: 2 }]], { step: 44 }))
    run.end()
    expect(stepsOf(run)).toEqual([7, 44])
  })

  it('wait ten minutes for their parents, and are no_step then', () => {
    const run = otlpRun()
    run.traces(request([[2, 1, { loss: 2 }]]), 1_000)
    run.layer.expire(1_000 + 10 * 60_000 - 1)
    expect(run.taken.counts['waiting']).toBe(1)
    run.layer.expire(1_000 + 10 * 60_000)
    expect(run.taken.counts).toMatchObject({ 'received.numbers': 1, 'skipped.no_step': 1 })
    expect(run.taken.counts['waiting']).toBeUndefined()
  })

  it('are found through long chains, each link walked once', () => {
    const run = otlpRun()
    const chain = Array.from({ length: 20_000 }, (_, i): [number, number, Record<string, number>] => [
      i + 2,
      i + 1,
      { loss: i },
    ])
    const before = performance.now()
    run.traces(request([...chain.toReversed(), [1, 0, { step: 5 }]]))
    expect(new Set(stepsOf(run))).toEqual(new Set([5]))
    expect(run.taken.points.length).toBe(20_000)
    // Walked for each span anew it would be 200 million steps.
    expect(performance.now() - before).toBeLessThan(5_000)
  })

  it('of many that wait for one span cost no more each than of few', () => {
    const run = otlpRun()
    const spans = Array.from({ length: 60_000 }, (_, i): [number, number, Record<string, number>] => [
      i + 2,
      1,
      { loss: i },
    ])
    const before = performance.now()
    for (let i = 0; i < spans.length; i += 10_000) run.traces(request(spans.slice(i, i + 10_000)))
    run.traces(request([[1, 0, { step: 5 }]]))
    expect(run.taken.points.length).toBe(60_000)
    expect(performance.now() - before).toBeLessThan(10_000)
  })

  it('are not taken twice of a span without an id that comes again', () => {
    const run = otlpRun()
    const body = request([[0, 0, { step: 1, loss: 2 }]])
    run.traces(body)
    run.traces(body)
    expect(run.taken.counts).toMatchObject({ points: 1, 'spans.duplicate': 1 })
  })
})
