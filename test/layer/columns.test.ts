import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SpanColumns } from '../../src/otlp/columns.ts'
import { readTraces, type ReadOptions } from '../../src/otlp/traces.ts'
import { WireError } from '../../src/otlp/wire.ts'
import { mutateWire } from '../fuzz/mutate-wire.ts'
import { mutate } from '../fuzz/mutate.ts'
import { anyTraces } from '../otlp/arbitrary.ts'
import { hostile, hostileBytes, recorded } from '../otlp/bodies.ts'
import { decode, encode, TraceRequest, type Json } from '../otlp/oracle.ts'
import { reversed } from '../otlp/reversed.ts'
import { Random } from '../simulation/random.ts'
import { otlpRun, type OtlpRunOptions } from '../support/otlp.ts'

/** Everything that comes of some requests, one after the other, and of the end. */
function outcomeOf(bodies: readonly Uint8Array[], options: OtlpRunOptions): unknown {
  const run = otlpRun(options)
  const found: unknown[] = []
  for (const [i, body] of bodies.entries()) {
    try {
      run.traces(body, 1_000 + i)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      found.push(error.message)
    }
    found.push([...run.kept.values()])
  }
  run.end()
  return { ...run.taken, found, kept: run.kept }
}

const OPTIONS: readonly OtlpRunOptions[] = [
  {},
  { settings: { inherit: false } },
  { reading: { integerText: 'always' } },
  { reading: { integerText: 'never' } },
  { allows: (target, level, isRust) => target !== 'ppo' && (level ?? 3) <= 3 && !isRust },
  {
    isMeasured: (name) => name.length % 2 === 0,
    settings: { stepFieldsByCategory: { misc: ['at', 'step'], trainer: ['update'] } },
  },
]

function expectTheSame(bodies: readonly Uint8Array[], options: OtlpRunOptions): void {
  expect(outcomeOf(bodies, options)).toEqual(outcomeOf(bodies, { ...options, asObjects: true }))
}

const traces = recorded.filter(({ signal }) => signal === 'traces')
const streams = Map.groupBy(traces, ({ name }) => name.split('/')[0]!)

describe('spans in columns become what they become as objects', () => {
  it.each([...streams.keys()])('in a recorded stream, as it came and turned about: %s', (name) => {
    const bodies = streams.get(name)!.map(({ body }) => body)
    for (const options of OPTIONS) {
      expectTheSame(bodies, options)
      expectTheSame(bodies.toReversed(), options)
      expectTheSame(
        bodies.map((body) => reversed(body, 'traces')),
        options,
      )
      // The second time they are duplicates.
      expectTheSame([...bodies, ...bodies], options)
    }
  })

  it('in hostile bodies', () => {
    for (const { data } of hostile) for (const options of OPTIONS) expectTheSame([hostileBytes(data)], options)
  })

  it('in any requests', () => {
    fc.assert(
      fc.property(fc.array(anyTraces, { maxLength: 3 }), fc.constantFrom(...OPTIONS), (requests, options) => {
        expectTheSame(
          requests.map((request) => encode(TraceRequest, request)),
          options,
        )
      }),
      { numRuns: 300 },
    )
  })

  it('in requests of few names, values and ids, so that steps are inherited, names come twice, and spans wait', () => {
    fc.assert(
      fc.property(
        fc.array(fewTraces, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...OPTIONS),
        (requests, options) => {
          const bodies = requests.map((request) => encode(TraceRequest, request))
          expectTheSame(bodies, options)
          expectTheSame(
            bodies.map((body) => reversed(body, 'traces')),
            options,
          )
        },
      ),
      { numRuns: 600 },
    )
  })

  it('when they come again and again with other ids, times and numbers, and some with another text or kind of number', () => {
    const random = new Random(12)
    for (const [i, { body }] of traces.entries()) {
      if (body.length > 20_000) continue
      const bodies = Array.from({ length: 6 }, () => again(body, random))
      expectTheSame([body, ...bodies], OPTIONS[i % OPTIONS.length]!)
      expectTheSame(
        bodies.map((each) => reversed(each, 'traces')),
        OPTIONS[i % OPTIONS.length]!,
      )
    }
  })

  it('when they are of few names and values, and come again and again', () => {
    const random = new Random(13)
    fc.assert(
      fc.property(fewTraces, fc.constantFrom(...OPTIONS), (request, options) => {
        const body = encode(TraceRequest, request)
        expectTheSame([body, ...Array.from({ length: 4 }, () => again(body, random))], options)
      }),
      { numRuns: 300 },
    )
  })

  it('in requests with bytes changed', () => {
    const random = new Random(11)
    for (let i = 0; i < 1_500; i += 1) {
      const source = Buffer.from(random.of(traces).body)
      if (source.length > 20_000) continue
      const changed = random.chance(0.8) ? mutateWire(source, random) : mutate(source, random, source)
      expectTheSame([changed, source], OPTIONS[i % OPTIONS.length]!)
    }
  })
})

describe('a span that looks like the one before it', () => {
  let spans = 0
  const idOf = (n: number, bytes: number): number[] => Array.from({ length: bytes }, (_, i) => (i === 0 ? n : 9))
  /** A request with one span. */
  const one = (fields: Record<string, number | string>, more: Json = {}, language = 'python'): Uint8Array => {
    const resource = {
      attributes: [{ key: 'telemetry.sdk.language', value: { stringValue: language } }],
    }
    const span = {
      traceId: idOf(1, 16),
      spanId: idOf((spans += 1), 8),
      name: 'train',
      attributes: listOf(fields),
      ...more,
    }
    return encode(TraceRequest, { resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] })
  }
  const listOf = (fields: Record<string, number | string>): Json[] =>
    Object.entries(fields).map(([key, value]) => ({
      key,
      value:
        typeof value === 'string'
          ? { stringValue: value }
          : Number.isInteger(value)
            ? { intValue: String(value) }
            : { doubleValue: value },
    }))
  const eventOf = (name: string, fields: Record<string, number | string>): Json => ({
    events: [{ name, attributes: listOf(fields) }],
  })

  it('is refused where a number of it does not end', () => {
    const bodies = [300, 301, 302].map((x) => one({ category: 'ACTOR', step: 1, x }))
    const broken = Buffer.from(one({ category: 'ACTOR', step: 1, x: 300 }))
    broken[broken.lastIndexOf(Buffer.of(0xac, 0x02)) + 1]! |= 0x80
    expectTheSame([...bodies, broken], {})
  })

  it('has another text where the one before had digits', () => {
    const texts = ['12', '34', 'ab', '01', '7:', '56']
    expectTheSame(
      texts.map((x) => one({ category: 'ACTOR', step: 1, x, y: 0.5 }, {}, 'rust')),
      {},
    )
  })

  it('comes from a program of another language, for which a filter is', () => {
    const options = {
      reading: { integerText: 'never' as const },
      allows: (_target: string, _level: number | null, isRust: boolean): boolean => !isRust,
    }
    const event = { category: 'ACTOR', step: 1, x: 0.5 }
    const languages = ['ruby', 'ruby', 'rust', 'rust', 'ruby']
    expectTheSame(
      languages.map((language) => one({ category: 'ACTOR', step: 1 }, eventOf('done', event), language)),
      options,
    )
  })

  it('has an event that is configuration', () => {
    const event = { category: 'ACTOR', step: 1, lr: 0.5 }
    expectTheSame(
      [1, 2, 3].map(() => one({ category: 'ACTOR', step: 1 }, eventOf('startup', event))),
      {},
    )
  })

  it('tells those inside it two numbers', () => {
    const options = { settings: { stepFieldsByCategory: { misc: ['step'], trainer: ['update'] } } }
    const bodies = [1, 2, 3].flatMap((n) => {
      const parent = one({ category: 'TRAINER', update: 10 + n, step: 20 + n, loss: 0.5 })
      const parentSpanId = idOf(spans, 8)
      return [parent, one({ category: 'none', x: 0.5 }, { parentSpanId })]
    })
    expectTheSame(bodies, options)
  })
})

/** A request with other ids, times and numbers. */
function again(body: Uint8Array, random: Random): Uint8Array {
  const request = decode(TraceRequest, body)
  const bytes = (count: number): number[] => Array.from({ length: count }, () => random.whole(0, 255))
  const ids = new Map<string, number[]>()
  const idFor = (id: number[] | undefined): number[] => {
    const known = String(id ?? [])
    if (!ids.has(known)) ids.set(known, bytes(id?.length ?? 0))
    return ids.get(known)!
  }
  const time = (): string => String(1772366400000000000n + BigInt(random.whole(0, 2 ** 31)) * 1000n)
  const numbers = (attributes: Json[] | undefined): void => {
    for (const { value } of attributes ?? []) {
      if (value?.doubleValue !== undefined)
        value.doubleValue = random.of([random.next(), random.whole(0, 99), NaN, 1e300])
      if (value?.intValue !== undefined && random.chance(0.7))
        value.intValue = random.chance(0.9) ? likewise(value.intValue, random) : String(random.whole(-9, 99))
      if (/^\d+$/.test(value?.stringValue)) value.stringValue = String(random.whole(10, 99))
      else if (value?.stringValue !== undefined && random.chance(0.05)) value.stringValue = random.of(TEXTS)
    }
  }
  for (const { scopeSpans = [] } of request['resourceSpans'] ?? [])
    for (const { spans = [] } of scopeSpans)
      for (const span of spans) {
        for (const id of ['traceId', 'spanId', 'parentSpanId']) if (id in span) span[id] = idFor(span[id])
        if (random.chance(0.9)) [span.startTimeUnixNano, span.endTimeUnixNano] = [time(), time()]
        numbers(span.attributes)
        for (const event of span.events ?? []) {
          if (random.chance(0.8)) event.timeUnixNano = time()
          numbers(event.attributes)
        }
      }
  return encode(TraceRequest, request)
}

/** An integer of as many bytes in protobuf. */
function likewise(integer: string, random: Random): string {
  if (BigInt(integer) < 0n || BigInt(integer) >= 128n ** 7n) return integer
  const least = 128 ** Math.max(0, Math.ceil(Number(integer).toString(2).length / 7) - 1)
  return String(random.whole(least === 1 ? 0 : least, least * 127))
}

const TEXTS = ['TRAINER', 'ACTOR', 'actor', 'TRACE', 'ERROR', 'INFO', '12', 'ppo']

const value = fc.oneof(
  fc.double().map((doubleValue): Json => ({ doubleValue })),
  fc.constantFrom<Json>(
    { intValue: '3' },
    { intValue: '4' },
    { intValue: '-5' },
    { intValue: '9007199254740993' },
    { doubleValue: 7 },
    { stringValue: 'TRAINER' },
    { stringValue: 'actor' },
    { stringValue: 'INFO' },
    { stringValue: 'TRACE' },
    { stringValue: '12' },
    { stringValue: '18446744073709551615' },
    { stringValue: 'a text of more than a hundred and twenty-eight bytes '.repeat(4) },
    { boolValue: true },
    { bytesValue: [1, 2] },
    { arrayValue: { values: [{ intValue: '9007199254740995' }] } },
    { kvlistValue: { values: [{ key: 'a', value: { intValue: '1' } }] } },
    {},
  ),
)

const names = ['step', 'update', 'at', 'category', 'telemetry', 'level', 'target', 'busy_ns', 'idle_ns', 'lr', 'x']
const key = fc.constantFrom(
  ...names,
  'loss',
  'code.line',
  'message',
  'n'.repeat(70),
  'm'.repeat(1100),
  '7',
  '',
  '\uFFFD',
  '__proto__',
  'gradient_norm_of_all',
)
const attribute = fc.record({ key, value })
const attributes = fc.oneof(
  { weight: 4, arbitrary: fc.uniqueArray(attribute, { maxLength: 6, selector: (each) => each.key }) },
  { weight: 1, arbitrary: fc.array(attribute, { maxLength: 6 }) },
)
const time = fc.constantFrom('0', '1772366400000000000', '1772366400123456789')
const spanName = fc.constantFrom('train', 'act', 'startup', '', '5')
const id = (bytes: number): fc.Arbitrary<number[]> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.nat(5).map((n) => Array.from({ length: bytes }, (_, i) => (i === 0 ? n : i))) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        [],
        [1],
        Array.from({ length: bytes }, () => 0),
      ),
    },
  )

const fewTraces: fc.Arbitrary<Json> = fc.record({
  resourceSpans: fc.array(
    fc.record({
      resource: fc.record({ attributes: fc.oneof(fc.constant([]), attributes) }),
      scopeSpans: fc.array(
        fc.record({
          spans: fc.array(
            fc.record({
              traceId: fc.oneof(fc.constant(Array.from({ length: 16 }, () => 1)), id(16)),
              spanId: id(8),
              parentSpanId: id(8),
              name: spanName,
              startTimeUnixNano: time,
              endTimeUnixNano: time,
              attributes,
              events: fc.array(fc.record({ timeUnixNano: time, name: spanName, attributes }), { maxLength: 2 }),
            }),
            { maxLength: 5 },
          ),
        }),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 2 },
  ),
})

describe('columns of spans', () => {
  const READINGS: readonly ReadOptions[] = [{}, { integerText: 'never' }, { integerText: 'always' }]

  it('hold the spans that are read otherwise, and are used again for the next request', () => {
    const columns = new SpanColumns()
    for (const { body } of traces)
      for (const reading of READINGS) {
        columns.read(body, reading)
        expect(Array.from({ length: columns.count }, (_, i) => columns.span(i))).toEqual(readTraces(body, reading))
      }
  })

  it('give a span in the same time however many groups there are', () => {
    // ResourceSpans, ScopeSpans, Span; all of them without fields.
    const group = Buffer.of(0x0a, 4, 0x12, 2, 0x12, 0)
    const columns = new SpanColumns()
    columns.read(Buffer.alloc(300_000 * group.length, group))
    const from = performance.now()
    for (let i = 0; i < columns.count; i += 1) columns.span(i)
    expect(columns.count).toBe(300_000)
    expect(performance.now() - from).toBeLessThan(2500)
  })

  it('know spans of what clients send by their templates when they come again', () => {
    const known: Record<string, string> = {}
    for (const { name, body } of traces.filter(({ name }) => name.endsWith('proto/01.json'))) {
      const columns = new SpanColumns()
      columns.read(body)
      columns.read(body)
      const spans = columns.template.slice(0, columns.count)
      known[name] = `${spans.filter((template) => template !== null).length} of ${spans.length}`
    }
    // The recordings are full of what is rare: links, integers of 50 bits and more, names that come twice.
    expect(known).toMatchInlineSnapshot(`
      {
        "go-traces-proto/01.json": "20 of 40",
        "javascript-traces-proto/01.json": "40 of 48",
        "python-traces-proto/01.json": "20 of 40",
        "rust-traces-api-proto/01.json": "0 of 30",
        "rust-traces-tracing-proto/01.json": "13 of 25",
      }
    `)
  })

  it('are odd only where a span is: what clients send has its numbers taken without objects', () => {
    const columns = new SpanColumns()
    const odd = new Map<string, number>()
    for (const { name, body } of traces) {
      columns.read(body)
      const count = columns.isOdd.subarray(0, columns.count).reduce((sum, is) => sum + is, 0)
      if (count > 0) odd.set(name, count)
    }
    expect([...odd]).toMatchInlineSnapshot(`
      [
        [
          "go-traces-proto/01.json",
          1,
        ],
        [
          "go-traces-proto/02.json",
          1,
        ],
        [
          "go-traces-proto-gzip/01.json",
          1,
        ],
        [
          "go-traces-proto-gzip/02.json",
          1,
        ],
        [
          "python-traces-json/01.json",
          2,
        ],
        [
          "python-traces-proto/01.json",
          2,
        ],
        [
          "python-traces-proto-gzip/01.json",
          2,
        ],
      ]
    `)
  })
})
