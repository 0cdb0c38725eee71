import { describe, expect, it } from 'vitest'
import { logsFromJson, tracesFromJson } from '../../src/otlp/json.ts'
import { RECEIVED_AT } from '../support/extract.ts'
import { otlpRun } from '../support/otlp.ts'

type Attributes = Record<string, string | number>

const list = (attributes: Attributes): unknown[] =>
  Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? { stringValue: value } : { doubleValue: value },
  }))

const TRACE = '1'.repeat(32)
const idOf = (span: number): string => String(span).padStart(16, '0')

interface Log {
  severityNumber?: number
  severityText?: string
  body?: unknown
  eventName?: string
  timeUnixNano?: string
  attributes?: Attributes
  /** The span around it. */
  span?: number
}

const logs = (records: readonly Log[], scope?: unknown, resource: Attributes = {}): Uint8Array =>
  logsFromJson(
    JSON.stringify({
      resourceLogs: [
        {
          resource: { attributes: list(resource) },
          scopeLogs: [
            {
              scope,
              logRecords: records.map(({ attributes = {}, span, ...rest }) => ({
                ...rest,
                attributes: list(attributes),
                ...(span === undefined ? {} : { traceId: TRACE, spanId: idOf(span) }),
              })),
            },
          ],
        },
      ],
    }),
  )

interface SpanEvent {
  name: string
  timeUnixNano?: string
  attributes?: Attributes
}

const span = (
  id: number,
  parent: number | null,
  attributes: Attributes,
  events: readonly SpanEvent[] = [],
): Uint8Array =>
  tracesFromJson(
    JSON.stringify({
      resourceSpans: [
        {
          scopeSpans: [
            {
              spans: [
                {
                  traceId: TRACE,
                  spanId: idOf(id),
                  ...(parent === null ? {} : { parentSpanId: idOf(parent) }),
                  name: 's',
                  attributes: list(attributes),
                  events: events.map(({ attributes = {}, ...rest }) => ({ ...rest, attributes: list(attributes) })),
                },
              ],
            },
          ],
        },
      ],
    }),
  )

const text = (stringValue: string) => ({ stringValue })

describe('a log record of level WARN or above', () => {
  it('is kept with time, level, the name of its scope, body, step and attributes', () => {
    const run = otlpRun()
    const attributes = { step: 7, loss: 2.5, 'code.line.number': 3, 'exception.type': 'ValueError' }
    run.logs(
      logs([{ severityNumber: 17, body: text('no'), timeUnixNano: '1700000000250000000', attributes }], {
        name: 'ppo.train',
        version: '1',
        attributes: list({ a: 'b' }),
      }),
    )
    expect(run.taken.events).toEqual([
      {
        time: 1_700_000_000_250,
        level: 'ERROR',
        target: 'ppo.train',
        message: 'no',
        step: 7,
        fields: '{"step":7,"loss":2.5,"exception.type":"ValueError"}',
      },
    ])
    expect(run.taken.points).toMatchObject([{ step: 7, value: 2.5 }])
  })

  it.each<[Log, string | undefined]>([
    [{ severityNumber: 24 }, 'ERROR'],
    [{ severityNumber: 17 }, 'ERROR'],
    [{ severityNumber: 16 }, 'WARN'],
    [{ severityNumber: 13 }, 'WARN'],
    [{ severityNumber: 12, severityText: 'ERROR' }, undefined],
    [{ severityText: 'Critical' }, 'ERROR'],
    [{ severityText: 'WARNING' }, 'WARN'],
    [{ severityText: 'INFO' }, undefined],
    [{}, undefined],
  ])('is known by its number, or by its word where it has none: %j', (log, level) => {
    const run = otlpRun()
    run.logs(logs([log]))
    expect(run.taken.events.map((event) => event.level)).toEqual(level === undefined ? [] : [level])
  })

  it('without a text has its body as JSON, or the name of its event, and the time of its receipt', () => {
    const run = otlpRun()
    const body = { kvlistValue: { values: [{ key: 'a', value: text('b') }] } }
    run.logs(logs([{ body }, { body, eventName: 'gone' }, {}].map((log) => ({ ...log, severityNumber: 13 }))))
    expect(run.taken.events.map(({ message }) => message)).toEqual(['{"a":"b"}', 'gone', ''])
    expect(run.taken.events.map(({ time, target }) => [time, target])).toEqual([1, 2, 3].map(() => [RECEIVED_AT, '']))
  })

  it('is kept at once: with the step of the spans around it where these are here, else without, and not twice', () => {
    const run = otlpRun()
    run.traces(span(1, null, { step: 7 }))
    run.traces(span(2, 1, {}))
    const log = { severityNumber: 13, attributes: { loss: 1 } }
    run.logs(
      logs(
        [
          { ...log, span: 2 },
          { ...log, span: 3 },
          { severityNumber: 13, span: 3 },
        ],
        undefined,
        { step: 44 },
      ),
    )
    expect(run.taken.events.map(({ step }) => step)).toEqual([7, null, null])
    expect(run.taken.points.map(({ step }) => step)).toEqual([7])
    run.traces(span(3, null, { step: 8 }))
    run.end()
    expect(run.taken.points.map(({ step }) => step)).toEqual([7, 8])
    expect(run.taken.events.length).toBe(3)
  })

  it('has the step of its resource where no span is around it', () => {
    const run = otlpRun()
    run.logs(logs([{ severityNumber: 13 }], undefined, { step: 44 }))
    expect(run.taken.events.map(({ step }) => step)).toEqual([44])
  })

  it('has no step of others where steps are not inherited', () => {
    const run = otlpRun({ settings: { inherit: false } })
    run.logs(
      logs([
        { severityNumber: 13, span: 3 },
        { severityNumber: 13, span: 3, attributes: { step: 1 } },
      ]),
    )
    expect(run.taken.events.map(({ step }) => step)).toEqual([null, 1])
  })

  it('is not kept where the filter keeps it out', () => {
    const run = otlpRun({ allows: (_target, level) => level === 1 })
    run.logs(logs([{ severityNumber: 13 }, { severityNumber: 17 }]))
    expect(run.taken.events.map(({ level }) => level)).toEqual(['ERROR'])
  })
})

describe.each([{ asObjects: false }, { asObjects: true }])('an event of a span, $asObjects', (how) => {
  const warning = (step: number): SpanEvent => ({
    name: 'gradients are large',
    timeUnixNano: '1700000000250000000',
    attributes: { level: 'WARN', target: 'ppo::train', norm: step / 2 },
  })

  it('that says it is a warning is kept as a line would be, and its numbers become points', () => {
    const run = otlpRun(how)
    for (const step of [7, 8, 9]) run.traces(span(step, null, { step }, [warning(step)]))
    expect(run.taken.events).toEqual(
      [7, 8, 9].map((step) => ({
        time: 1_700_000_000_250,
        level: 'WARN',
        target: 'ppo::train',
        message: 'gradients are large',
        step,
        fields: JSON.stringify({ norm: step / 2 }),
      })),
    )
    expect(run.taken.points.filter(({ key }) => key.endsWith('norm')).map(({ value }) => value)).toEqual([3.5, 4, 4.5])
  })

  it('that is an exception is an error with its type and words', () => {
    const run = otlpRun(how)
    const attributes = { 'exception.type': 'ValueError', 'exception.message': 'no', 'exception.stacktrace': 'at a' }
    run.traces(span(1, null, { step: 3 }, [{ name: 'exception', attributes }, { name: 'exception' }]))
    expect(run.taken.events.map(({ level, message, step }) => ({ level, message, step }))).toEqual([
      { level: 'ERROR', message: 'ValueError: no', step: 3 },
      { level: 'ERROR', message: 'exception', step: 3 },
    ])
    expect(run.taken.events[0]!.fields).toContain('"exception.stacktrace":"at a"')
  })

  it('of a lower level, or without one, is not kept, nor what the filter keeps out', () => {
    const run = otlpRun({ ...how, allows: (target) => target !== 'noisy' })
    const event = (level: string, target: string): SpanEvent => ({ name: 'e', attributes: { level, target } })
    run.traces(
      span(1, null, { step: 3 }, [event('INFO', 'a'), event('ERROR', 'noisy'), { name: 'e' }, event('ERROR', 'a')]),
    )
    expect(run.taken.events.map(({ target, level }) => ({ target, level }))).toEqual([{ target: 'a', level: 'ERROR' }])
  })

  it('is kept once, at once and without a step, where the span that tells it has not come', () => {
    const run = otlpRun(how)
    run.traces(span(2, 1, {}, [warning(1)]))
    expect(run.taken.events.map(({ step }) => step)).toEqual([null])
    run.traces(span(1, null, { step: 5 }))
    run.end()
    expect(run.taken.events).toHaveLength(1)
    expect(run.taken.points.filter(({ key }) => key.endsWith('norm')).map(({ step }) => step)).toEqual([5])
  })
})
