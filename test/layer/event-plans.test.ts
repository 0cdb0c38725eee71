import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventPlans } from '../../src/layer/event-plans.ts'
import type { Fields, TracingEvent } from '../../src/layer/event.ts'
import { Layer } from '../../src/layer/layer.ts'
import { compileRules } from '../../src/layer/rules.ts'
import { COUNTERS, Counters } from '../../src/telemetry/counters.ts'
import { defaultLayer } from '../support/extract.ts'

const rules = compileRules(defaultLayer)

/** What becomes of events that come one after the other to one layer, or each to one of its own. */
function outcomeOf(events: readonly TracingEvent[], isOneLayer: boolean): unknown {
  const counters = new Counters()
  const found: unknown[] = []
  const layerOf = (): Layer => {
    const keys: string[] = []
    return new Layer(
      rules,
      {
        series: (id, key) => void (keys[id] = key),
        point: (series, step, time, value) => void found.push([keys[series], step, time, value]),
        params: (params) => void found.push(params),
        firstSkipped: () => {},
      },
      counters,
    )
  }
  const shared = layerOf()
  for (const [i, event] of events.entries()) found.push((isOneLayer ? shared : layerOf()).event(event, 1000 + i))
  return { found, counts: COUNTERS.map((name, i) => [name, counters.values[i]]) }
}

const value = fc.oneof(
  { weight: 8, arbitrary: fc.double() },
  {
    weight: 8,
    arbitrary: fc.constantFrom<unknown>(1, 2, 2.5, -0, 2 ** 53, 1e300, 1_772_366_400, 'text', '', true, null),
  },
  { weight: 2, arbitrary: fc.constantFrom<unknown>([1], {}, { inner: 3 }, { step: 4 }) },
)
const NAMES = [
  'step',
  'timesteps',
  'update',
  'loss',
  'lr',
  'x',
  'time',
  'created',
  'pid',
  'v',
  'hostname',
  'level',
  'code.line',
]
const fields: fc.Arbitrary<Fields> = fc
  .tuple(
    fc.subarray(NAMES, { maxLength: 6 }),
    fc.array(value, { minLength: 6, maxLength: 6 }),
    fc.constantFrom<unknown[]>([], ['TRAINER'], ['actor'], [7], [null], [{ a: 1 }]),
    fc.boolean(),
  )
  .map(([names, values, category, isFirst]) => {
    const own = names.map((name, i) => [name, values[i]])
    const named = category.map((value) => ['category', value])
    return Object.fromEntries(isFirst ? [...named, ...own] : [...own, ...named]) as Fields
  })

const event: fc.Arbitrary<TracingEvent> = fc
  .record({
    time: fc.constantFrom(null, 5),
    message: fc.constantFrom(null, 'done', 'startup'),
    wrapped: fc.array(fields, { maxLength: 2 }),
    line: fc.option(fields),
    isNamed: fc.boolean(),
    spans: fc.oneof({ weight: 5, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.tuple(fields) }),
  })
  .map(({ line, wrapped, isNamed, ...event }) => ({
    ...event,
    wrapped,
    line: line === null ? null : { ...line, ...Object.fromEntries(wrapped.map((fields, i) => [`fields${i}`, fields])) },
    wrapperNames: isNamed ? wrapped.map((_, i) => `fields${i}`) : [],
  }))

describe('an event becomes the same whatever came before it', () => {
  it('for any events, each of which comes again with other values', () => {
    const another = fc.tuple(event, fc.array(value, { minLength: 1, maxLength: 9 }), fc.boolean())
    fc.assert(
      fc.property(fc.array(another, { minLength: 1, maxLength: 4 }), (all) => {
        const events = all.flatMap(([event, values, isAnyKind]) => [event, again(event, values, isAnyKind), event])
        expect(outcomeOf(events, true)).toEqual(outcomeOf(events, false))
      }),
      { numRuns: 3000 },
    )
  })

  it('when the next one has another category', () => {
    const events = ['TRAINER', 'ACTOR', 'trainer', 'TRAINER', 'none'].map((category) => ({
      ...NOTHING,
      wrapped: [{ category, step: 1, loss: 2 }],
    }))
    expect(outcomeOf(events, true)).toEqual(outcomeOf(events, false))
  })

  it('when what wrapped the one before is an object inside the next', () => {
    const line = { step: 1, loss: 2, fields: { lr: 3 } }
    const events = [['fields'], [], ['fields']].map((wrapperNames) => ({ ...NOTHING, line, wrapperNames }))
    expect(outcomeOf(events, true)).toEqual(outcomeOf(events, false))
  })

  it('for more events of one kind than are remembered', () => {
    const events = Array.from({ length: 20_000 }, (_, i) => ({
      ...NOTHING,
      wrapped: [{ category: 'TRAINER', step: i, [`loss_${i % 9000}`]: i / 7 }],
    }))
    expect(outcomeOf(events, true)).toEqual(outcomeOf(events, false))
  })

  it('with more numbers than are read at once', () => {
    const many = (from: number): Fields =>
      Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`loss_${i}`, from + i]))
    const events = [1, 2, 3].map((step) => ({ ...NOTHING, wrapped: [{ step, ...many(step) }] }))
    expect(outcomeOf(events, true)).toEqual(outcomeOf(events, false))
  })
})

it('an event with a null among its fields is known when it comes again', () => {
  const layer = new Layer(rules, { series() {}, point() {}, params() {}, firstSkipped() {} }, new Counters())
  const plans = new EventPlans()
  const event = { ...NOTHING, wrapped: [{ step: 1, loss: 2, note: null }] }
  expect(plans.find(event)).toBeNull()
  plans.learn(event, layer.outline(event))
  expect(plans.find(event)).not.toBeNull()
})

const NOTHING: TracingEvent = { time: null, message: null, wrapped: [], line: null, wrapperNames: [], spans: [] }

/** The event with other numbers, or with other values of any kind. */
function again(event: TracingEvent, values: readonly unknown[], isAnyKind: boolean): TracingEvent {
  let i = 0
  const other = (was: unknown): unknown => {
    const value = values[i++ % values.length]
    return isAnyKind || (typeof was === 'number' && typeof value === 'number') ? value : was
  }
  const changed = new Map<unknown, Fields>()
  for (const fields of event.wrapped)
    changed.set(fields, Object.fromEntries(Object.entries(fields).map(([name, was]) => [name, other(was)])))
  const changedIn = (name: string, was: unknown): unknown =>
    changed.get(was) ?? (name === 'category' ? was : other(was))
  return {
    ...event,
    wrapped: event.wrapped.map((fields) => changed.get(fields)!),
    line:
      event.line && Object.fromEntries(Object.entries(event.line).map(([name, was]) => [name, changedIn(name, was)])),
  }
}
