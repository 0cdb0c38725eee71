import { describe, expect, it } from 'vitest'
import { countOutside, rangeOf, withoutOutliers } from '../../src/chart/clip.ts'
import { duration, relativeLabel, shortValue, tickLabel } from '../../src/chart/format.ts'
import { parseFilter } from '../../src/chart/glob.ts'
import { THEMES } from '../../src/chart/palette.ts'
import { frameOf, paint, ticksOf } from '../../src/chart/paint.ts'
import { SvgPen } from '../../src/chart/pen.ts'
import { buildScene, type DrawnLine, type SceneOptions } from '../../src/chart/scene.ts'
import { smooth } from '../../src/chart/smooth.ts'
import { linearTicks, logTicks, timeTicks } from '../../src/chart/ticks.ts'
import { readHash, START, writeHash } from '../../src/page/state/hash.ts'
import { addToSeries } from '../../src/page/state/series.ts'
import type { LivePoints, SeriesSummary, Value } from '../../src/web/api.ts'

describe('smoothing', () => {
  it('begins at the first value, not on the way from zero', () => {
    expect(smooth([10, 10, 10], 0.9)).toEqual([10, 10, 10].map((value) => expect.closeTo(value, 9)))
  })
  it('weighs the last value by one minus its strength', () => {
    const weights = [0.25, 0.5, 1]
    const mean = (1 * weights[0]! + 2 * weights[1]! + 4 * weights[2]!) / (0.25 + 0.5 + 1)
    expect(smooth([1, 2, 4], 0.5)[2]).toBeCloseTo(mean, 12)
  })
  it('leaves what is no number as it is, and goes on behind it as if it had not been', () => {
    const [first, gap, last] = smooth([1, Number.NaN, 3], 0.5)
    expect([first, gap]).toEqual([1, Number.NaN])
    expect(last).toBe(smooth([1, 3], 0.5)[1])
  })
})

describe('the short account of a series', () => {
  const account = (count: number, value: number, nan = 0): SeriesSummary =>
    ({
      key: 'k',
      count,
      nan,
      infinite: 0,
      min: value,
      max: value,
      last: { step: count, time: 0, value },
    }) as SeriesSummary
  const came = (count: number, values: readonly Value[]): Pick<LivePoints, 'series' | 'added'> => {
    const places = values.map((_, i) => count - values.length + 1 + i)
    return { added: [], series: [{ id: 0, key: 'k', count, steps: places, times: places, values: [...values] }] }
  }

  it('counts what came live once, whether it was asked for before that, behind it or in the middle of it', () => {
    for (const had of [3, 4, 5]) {
      const known = new Map([['k', account(had, 1, had === 3 ? 0 : 1)]])
      expect(addToSeries(known, came(5, ['NaN', 9]))).toEqual({ isNew: false, isMissing: false })
      expect(known.get('k')).toMatchObject({ count: 5, nan: 1, max: had === 5 ? 1 : 9 })
      addToSeries(known, came(6, [2]))
      expect(known.get('k')).toMatchObject({ count: 6, nan: 1, last: { step: 6, value: 2 } })
    }
  })

  it('is asked for where a series comes that is neither known nor told of', () => {
    expect(addToSeries(new Map(), came(5, [1]))).toEqual({ isNew: false, isMissing: true })
    const known = new Map<string, SeriesSummary>()
    expect(addToSeries(known, { ...came(2, [1, 2]), added: [account(2, 2)] })).toEqual({
      isNew: true,
      isMissing: false,
    })
    expect(known.get('k')!.count).toBe(2)
  })
})

describe('ticks', () => {
  it('are few and round', () => {
    expect(linearTicks({ min: 0, max: 6000 }, 4)).toEqual([0, 2000, 4000, 6000])
    expect(linearTicks({ min: 0.07, max: 0.31 }, 3)).toEqual([0.1, 0.2, 0.3])
  })
  it('are powers of ten on a logarithmic axis, and never less than two', () => {
    expect(logTicks({ min: 1e-4, max: 1 }, 5)).toEqual([1e-4, 1e-3, 1e-2, 1e-1, 1])
    expect(logTicks({ min: 1.1, max: 1.4 }, 4).length).toBeGreaterThanOrEqual(2)
  })
  it('are few whatever the values are: neighbouring doubles, and the largest that there are', () => {
    const ends = [0, 0.3, 0.30000000000000004, 1e15, 1e15 + 0.125, 1e308, Number.MAX_VALUE]
    for (const log of [false, true])
      for (const a of ends)
        for (const b of [...ends, ...ends.map((end) => -end)]) {
          const { y } = buildScene([line([a, b])], { ...options, log })
          expect([y.min < y.max, Number.isFinite(y.min), Number.isFinite(y.max)]).toEqual([true, true, true])
          const ticks = (log ? logTicks : linearTicks)(y, 6)
          expect(ticks.length, `${a} ${b}`).toBeLessThan(20)
          expect(ticks.every(Number.isFinite), `${a} ${b}`).toBe(true)
        }
  })
  it('of time stand at round local times', () => {
    expect(timeTicks({ min: 61_000, max: 240_000 }, 3)).toEqual([120_000, 180_000, 240_000])
  })
  it('have labels that tell neighbours apart', () => {
    expect([2000, 4000].map((tick) => tickLabel(tick, 2000))).toEqual(['2k', '4k'])
    expect([0.25, 0.5, 0.75].map((tick) => tickLabel(tick, 0.25))).toEqual(['0.25', '0.5', '0.75'])
    expect([1.25e6, 1.5e6].map((tick) => tickLabel(tick, 250_000))).toEqual(['1.25M', '1.5M'])
    expect([1e-4, 2e-4].map((tick) => tickLabel(tick, 1e-4))).toEqual(['1e-4', '2e-4'])
    expect([2.5e-4, 5e-4].map((tick) => tickLabel(tick, 2.5e-4))).toEqual(['2.5e-4', '5e-4'])
    expect([1.001e-4, 1.002e-4].map((tick) => tickLabel(tick, 1e-7))).toEqual(['1.001e-4', '1.002e-4'])
    expect([0.3, 0.30000001].map((tick) => tickLabel(tick, 1e-8))).toEqual(['0.3', '0.30000001'])
    expect(relativeLabel(5_400_000, 1_800_000)).toBe('1:30:00')
  })
})

describe('values', () => {
  it('are as short as four digits allow', () => {
    expect([467.727, 52_937.2, 0.00971232, 1.49254e-6, -0.5, 3].map((value) => shortValue(value))).toEqual([
      '467.7',
      '52,937',
      '0.009712',
      '1.493e-6',
      '−0.5',
      '3',
    ])
    expect([Number.NaN, Infinity, -Infinity].map((value) => shortValue(value))).toEqual(['NaN', '+∞', '−∞'])
  })
  it('of time have the two units that matter', () => {
    expect([420, 12_000, 185_000, 7_800_000].map(duration)).toEqual(['420 ms', '12 s', '3 min 05 s', '2 h 10 min'])
  })
})

describe('outliers', () => {
  it('are those far from the middle half, and are counted', () => {
    const values = [...Array.from({ length: 100 }, (_, i) => i / 100), 50, -50]
    const range = withoutOutliers(values)!
    expect(range).toEqual({ min: 0, max: 0.99 })
    expect(countOutside(values, range)).toBe(2)
  })
  it('do not exist where most values are the same', () => {
    expect(withoutOutliers([1, 1, 1, 1, 1, 7])).toEqual({ min: 1, max: 7 })
    expect(rangeOf([Number.NaN])).toBeNull()
  })
})

describe('the filter', () => {
  it('finds a part of a key, a glob of a whole key, any of several, and a regular expression', () => {
    const matching = (filter: string): string[] =>
      ['trainer/loss', 'actor/mean_return', 'trainer/approx_kl'].filter((key) => parseFilter(filter).matches(key))
    expect(matching('loss')).toEqual(['trainer/loss'])
    expect(matching('actor/*')).toEqual(['actor/mean_return'])
    expect(matching('kl, LOSS')).toEqual(['trainer/loss', 'trainer/approx_kl'])
    expect(matching('/^trainer.*(kl|loss)$/')).toEqual(['trainer/loss', 'trainer/approx_kl'])
    expect(matching('a.b')).toEqual([])
    expect(matching('')).toHaveLength(3)
  })
  it('says what is wrong with an expression, and hides nothing then', () => {
    const filter = parseFilter('/(/')
    expect(filter.error).toContain('regular expression')
    expect(filter.matches('anything')).toBe(true)
  })
})

describe('the address', () => {
  it('holds all that is chosen', () => {
    const view = {
      ...START,
      tab: 'events' as const,
      runs: ['A', 'B'],
      filter: '/kl|é&=/',
      axis: 'relative' as const,
      smoothing: 0.6,
      log: true,
      clip: true,
      marks: false,
      zoom: [-5, 1e6] as const,
      large: 'trainer/a,b',
      mark: { run: 'A', time: 1.7e12, step: 0 },
    }
    expect(readHash(`#${writeHash(view)}`)).toEqual(view)
    expect(writeHash(START)).toBe('')
  })
  it('is as at the start where it makes no sense', () => {
    expect(readHash('#tab=x&axis=y&zoom=3,1&smooth=NaN&mark=,5')).toEqual(START)
  })
})

const line = (values: number[]): DrawnLine => ({
  run: 'R',
  id: 1,
  isRaw: true,
  points: values.length,
  steps: values.map((_, i) => i),
  times: values.map((_, i) => 1000 + i * 10),
  values,
  means: null,
  nan: 0,
  infinite: 0,
  odd: [],
})
const options: SceneOptions = {
  axis: 'step',
  zoom: null,
  smoothing: 0,
  log: false,
  clip: false,
  looks: new Map([['R', { color: '#000', dash: [], title: 'r', start: 1000 }]]),
  marks: [],
  thresholds: null,
}

describe('a chart', () => {
  it('holds every value in its y range, with some air', () => {
    const { y } = buildScene([line([1, 2, 100, 3])], options)
    expect(y.min).toBeLessThan(1)
    expect(y.max).toBeGreaterThan(100)
  })
  it('counts what a logarithmic axis cannot show', () => {
    const scene = buildScene([line([1, 0, -2, 8])], { ...options, log: true })
    expect(scene.notPositive).toBe(2)
    expect(scene.y.min).toBeGreaterThan(0)
    const close = buildScene([line([1, 0, -2, 8])], { ...options, log: true, zoom: { min: 2, max: 3 } })
    expect(close.notPositive).toBe(1)
  })
  it('draws a value that has no neighbours wide enough to be seen, smoothed as well', () => {
    for (const smoothing of [0, 0.5]) {
      const values = [...Array.from({ length: 60 }, () => Number.NaN), 7, Number.NaN]
      const scene = buildScene([line(values)], { ...options, smoothing })
      const ticks = ticksOf(scene, 300, 200)
      const pen = new SvgPen()
      paint(
        pen,
        scene,
        ticks,
        frameOf(ticks, 300, 200, () => 20),
        THEMES.light,
      )
      const [, from, to] = /d="M([\d.]+) [\d.]+L([\d.]+) [\d.]+" fill="none" stroke="#000"/.exec(
        pen.toString(300, 200),
      )!
      expect(Number(to) - Number(from)).toBeGreaterThan(3)
    }
  })
  it('smooths a long line by the means of its parts, not by the extremes that are drawn of them', () => {
    const long = { ...line([1, 100, 1, 100]), isRaw: false, means: [2, 2, 2, 2] }
    const [drawn] = buildScene([long], { ...options, smoothing: 0.9 }).lines
    expect(drawn!.smoothed!.map((value) => Math.round(value * 1e9) / 1e9)).toEqual([2, 2, 2, 2])
    expect(drawn!.ys).toEqual([1, 100, 1, 100])
  })
  it('counts what the cut of outliers hides, and hides nothing without it', () => {
    const values = [...Array.from({ length: 40 }, (_, i) => i % 7), 1000]
    expect(buildScene([line(values)], options).clipped).toBe(0)
    const cut = buildScene([line(values)], { ...options, clip: true })
    expect(cut.clipped).toBe(1)
    expect(cut.y.max).toBeLessThan(10)
  })
  it('scales y by what is in view, and counts only the NaN in view', () => {
    const values = [100, 1, 2, 3, Number.NaN, 4, Number.NaN]
    const scene = buildScene([line(values)], { ...options, zoom: { min: 1, max: 5 } })
    expect(scene.y.max).toBeLessThan(10)
    expect(scene.nan).toBe(1)
  })
  it('begins its relative axis at the first point of the run', () => {
    expect(buildScene([line([1, 2])], { ...options, axis: 'relative' }).x).toEqual({ min: 0, max: 10 })
  })
})
