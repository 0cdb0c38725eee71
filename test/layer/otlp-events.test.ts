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

const span = (id: number, parent: number | null, attributes: Attributes): Uint8Array =>
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
