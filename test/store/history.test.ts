import fc from 'fast-check'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RunJournal } from '../../src/journal/journal.ts'
import { RunHistory } from '../../src/store/history.ts'
import type { Line } from '../../src/web/api.ts'
import { FilledJournal, type Point } from '../support/filled-journal.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

interface Opened {
  filled: FilledJournal
  journal: RunJournal
  history: RunHistory
}

/** A journal on disk and what is read of it. */
function opened(points: readonly Point[] = []): Opened {
  const path = join(temporaryDirectory(), '01TEST.sqlite')
  const filled = new FilledJournal({}, path)
  const history = new RunHistory('01TEST', path, {})
  write(filled, points)
  history.refresh()
  return { filled, journal: filled.journal, history }
}

/** Blocks of a thousand points. */
function write(filled: FilledJournal, points: readonly Point[]): void {
  for (let i = 0; i < points.length; i += 1000) filled.points(points.slice(i, i + 1000))
}

const columnsOf = ({ steps, times, values }: Line): Point[] =>
  steps.map((step, i) => ({ step, time: times[i]!, value: Number(values[i]) }))

const anyValue = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Number.NaN, Infinity, -Infinity))

describe('the line of a chart', () => {
  it('has every point of a stretch, or the extremes of it: nothing but what is in the journal, in order of the axis', () => {
    const point = fc.record({
      key: fc.constantFrom('a', 'b'),
      step: fc.integer({ min: 0, max: 3000 }),
      time: fc.integer({ min: 0, max: 3000 }),
      value: anyValue,
    })
    const query = fc.record({
      axis: fc.constantFrom('step' as const, 'time' as const, 'relative' as const),
      from: fc.integer({ min: -10, max: 3100 }),
      to: fc.integer({ min: -10, max: 3100 }),
      width: fc.integer({ min: 1, max: 900 }),
    })
    fc.assert(
      fc.property(fc.array(point, { maxLength: 4000, size: 'max' }), query, (points, asked) => {
        const { history } = opened(points)
        const origin = asked.axis === 'relative' ? Math.min(...points.map(({ time }) => time)) : 0
        const place = ({ step, time }: Point): number => (asked.axis === 'step' ? step! : time!) - origin
        for (const key of ['a', 'b']) {
          const wanted = points.filter(
            (each) => each.key === key && place(each) >= asked.from && place(each) <= asked.to,
          )
          const line = history.line(key, asked)
          if (line === null) {
            expect(points.some((each) => each.key === key)).toBe(false)
            continue
          }
          const drawn = columnsOf(line)
          const finite = wanted.filter(({ value }) => Number.isFinite(value))
          const numbers = (of: readonly Point[]): number[] => of.map(({ value }) => value!).filter(Number.isFinite)
          expect(line.points).toBe(wanted.length)
          expect(line.nan + line.infinite).toBe(wanted.length - finite.length)
          expect(drawn.every((each, i) => i === 0 || place(each) >= place(drawn[i - 1]!))).toBe(true)
          expect(Math.min(...numbers(drawn))).toBe(Math.min(...numbers(wanted)))
          expect(Math.max(...numbers(drawn))).toBe(Math.max(...numbers(wanted)))
          if (line.isRaw) expect(drawn).toHaveLength(wanted.length)
          for (const each of drawn)
            expect(wanted.some((other) => Object.is(other.value, each.value) && place(other) === place(each))).toBe(
              true,
            )
        }
      }),
      { numRuns: 25 },
    )
  })

  it('shows one spike among 100,000 points at any width, and every point where it is looked at closely', () => {
    const points = Array.from({ length: 100_000 }, (_, step) => ({
      step,
      time: step,
      value: step === 77_777 ? 5 : 0.5,
    }))
    const { history } = opened(points)
    for (const width of [1, 10, 430, 1440, 4000]) {
      const line = history.line('loss', { axis: 'step', width })!
      expect(line).toMatchObject({ points: 100_000, isRaw: false })
      expect(columnsOf(line)).toContainEqual({ step: 77_777, time: 77_777, value: 5 })
      const { steps, times, values, means } = line
      expect(new Set([steps, times, values, means!].map(({ length }) => length)).size, `${width}`).toBe(1)
    }
    const near = history.line('loss', { axis: 'step', width: 430, from: 77_700, to: 77_800 })!
    expect(near).toMatchObject({ points: 101, isRaw: true })
    expect(near.steps).toEqual(Array.from({ length: 101 }, (_, i) => 77_700 + i))
  })

  it('tells where values are not finite', () => {
    const { history } = opened([
      { step: 1, value: 1 },
      { step: 2, value: Number.NaN },
      { step: 3, value: -Infinity },
    ])
    const line = history.line('loss', { axis: 'step', width: 100 })!
    expect(line).toMatchObject({ nan: 1, infinite: 1, values: [1, 'NaN', '-Infinity'] })
    expect(line.odd.map(({ step, value }) => [step, value])).toEqual([
      [2, 'NaN'],
      [3, '-Infinity'],
    ])
  })
})

describe('what is read of a run', () => {
  it('grows with the journal, and points behind a number are told apart by series', () => {
    const { filled, history } = opened([
      { key: 'a', step: 1, value: 1 },
      { key: 'b', step: 1, value: 2 },
    ])
    expect(history.upTo).toBe(2)
    filled.points([
      { key: 'b', step: 2, time: 7, value: Number.NaN },
      { key: 'c', step: 2, value: 4 },
    ])
    expect(history.upTo).toBe(2)
    expect(history.refresh()).toBe(true)
    expect(history.upTo).toBe(4)
    expect(history.since(2, 10)).toEqual([
      { id: 1, key: 'b', count: 2, steps: [2], times: [7], values: ['NaN'] },
      { id: 2, key: 'c', count: 1, steps: [2], times: [0], values: [4] },
    ])
    expect(history.since(0, 3)).toBe(null)
    expect(history.series().map(({ key, count }) => [key, count])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 1],
    ])
  })

  it('is read a little at a time', () => {
    const path = join(temporaryDirectory(), '01TEST.sqlite')
    const filled = new FilledJournal({}, path)
    write(
      filled,
      Array.from({ length: 3000 }, (_, step) => ({ step, value: 1 })),
    )
    const history = new RunHistory('01TEST', path, {})
    expect([history.refresh(0), history.upTo]).toEqual([false, 1000])
    expect([history.refresh(), history.upTo]).toEqual([true, 3000])
  })

  it('goes on without the points that the journal had to drop', () => {
    const { history, journal } = opened(Array.from({ length: 3000 }, (_, step) => ({ step, time: step, value: step })))
    journal.drop(28_000)
    const line = history.line('loss', { axis: 'step', width: 1, from: 0, to: 2999 })!
    expect(line.values.at(-1)).toBe(2999)
    expect(history.line('loss', { axis: 'step', width: 5000, from: 10, to: 2999 })!.steps[0]).toBe(1000)
  })

  it('has labels, units and thresholds of the registry', () => {
    const { history } = opened([{ key: 'trainer/approx_kl', step: 1, value: 0.2 }])
    expect(history.series()[0]).toMatchObject({
      category: 'trainer',
      label: 'Approx. KL',
      thresholds: { warn: 0.05, bad: 0.1 },
      last: { step: 1, value: 0.2 },
      min: 0.2,
      max: 0.2,
    })
  })
})
