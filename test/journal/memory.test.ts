import { describe, expect, it } from 'vitest'
import { POINT_BYTES } from '../../src/channel/chunk.ts'
import { dropped, SPANS_JOURNAL_FULL } from '../../src/telemetry/counters.ts'
import { addPoints, addSpans, counterOf, createInMemory, spansIn, steps, stepsIn } from '../support/journal.ts'

const MB = 1 << 20

describe('a journal in memory', () => {
  it('takes what fits to the last byte, and counts the points and spans beyond that', () => {
    const journal = createInMemory(1000 * POINT_BYTES)
    expect(journal.isInMemory).toBe(true)
    journal.addHead(0, new Uint8Array(), new Uint8Array())
    addPoints(journal, 1, 900)
    journal.commit()
    addPoints(journal, 901, 101)
    journal.commit()
    addPoints(journal, 901, 50)
    journal.commit()
    addSpans(journal, [20 * POINT_BYTES, 31 * POINT_BYTES, 30 * POINT_BYTES])
    journal.commit()
    addPoints(journal, 951, 1)
    addSpans(journal, [1])
    journal.commit()
    expect([journal.points, journal.spans, stepsIn(journal)]).toEqual([950, 2, steps(1, 950)])
    expect(spansIn(journal).map(({ bytes }) => [bytes.length, bytes[0]])).toEqual([
      [560, 1],
      [840, 3],
    ])
    expect([counterOf(journal, dropped('journal_full')), counterOf(journal, SPANS_JOURNAL_FULL)]).toEqual([102, 2])
    expect(journal.seriesStats.map(({ count }) => count)).toEqual([950])
    expect(journal.get("SELECT value FROM counters WHERE name = 'journaled.spans'")).toEqual({ value: 2 })
  })

  it('has room again for as much as is delivered of it, block by block', () => {
    const journal = createInMemory(1000 * POINT_BYTES)
    for (const first of [1, 501]) {
      addPoints(journal, first, 500)
      journal.commit()
    }
    journal.forget(499)
    expect(stepsIn(journal)).toEqual(steps(1, 1000))
    journal.forget(500)
    addPoints(journal, 1001, 501)
    journal.commit()
    expect([journal.points, counterOf(journal, dropped('journal_full'))]).toEqual([1000, 501])
    addPoints(journal, 1001, 500)
    journal.commit()
    expect([journal.points, stepsIn(journal, 500)]).toEqual([1500, steps(501, 1500)])
  })

  it('drops nothing to keep within a limit on disk', () => {
    const journal = createInMemory(MB)
    addPoints(journal, 1, 10)
    journal.commit()
    journal.drop(MB)
    expect([journal.firstKept.points, stepsIn(journal)]).toEqual([1, steps(1, 10)])
  })
})
