import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/delivery/clock.ts'
import { Trouble, type TroubleOptions } from '../../src/delivery/trouble.ts'
import { stopTime } from '../support/turn.ts'

/** The trouble of a destination that has got `delivered` items so far, while `waiting` wait. */
function trouble(rest: Partial<TroubleOptions> = {}) {
  const said: string[] = []
  const noted: unknown[] = []
  const counts = { waiting: 0, delivered: 100 }
  const cut = new AbortController()
  const trouble = new Trouble({
    name: 'mlflow',
    state: (state, lastError) => noted.push([state, lastError]),
    clock: systemClock,
    say: (text) => said.push(text),
    cut: cut.signal,
    item: 'point',
    counts: () => counts,
    ...rest,
  })
  return { trouble, said, noted, counts, cut, fails: (message: string) => trouble.tell(new Error(message)) }
}

const pass = (ms: number): void => void vi.advanceTimersByTime(ms)

beforeEach(() => {
  stopTime()
  pass(5000)
})

afterEach(() => void vi.useRealTimers())

describe('a destination in trouble', () => {
  it('is told of at once with how much waits, and so is its end, with how long it took and what is delivered', () => {
    const { trouble: one, said, noted, counts, fails } = trouble()
    expect(one.isThere).toBe(false)
    counts.waiting = 1234
    fails('nobody listens')
    expect(one.isThere).toBe(true)
    pass(12_340)
    counts.delivered += 1234
    one.isOver()
    expect(one.isThere).toBe(false)
    expect(said).toEqual([
      'nobody listens. 1,234 points wait in the journal; it is tried again by itself.',
      'mlflow: back after 12.3 s; 1,234 points that had waited are delivered',
    ])
    expect(noted).toEqual([
      ['suspended', 'nobody listens'],
      ['ok', null],
    ])
  })

  it('is told of in the words for one, for none and for spans', () => {
    for (const [item, n, waits, delivered] of [
      ['point', 1, '1 point waits', '; 1 point that had waited is delivered'],
      ['span', 2, '2 spans wait', '; 2 spans that had waited are delivered'],
      ['span', 0, 'Metrics wait', ''],
    ] as const) {
      const { trouble: one, said, counts, fails } = trouble({ item })
      counts.waiting = n
      fails('503')
      counts.delivered += n
      one.isOver()
      expect(said).toEqual([
        `503. ${waits} in the journal; it is tried again by itself.`,
        `mlflow: back after 0.0 s${delivered}`,
      ])
    }
  })

  it('is told of as it is, with a full stop where the message has no end of its own', () => {
    for (const [message, sentence] of [
      ['Is it up?', 'Is it up?'],
      ['It is not.', 'It is not.'],
      ['Stop!', 'Stop!'],
      ['a.b is away', 'a.b is away.'],
    ] as const) {
      const { said, fails } = trouble()
      fails(message)
      expect(said).toEqual([`${sentence} Metrics wait in the journal; it is tried again by itself.`])
    }
  })

  it('is told of no more often than every ten seconds, while each failure is noted', () => {
    const { said, noted, fails } = trouble()
    const words = (message: string): string => `${message}. Metrics wait in the journal; it is tried again by itself.`
    fails('a')
    pass(9999)
    fails('b')
    expect(said).toEqual([words('a')])
    pass(1)
    fails('c')
    expect(said).toEqual([words('a'), words('c')])
    expect(noted).toEqual(['a', 'b', 'c'].map((message) => ['suspended', message]))
  })

  it('counts from its first failure on, whatever has failed since', () => {
    const { trouble: one, said, counts, fails } = trouble()
    fails('a')
    pass(2000)
    counts.delivered += 3
    fails('b')
    pass(2000)
    counts.delivered += 4
    one.isOver()
    expect(said.slice(1)).toEqual(['mlflow: back after 4.0 s; 7 points that had waited are delivered'])
  })

  it('that is back is not told of when its failure was not, soon after another one', () => {
    const { trouble: one, said, noted, fails } = trouble()
    fails('a')
    one.isOver()
    pass(1000)
    fails('b')
    one.isOver()
    expect(said).toHaveLength(2)
    expect(noted.slice(2)).toEqual([
      ['suspended', 'b'],
      ['ok', null],
    ])
    expect(one.isThere).toBe(false)
  })

  it('is told of though the journal cannot note it', () => {
    const { said, fails } = trouble({
      state: () => {
        throw new Error('disk is full')
      },
    })
    fails('a')
    expect(said).toHaveLength(1)
  })
})

it('what fails because we end is not told, nor is the end of what never failed', () => {
  const { trouble: one, said, noted, cut, fails } = trouble()
  one.isOver()
  cut.abort()
  fails('aborted')
  one.isOver()
  expect([one.isThere, said, noted]).toEqual([false, [], []])
})
