import { describe, expect, it } from 'vitest'
import { RunJournal } from '../../src/journal/journal.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, WAITING } from '../../src/telemetry/counters.ts'
import {
  addPoints,
  addSpans,
  createJournal,
  metaOf,
  openAgain,
  steps,
  stepsIn,
  waitingRow,
} from '../support/journal.ts'
import { chunkOf } from '../support/points.ts'

describe('a journal that is opened again', () => {
  it('knows what it holds, and who has it now', () => {
    const first = createJournal({ identity: 'me' })
    first.addHead(0, new Uint8Array(), new Uint8Array())
    addPoints(first, 1, 5)
    addSpans(first, [1, 1])
    first.addSeries(0, 'loss')
    first.commit()
    first.run("UPDATE meta SET value = '1' WHERE key = 'pid'")
    const journal = openAgain(first)
    expect([journal.points, journal.spans, journal.firstKept, journal.keys]).toEqual([
      5,
      2,
      { points: 1, spans: 1 },
      ['loss'],
    ])
    expect([metaOf(journal, 'pid'), journal.isInMemory, journal.isOverflowing]).toEqual([
      String(process.pid),
      false,
      false,
    ])
    expect(journal.path).toBe(first.path)
    addPoints(journal, 6, 2)
    journal.commit()
    expect(stepsIn(journal)).toEqual(steps(1, 7))
  })

  it('goes on: its end is taken back, at its destinations, too', () => {
    const first = createJournal()
    first.run("INSERT INTO destinations (exporter, address, ended) VALUES ('a', 'b', 1)")
    first.setEnd('FINISHED', 9)
    first.commit()
    first.run("INSERT INTO meta (key, value) VALUES ('closedBy', 'take-over')")
    const journal = openAgain(first)
    expect(journal.readEnd()).toEqual({ status: 'FINISHED', time: 9 })
    journal.reopen()
    expect([journal.readEnd(), metaOf(journal, 'closedBy'), metaOf(journal, 'endedAt')]).toEqual([
      null,
      undefined,
      undefined,
    ])
    expect([metaOf(journal, 'run'), journal.get('SELECT ended FROM destinations')]).toEqual(['01TEST', { ended: 0 }])
  })

  it('is closed at the time of its last point, with what waits given up', () => {
    const first = createJournal()
    first.addPoints(chunkOf([9.5, 7.75].map((time) => ({ series: 0, step: 1, time, value: 1 }))), 2, null)
    first.addWaiting([waitingRow(1, 3)])
    first.addCounts(Float64Array.from(COUNTERS, (_, i) => (i === WAITING ? 3 : 0)))
    first.commit()
    const journal = openAgain(first)
    journal.closeByTakeOver()
    expect([journal.readEnd(), journal.readWaiting()]).toEqual([{ status: 'KILLED', time: 7 }, []])
    expect(readJournal(journal.path)).toMatchObject({ closedBy: 'take-over', waiting: 0, skipped: { no_step: 3 } })
  })

  it('is closed at the time of its last point, too, where that is the only one', () => {
    const first = createJournal()
    first.addPoints(chunkOf([{ series: 0, step: 1, time: 7, value: 1 }]), 1, null)
    first.commit()
    const journal = openAgain(first)
    journal.closeByTakeOver()
    expect(journal.readEnd()).toEqual({ status: 'KILLED', time: 7 })
  })

  it('is closed when it began, where no point of it is left', () => {
    const first = createJournal()
    addPoints(first, 1, 3)
    first.commit()
    first.drop(1)
    const journal = openAgain(first)
    expect(journal.firstKept.points).toBe(4)
    journal.closeByTakeOver('FINISHED')
    expect(journal.readEnd()).toEqual({ status: 'FINISHED', time: 5 })
  })

  it.each([
    ['2', "INSERT INTO series (id, key) VALUES (0, 'a'), (2, 'b')", 'expected series 1 and its key, got 2 and b'],
    [
      'x',
      "UPDATE counters SET value = 'x' WHERE name = 'journaled.points'",
      'expected a count as journaled.points, got NaN',
    ],
    [
      'y',
      "UPDATE counters SET value = -1 WHERE name = 'journaled.spans'",
      'expected a count as journaled.spans, got -1',
    ],
  ])('is refused where it is damaged: %s', (_, sql, words) => {
    const first = createJournal()
    first.run(sql)
    first.close()
    expect(() => RunJournal.open(first.path)).toThrow(new Error(`${first.path} is damaged: ${words}`))
  })
})
