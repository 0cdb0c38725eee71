import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  emptyBatch,
  halves,
  itemOf,
  lastOf,
  newestSpans,
  nextBatch,
  sequenceOf,
  sift,
  slice,
  untilNaN,
} from '../../src/delivery/batches.ts'
import type { Batch, PointBatch, SpanBatch, TextBatch } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { framed } from '../../src/otlp/span-blocks.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { addPoints, addSpans, spanOf, stepsOf } from '../support/fill.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

function journalWith({ keys = ['loss'], params = [] as [string, string][], tags = [] as [string, string][] } = {}) {
  const journal = RunJournal.create(':memory:', runStart({ params, tags }), 1 << 30)
  onTestFinished(() => journal.close())
  keys.forEach((key, id) => journal.addSeries(id, key))
  return journal
}

const itemsOf = (batch: Batch) =>
  Array.from({ length: batch.count }, (_, i) => [sequenceOf(batch, i), itemOf(batch, i)])

/** A batch of points by their values, whose other numbers tell which point it is. */
const pointsOf = (values: readonly number[], first = 1, sequences?: readonly number[]): PointBatch => ({
  kind: 'points',
  first,
  count: values.length,
  value: Float64Array.from(values),
  step: Float64Array.from(values, (_, i) => 100 + i),
  time: Float64Array.from(values, (_, i) => 1000 + i),
  series: Uint32Array.from(values, (_, i) => i % 3),
  ...(sequences === undefined ? {} : { sequences: Float64Array.from(sequences) }),
  keyOf: (series) => `key${series}`,
})

const textsOf = (count: number): TextBatch => ({
  kind: 'params',
  first: 7,
  count,
  entries: Array.from({ length: count }, (_, i) => [`name${i}`, `value${i}`] as const),
})

const spansOf = (count: number): SpanBatch => ({
  kind: 'spans',
  first: 5,
  count,
  // Two in each block, the last of which may have one.
  blocks: Array.from({ length: Math.ceil(count / 2) }, (_, i) => {
    const spans = [2 * i, 2 * i + 1].filter((place) => place < count).map((place) => framed(spanOf(`span${place}`)))
    return {
      resourceHead: new Uint8Array(),
      scopeHead: new Uint8Array(),
      count: spans.length,
      bytes: Buffer.concat(spans),
    }
  }),
})

/** Batches of every kind, of `least` items or more. */
const anyBatch = (least: number): fc.Arbitrary<Batch> =>
  fc.oneof(
    fc.array(fc.double(), { minLength: least, maxLength: 20 }).map((values) => pointsOf(values, 4)),
    fc
      .array(fc.double(), { minLength: least, maxLength: 20 })
      .map((values) => sift(pointsOf([1, ...values, 2, 3]), (i) => i % 2 > 0 || i > 1).kept),
    fc.integer({ min: least, max: 9 }).map(textsOf),
    fc.integer({ min: least, max: 9 }).map(spansOf),
  )

describe('the next batch', () => {
  it('of points holds those behind a place, up to a limit, with their keys, and is none behind the last', () => {
    const journal = journalWith({ keys: ['loss', 'reward'] })
    addPoints(
      journal,
      stepsOf(1, 5).map((point, i) => ({ ...point, series: i % 2, time: 50 + i, value: i / 2 })),
    )
    const batch = nextBatch(journal, 'points', 1, 3)!
    expect([batch.kind, batch.first, batch.count, lastOf(batch)]).toEqual(['points', 2, 3, 4])
    expect(itemsOf(batch)).toEqual([
      [2, { name: 'reward', step: 2, time: 51, value: 0.5 }],
      [3, { name: 'loss', step: 3, time: 52, value: 1 }],
      [4, { name: 'reward', step: 4, time: 53, value: 1.5 }],
    ])
    expect(nextBatch(journal, 'points', 4, 3)!.count).toBe(1)
    expect(nextBatch(journal, 'points', 5, 3)).toBeNull()
  })

  it('of points whose series has no key is not made up: the journal is damaged', () => {
    const journal = journalWith()
    addPoints(journal, [{ series: 0 }, { series: 1 }, { series: 5 }])
    expect(nextBatch(journal, 'points', 0, 1)!.count).toBe(1)
    expect(() => nextBatch(journal, 'points', 0, 3)).toThrow(
      new Error(':memory: is damaged: points of series 1, which has no key'),
    )
  })

  it.each(['params', 'tags'] as const)('of %s holds them in their order, up to a limit', (kind) => {
    const journal = journalWith({
      [kind]: [
        ['z', '1'],
        ['a', '2'],
        ['m', '3'],
      ],
    })
    expect(nextBatch(journal, kind, 0, 2)).toEqual({
      kind,
      first: 1,
      count: 2,
      entries: [
        ['z', '1'],
        ['a', '2'],
      ],
    })
    expect(nextBatch(journal, kind, 2, 2)).toEqual({ kind, first: 3, count: 1, entries: [['m', '3']] })
    expect(nextBatch(journal, kind, 3, 2)).toBeNull()
    journal.run(`DELETE FROM ${kind}`)
    expect(nextBatch(journal, kind, 0, 2)).toBeNull()
  })

  it.each([
    ['name', 'expected a text as a name of params, got object'],
    ['value', 'expected a text as a value of params, got object'],
  ])('of params with a %s that is no text is not made up', (column, what) => {
    const journal = journalWith({ params: [['lr', '1']] })
    journal.run(`UPDATE params SET ${column} = x'ff'`)
    expect(() => nextBatch(journal, 'params', 0, 2)).toThrow(new Error(`:memory: is damaged: ${what}`))
  })

  it('of spans is as large as a gateway takes, and one that is larger goes alone', () => {
    const journal = journalWith()
    const [half, over] = [(2 << 20) - 9, 5 << 20]
    const spans = [spanOf('aa', half), spanOf('bb', half), spanOf('c'), spanOf('d', over), spanOf('e', over)]
    expect(spans[0]!.byteLength).toBe(2 << 20)
    addSpans(journal, spans)
    const sizes = [0, 2, 3, 4, 5].map((after) => nextBatch(journal, 'spans', after, 10))
    expect(sizes.map((batch) => batch && [batch.kind, batch.first, batch.count])).toEqual([
      ['spans', 1, 2],
      ['spans', 3, 1],
      ['spans', 4, 1],
      ['spans', 5, 1],
      null,
    ])
    expect(sizes.slice(0, 4).map((batch) => itemOf(batch!, 0).name)).toEqual(['aa', 'c', 'd', 'e'])
    expect(nextBatch(journal, 'spans', 0, 1)!.count).toBe(1)
    const small = journalWith()
    addSpans(small, [spanOf('a'), spanOf('b'), spanOf('c')])
    expect(nextBatch(small, 'spans', 1, 10)!.count).toBe(2)
  })
})

describe('the newest spans of a run', () => {
  it('are 100,000 at most, told as requests of 1,000 that can be handed over whole', () => {
    const journal = journalWith()
    addSpans(journal, [
      ...Array.from({ length: 500 }, () => spanOf('old')),
      ...Array.from({ length: 100_000 }, () => spanOf('n')),
    ])
    const { spans, transfer } = newestSpans(journal)
    expect(spans).toHaveLength(100)
    expect([spans[0]!, spans[99]!].map((request) => readTraces(request).map(({ name }) => name))).toEqual(
      [0, 1].map(() => Array.from({ length: 1000 }, () => 'n')),
    )
    expect(transfer).toHaveLength(100)
    expect(spans.every(({ byteLength, buffer }, i) => buffer === transfer[i] && buffer.byteLength === byteLength)).toBe(
      true,
    )
  })

  it('are those that the journal still has, oldest first, and none of a run without', () => {
    const journal = RunJournal.create(join(temporaryDirectory(), 'x.sqlite'), runStart())
    onTestFinished(() => journal.close())
    expect(newestSpans(journal)).toEqual({ spans: [], transfer: [] })
    addSpans(
      journal,
      Array.from({ length: 2500 }, (_, i) => spanOf(`span${i + 1}`)),
    )
    journal.drop(1)
    const first = journal.firstKept.spans
    expect(first).toBeGreaterThan(1)
    const told = newestSpans(journal).spans.map((request) => readTraces(request).map(({ name }) => name))
    expect(told.flat()).toEqual(Array.from({ length: 2501 - first }, (_, i) => `span${first + i}`))
  })
})

describe('an empty batch', () => {
  it('has the kind that is asked for and no items', () => {
    const journal = journalWith({ keys: [] })
    expect(emptyBatch(journal, 'spans')).toEqual({ kind: 'spans', first: 0, count: 0, blocks: [] })
    const { keyOf, ...points } = emptyBatch(journal, 'points') as PointBatch
    const none = new Float64Array()
    expect(points).toEqual({
      kind: 'points',
      first: 0,
      count: 0,
      value: none,
      step: none,
      time: none,
      series: new Uint32Array(),
    })
    journal.addSeries(0, 'loss')
    journal.commit()
    expect(keyOf(0)).toBe('loss')
  })
})

describe('parts of a batch', () => {
  it('hold its items with their sequence numbers, whatever it is cut into', () => {
    fc.assert(
      fc.property(anyBatch(2), fc.nat(), fc.nat(), (batch, a, b) => {
        const [from, to] = [a % (batch.count + 1), b % (batch.count + 1)].sort((x, y) => x - y) as [number, number]
        const part = slice(batch, from, to)
        expect([part.kind, part.count]).toEqual([batch.kind, to - from])
        expect(itemsOf(part)).toEqual(itemsOf(batch).slice(from, to))
        if (part.kind === 'points') expect([part.value.length, part.series.length]).toEqual([part.count, part.count])
        const [left, right] = halves(batch)
        expect([...itemsOf(left), ...itemsOf(right)]).toEqual(itemsOf(batch))
        expect([left.count, right.count]).toEqual([Math.floor(batch.count / 2), Math.ceil(batch.count / 2)])
        expect(lastOf(right)).toBe(sequenceOf(batch, batch.count - 1))
      }),
    )
  })

  it('that are sifted out keep their sequence numbers, and the places of the others are told', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.double(), fc.boolean()), { maxLength: 20 }), (points) => {
        const batch = pointsOf(
          points.map(([value]) => value),
          9,
        )
        const { kept, others } = sift(batch, (i) => points[i]![1])
        expect(itemsOf(kept)).toEqual(itemsOf(batch).filter((_, i) => points[i]![1]))
        expect(others).toEqual([...points.keys()].filter((i) => !points[i]![1]))
        expect([kept.kind, kept.first, kept.count, kept.value.length]).toEqual([
          'points',
          9,
          points.length - others.length,
          points.length - others.length,
        ])
        if (others.length === 0) expect(kept).toBe(batch)
        const again = sift(kept, (i) => i > 0)
        expect(itemsOf(again.kept)).toEqual(itemsOf(kept).slice(1))
      }),
    )
  })

  it('reach up to the first NaN, or are that NaN alone', () => {
    const cut = (values: number[]) => [...(untilNaN(pointsOf(values)) as PointBatch).value]
    expect(cut([1, 2, Number.NaN, 3])).toEqual([1, 2])
    expect(cut([Number.NaN, 3, 4])).toEqual([Number.NaN])
    expect(cut([Number.NaN, Number.NaN])).toEqual([Number.NaN])
    const whole = pointsOf([1, Number.POSITIVE_INFINITY, 2])
    expect(untilNaN(whole)).toBe(whole)
  })
})

describe('an item', () => {
  it('is shown by name and value as it came', () => {
    expect(itemOf(pointsOf([0.5, 0.25]), 1)).toEqual({ name: 'key1', step: 101, time: 1001, value: 0.25 })
    expect(itemOf(textsOf(3), 2)).toEqual({ name: 'name2', value: 'value2' })
    expect(itemOf(spansOf(2), 1)).toEqual({ name: 'span1', value: Buffer.from(spanOf('span1')).toString('base64') })
  })
})
