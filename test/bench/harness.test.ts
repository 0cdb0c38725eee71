import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { pageOf } from '../../bench/harness/docs.ts'
import { readOptions } from '../../bench/harness/options.ts'
import { resultOf, resultWithout } from '../../bench/harness/results.ts'
import type { Goal, Row } from '../../bench/harness/row.ts'
import { alternate, compared, median, quantile } from '../../bench/harness/statistics.ts'
import { tableOf } from '../../bench/harness/table.ts'
import { MissingPeer, Peers } from '../../bench/peers/peers.ts'
import { families } from '../../bench/rows/index.ts'

const row = (goal: Goal | null): Row => ({ id: 'r', what: 'a thing', against: 'another', unit: 'x', goal })

describe('figures', () => {
  it('the middle of an even number of rounds lies between the two in the middle', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([5, 1, 3])).toBe(3)
    expect(quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.9)).toBe(10)
    expect(quantile([3, 1, 2], 1)).toBe(3)
  })

  it('a ratio is that of the two sides of the same round', () => {
    expect(compared([2, 9], [4, 3], 's').values).toEqual([0.5, 3])
  })

  it('the sides take turns, each round in the opposite order', async () => {
    const order: string[] = []
    const side = (name: string) => (round: number) => void order.push(`${name}${round}`)
    await alternate(3, { a: side('a'), b: side('b') })
    expect(order).toEqual(['a0', 'b0', 'b1', 'a1', 'a2', 'b2'])
  })

  it.each([
    [{ atLeast: 2 }, [1, 2, 3], 'met'],
    [{ atLeast: 2 }, [1, 1.9, 3], 'below'],
    [{ atMost: 2 }, [1, 2, 3], 'met'],
    [{ atMost: 2 }, [1, 2.1, 3], 'below'],
    [null, [1], 'figure'],
  ] as const)('with the goal %j, rounds of %j are: %s', (goal, values, verdict) => {
    expect(resultOf(row(goal), { values }, false).verdict).toBe(verdict)
  })

  it('a goal that the other side sets is missed only beyond its worst round', () => {
    const verdict = (values: number[]) =>
      resultOf(row({ isWithinTheirs: true }), { values, theirs: [1, 5] }, false).verdict
    expect([verdict([5]), verdict([5.1])]).toEqual(['met', 'below'])
    expect(resultOf(row({ isWithinTheirs: true }), { values: [1] }, false).verdict).toBe('figure')
  })
})

describe('the table', () => {
  const below = resultOf(row({ atLeast: 2 }), { values: [1], ours: [10], theirs: [5], sideUnit: 's' }, false)

  it('marks what is below its goal, and says of a row without figures why', () => {
    const table = tableOf([
      below,
      resultWithout(row(null), 'failed', 'it broke', false),
      resultWithout(row(null), 'missing', 'no Go here', false),
    ])
    const [, first, second, third] = table.split('\n')
    expect(first).toMatch(/>= 2x +1\.00x \(1\.00-1\.00\) +BELOW +10\.0 \/ 5\.00 s; another/)
    expect(second).toMatch(/FAILED +another; it broke/)
    expect(third).toMatch(/no peer +another; no Go here/)
  })

  it('the page names the machine, marks the same rows, and holds what is kept by hand', () => {
    const machine = { cpu: 'Some CPU', cores: 2, memoryGb: 24, system: 'Linux 6', node: 'v24.0.0' }
    const page = pageOf({ machine, rows: [below] }, ['## Tried and lost\n'])
    expect(page).toContain('2 x Some CPU, 24 GB, Linux 6, Node.js v24.0.0')
    expect(page).toMatch(/\| `r` .* >= 2x \| 1\.00x \(1\.00-1\.00\) \*\*below\*\* \|/)
    expect(page).toContain('## Tried and lost')
  })

  it('every row has a name of its own and stands in docs/performance.md', () => {
    const ids = families.flatMap(({ rows }) => rows.map(({ id }) => id))
    expect(new Set(ids).size).toBe(ids.length)
    const page = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8')
    expect(ids.filter((id) => !page.includes(`\`${id}\``))).toEqual([])
  })
})

describe('options and peers', () => {
  it('an option that is wrong is named with what was expected', () => {
    expect(() => readOptions(['--rounds', 'many'])).toThrow(`--rounds: expected a number from 1, got 'many'`)
    expect(() => readOptions(['--peers', 'some'])).toThrow(`--peers: expected one of none, quick, all, got 'some'`)
  })

  it('--quick means fewer rounds and no installing, unless something else is said', () => {
    expect(readOptions(['--quick'])).toMatchObject({ rounds: 3, peers: 'quick', isQuick: true })
    expect(readOptions(['--quick', '--peers', 'all', '--rounds', '7'])).toMatchObject({ rounds: 7, peers: 'all' })
    expect(readOptions([])).toMatchObject({ rounds: 5, peers: 'all', isQuick: false })
  })

  it('a peer that was not asked for is missing and no failure', () => {
    expect(() => new Peers('none', () => {}).path('python')).toThrow(MissingPeer)
  })
})
