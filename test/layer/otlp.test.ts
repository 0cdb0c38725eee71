import { describe, expect, it } from 'vitest'
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
        run.layer.end()
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
