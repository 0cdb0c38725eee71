import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_PARTS, Outline } from '../../src/store/outline.ts'

const outlineOf = (values: readonly number[]): Outline => {
  const outline = new Outline()
  for (const [i, value] of values.entries()) outline.add(i, 1000 + i, value)
  return outline
}

const anyValue = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -0))

describe('the outline of a series', () => {
  it('is the series itself up to 1,024 points', () => {
    fc.assert(
      fc.property(fc.array(anyValue, { maxLength: MAX_PARTS }), (values) => {
        const points = [...outlineOf(values).points()]
        expect(points).toEqual(values.map((value, i) => ({ step: i, time: 1000 + i, value, mean: value })))
      }),
      { numRuns: 50 },
    )
  })

  it('has both extremes of a part where all of it came at one step within one millisecond', () => {
    const outline = new Outline()
    for (let i = 0; i < 4 * MAX_PARTS; i += 1) outline.add(7, 1000, i === 9 ? 50 : i % 2)
    expect(new Set([...outline.points()].map(({ value }) => value))).toEqual(new Set([0, 1, 50]))
  })

  it('has each point as often as it is in the series or less, in order, with the least and the greatest of all', () => {
    const long = fc.array(anyValue, { minLength: MAX_PARTS + 1, maxLength: 5 * MAX_PARTS, size: 'max' })
    fc.assert(
      fc.property(long, (values) => {
        const outline = outlineOf(values)
        const points = [...outline.points()]
        const finite = values.filter(Number.isFinite)
        expect(points.length).toBeLessThanOrEqual(2 * MAX_PARTS)
        for (const { step, time, value } of points) {
          expect(time).toBe(1000 + step)
          expect(values[step]).toBe(value)
        }
        expect(points.every(({ step }, i) => i === 0 || step > points[i - 1]!.step)).toBe(true)
        expect(outline.min).toBe(finite.reduce((a, b) => Math.min(a, b), Infinity))
        expect(outline.max).toBe(finite.reduce((a, b) => Math.max(a, b), -Infinity))
        const drawn = points.map(({ value }) => value).filter(Number.isFinite)
        expect(drawn.reduce((a, b) => Math.min(a, b), Infinity)).toBe(outline.min)
        expect(drawn.reduce((a, b) => Math.max(a, b), -Infinity)).toBe(outline.max)
        expect(outline.nan + outline.infinite + finite.length).toBe(values.length)
      }),
      { numRuns: 30 },
    )
  })

  it('has the extremes of every part: one spike among a million values is there', () => {
    const outline = new Outline()
    for (let i = 0; i < 1_000_000; i += 1) outline.add(i, i, i === 777_777 ? 5 : Math.sin(i))
    expect([...outline.points()].filter(({ value }) => value === 5)).toMatchObject([
      { step: 777_777, time: 777_777, value: 5 },
    ])
  })

  it('has the mean of all finite values of each part, however often parts were joined', () => {
    const values = Array.from({ length: 3000 }, (_, i) => (i % 7 === 0 ? Number.NaN : i % 10 === 0 ? 100 : 1))
    const means = [...outlineOf(values).points()].map(({ step, mean }) => {
      const part = values.slice(step - (step % 4), step - (step % 4) + 4).filter(Number.isFinite)
      expect(mean).toBeCloseTo(part.reduce((a, b) => a + b, 0) / part.length, 10)
      return mean
    })
    expect(means.length).toBeGreaterThan(700)
  })

  it('remembers 200 places of NaN and infinity: the first hundred and the newest', () => {
    const outline = outlineOf(Array.from({ length: 500 }, () => Number.NaN))
    const steps = outline.odd.map(({ step }) => step)
    expect(steps).toEqual([...Array(100).keys(), ...Array.from({ length: 100 }, (_, i) => 400 + i)])
  })

  it('knows whether steps and times ever went back', () => {
    const outline = new Outline()
    for (const [step, time] of [
      [1, 5],
      [2, 5],
      [2, 4],
    ] as const)
      outline.add(step, time, 0)
    expect(outline.isAscending).toEqual({ step: true, time: false })
  })

  it('has a line of bars over all of it, with a gap where nothing is finite', () => {
    const values = Array.from({ length: 4096 }, (_, i) => (i < 1024 ? Number.NaN : i))
    const line = outlineOf(values).sparkline(4)
    expect(Number.isNaN(line[0])).toBe(true)
    expect(line.slice(1).map(Math.round)).toEqual([1536, 2560, 3584])
    expect(new Outline().sparkline(4)).toEqual([])
  })
})
