import fc from 'fast-check'
import { expect, it } from 'vitest'
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
        expect(found!.outline.length).toBeLessThanOrEqual(32)
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

it('a sparkline goes from the least to the greatest value, and shows where there is none', () => {
  expect([
    sparkline([0, 1, 2, 3, 4, 5, 6, 7]),
    sparkline([1, 1]),
    sparkline([0, Number.NaN, 1]),
    sparkline([]),
  ]).toEqual(['▁▂▃▄▅▆▇█', '▄▄', '▁·█', ''])
  expect([sparkline([-1.7e308, 0, 1.7e308]), sparkline([Number.NaN])]).toEqual(['▁▅█', '·'])
})
