import { describe, expect, it } from 'vitest'
import { POINT_BYTES } from '../../src/channel/chunk.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { readJournal } from '../../src/journal/status.ts'
import { dropped } from '../../src/telemetry/counters.ts'
import {
  addPoints,
  addSpans,
  counterOf,
  createJournal,
  openAgain,
  spansIn,
  steps,
  stepsIn,
} from '../support/journal.ts'

const MB = 1 << 20

describe('a journal whose disk cannot take any more', () => {
  /** 10 points, 2 spans and a param on disk; as much in memory. */
  function overflowing(limit = MB): RunJournal {
    const journal = createJournal()
    const add = (n: number): void => {
      journal.addHead(0, new Uint8Array([1]), new Uint8Array([2]))
      addPoints(journal, 10 * n + 1, 10)
      addSpans(journal, [4, 5])
      journal.addParams([[`p${n}`, 'x']])
      journal.commit()
    }
    journal.addSeries(0, 'loss')
    add(0)
    journal.overflow(limit)
    add(1)
    return journal
  }
  const onDisk = ({ path }: RunJournal): unknown => {
    const { points, journaled, endedAt } = readJournal(path)
    return { points, journaled, endedAt }
  }

  it('has all that it had, and what comes, in order, while others see what is on disk', () => {
    const journal = overflowing()
    expect([journal.isOverflowing, journal.isInMemory, journal.points, journal.spans]).toEqual([true, false, 20, 4])
    for (let after = 0; after < 20; after += 1)
      for (const limit of [1, 5, 20])
        expect(stepsIn(journal, after, limit)).toEqual(steps(after + 1, Math.min(20, after + limit)))
    const sequences = (after: number, limit: number): number[] =>
      spansIn(journal, after, limit).map(({ sequence }) => sequence)
    // Where the spans end that are on disk, the next ones are for the next time.
    expect([sequences(0, 10), sequences(1, 10), sequences(2, 10), sequences(3, 10), sequences(4, 1)]).toEqual([
      [1, 2],
      [2],
      [3, 4],
      [4],
      [],
    ])
    expect(sequences(2, 1)).toEqual([3])
    expect(onDisk(journal)).toEqual({ points: 10, journaled: { points: 10, spans: 2 }, endedAt: null })
    journal.drop(MB)
    expect(journal.firstKept).toEqual({ points: 1, spans: 1 })
  })

  it('drops what is beyond the limit of memory, which what is on disk does not count for', () => {
    const journal = overflowing(10 * POINT_BYTES + 9 + 28)
    addPoints(journal, 21, 2)
    journal.commit()
    addPoints(journal, 21, 1)
    journal.commit()
    expect([journal.points, counterOf(journal, dropped('journal_full'))]).toEqual([21, 2])
  })

  it('forgets what is delivered only when memory is half full, for it is wanted on disk again', () => {
    const bytes = 10 * POINT_BYTES + 9
    const roomy = overflowing(2 * bytes + 2)
    roomy.forget(20)
    expect(stepsIn(roomy, 10)).toEqual(steps(11, 20))
    const full = overflowing(2 * bytes)
    full.forget(20)
    expect(full.all('SELECT first FROM blocks')).toEqual([])
  })

  it('has of rows that only grow those of disk and memory, and those of memory where the disk cannot be read', () => {
    const journal = overflowing()
    expect(journal.allStored('SELECT first FROM blocks')).toEqual([{ first: 1 }, { first: 11 }])
    journal.database.exec('ALTER TABLE blocks RENAME COLUMN first TO start')
    expect(journal.allStored('SELECT start FROM blocks')).toEqual([{ start: 11 }])
  })

  it('brings everything back to disk when it can, and has no limit any more', () => {
    const journal = overflowing(10 * POINT_BYTES + 9)
    journal.drainOverflow()
    expect([journal.isOverflowing, stepsIn(journal)]).toEqual([false, steps(1, 20)])
    expect(spansIn(journal).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4])
    addPoints(journal, 21, 100)
    addSpans(journal, [1])
    journal.commit()
    expect(onDisk(journal)).toEqual({ points: 120, journaled: { points: 120, spans: 5 }, endedAt: null })
    journal.forget(120)
    expect(stepsIn(journal)).toEqual(steps(1, 120))
    journal.drainOverflow()
    journal.saveAccount()
    expect(journal.points).toBe(120)
    const again = openAgain(journal)
    expect([again.points, again.spans]).toEqual([120, 5])
  })

  it('keeps at least the account and the end of its run on disk', () => {
    const journal = overflowing()
    journal.setEnd('FINISHED', 9)
    journal.commit()
    journal.saveAccount()
    expect(onDisk(journal)).toEqual({ points: 20, journaled: { points: 20, spans: 4 }, endedAt: 9 })
    expect([journal.isOverflowing, stepsIn(journal)]).toEqual([true, steps(1, 20)])
    journal.close()
    const disk = RunJournal.open(journal.path)
    expect([disk.all('SELECT first, count FROM blocks'), disk.all('SELECT first, count FROM spans')]).toEqual([
      [{ first: 1, count: 10 }],
      [{ first: 1, count: 2 }],
    ])
    disk.close()
  })

  it('overflows again with all the room that there is', () => {
    const journal = overflowing(10 * POINT_BYTES + 9)
    journal.drainOverflow()
    journal.overflow(10 * POINT_BYTES)
    addPoints(journal, 21, 10)
    journal.commit()
    expect([journal.points, stepsIn(journal)]).toEqual([30, steps(1, 30)])
  })
})
