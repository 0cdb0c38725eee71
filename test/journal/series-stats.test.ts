import fc from 'fast-check'
import { expect, it } from 'vitest'
import { CHUNK_POINTS, columnsOf, POINT_BYTES } from '../../src/channel/chunk.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { SeriesStatsTable } from '../../src/journal/series-stats.ts'
import { sparkline } from '../../src/telemetry/sparkline.ts'

it('the statistics of a series are those of its values, however many there are', () => {
  const value = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0))
  const finite = fc.double({ min: -1e6, max: 1e6, noNaN: true })
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 5, arbitrary: finite }, value), { minLength: 1, maxLength: 300 }),
      fc.nat(200),
      (values, series) => {
        const stats = new SeriesStatsTable()
        values.forEach((each, step) => stats.add(series, step, each))
        const [found, ...others] = stats.list()
        const numbers = values.filter((each) => !Number.isNaN(each))
        expect(others).toEqual([])
        expect(found).toMatchObject({
          series,
          count: values.length,
          step: values.length - 1,
          value: values.at(-1),
          nan: values.length - numbers.length,
        })
        if (numbers.length > 0) {
          // -0 and 0 are one value here.
          expect([found!.min + 0, found!.max + 0]).toEqual([Math.min(...numbers) + 0, Math.max(...numbers) + 0])
        }
        const width = 2 ** Math.max(0, Math.ceil(Math.log2(values.length / 32)))
        const buckets = Array.from({ length: Math.ceil(values.length / width) }, (_, i) =>
          values.slice(i * width, (i + 1) * width).filter(Number.isFinite),
        )
        expect(found!.outline.length).toBe(buckets.length)
        for (const [i, bucket] of buckets.entries()) {
          const mean = bucket.reduce((sum, each) => sum + each, 0) / bucket.length
          if (bucket.length === 0) expect(found!.outline[i]).toBeNaN()
          else if (Math.abs(mean) < 1e9) expect(found!.outline[i]).toBeCloseTo(mean, 3)
        }
      },
    ),
  )
})

it('the outline holds the means of neighbours in their order', () => {
  const stats = new SeriesStatsTable()
  for (let step = 0; step < 64; step += 1) stats.add(0, step, step)
  stats.add(1, 0, Number.NaN)
  const [first, second] = stats.list()
  expect(first!.outline).toEqual(Array.from({ length: 32 }, (_, i) => 2 * i + 0.5))
  expect(second).toMatchObject({ outline: [Number.NaN], min: Number.NaN, nan: 1 })
})

it('every series has its own statistics, however many there are and in whatever order they come', () => {
  const stats = new SeriesStatsTable()
  const counts = new Map([
    [300, 1],
    [0, 40],
    [63, 33],
    [64, 32],
    [65, 65],
    [128, 3],
    [2000, 129],
  ])
  // In turns, so that the table grows while there is something in it, and neighbours fill up side by side.
  for (let step = 0; step < 129; step += 1)
    for (const [series, count] of counts) if (step < count) stats.add(series, step, series + step)
  const list = stats.list()
  expect(list.map(({ series }) => series)).toEqual([0, 63, 64, 65, 128, 300, 2000])
  for (const { series, ...found } of list) {
    const count = counts.get(series)!
    const width = 2 ** Math.max(0, Math.ceil(Math.log2(count / 32)))
    const means = Array.from({ length: Math.ceil(count / width) }, (_, i) => {
      const last = Math.min(count, (i + 1) * width) - 1
      return series + (i * width + last) / 2
    })
    expect(found, `series ${series}`).toEqual({
      count,
      step: count - 1,
      value: series + count - 1,
      min: series,
      max: series + count - 1,
      nan: 0,
      outline: means,
    })
  }
})

it('a series of nothing but infinities has a range, and no outline', () => {
  const stats = new SeriesStatsTable()
  stats.add(0, 1, Number.POSITIVE_INFINITY)
  stats.add(0, 2, Number.POSITIVE_INFINITY)
  stats.add(1, 1, Number.NEGATIVE_INFINITY)
  stats.add(1, 2, 3)
  expect(stats.list()).toEqual([
    {
      series: 0,
      count: 2,
      step: 2,
      value: Number.POSITIVE_INFINITY,
      min: Number.POSITIVE_INFINITY,
      max: Number.POSITIVE_INFINITY,
      nan: 0,
      outline: [Number.NaN, Number.NaN],
    },
    { series: 1, count: 2, step: 2, value: 3, min: Number.NEGATIVE_INFINITY, max: 3, nan: 0, outline: [Number.NaN, 3] },
  ])
})

it('a sparkline goes from the least to the greatest value, and shows where there is none', () => {
  expect([
    sparkline([0, 1, 2, 3, 4, 5, 6, 7]),
    sparkline([1, 1]),
    sparkline([0, Number.NaN, 1]),
    sparkline([]),
  ]).toEqual(['▁▂▃▄▅▆▇█', '▄▄', '▁·█', ''])
  expect([sparkline([-1.7e308, 0, 1.7e308]), sparkline([Number.NaN])]).toEqual(['▁▅█', '·'])
})

it('a commit that fails and is tried again counts its points once', () => {
  const start = {
    run: '01TEST',
    name: 'x',
    identity: null,
    trackerRun: null,
    source: 'stdin',
    command: [],
    directory: '/',
    startedAt: 1,
    params: [],
    tags: [],
  }
  const journal = RunJournal.create(':memory:', start, 1 << 20)
  journal.addSeries(0, 'misc/a')
  const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
  columnsOf(buffer, CHUNK_POINTS).value.set([1, 2, Number.NaN])
  journal.addPoints(buffer, 3, null)
  journal.database.exec('ALTER TABLE counters RENAME TO away')
  for (let tries = 0; tries < 3; tries += 1) expect(() => journal.commit()).toThrow('counters')
  expect(journal.seriesStats).toEqual([])
  journal.database.exec('ALTER TABLE away RENAME TO counters')
  journal.commit()
  expect(journal.seriesStats).toMatchObject([{ key: 'misc/a', count: 3, nan: 1, outline: [1, 2, Number.NaN] }])
  journal.close()
})
