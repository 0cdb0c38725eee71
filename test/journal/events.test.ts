import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { EventRow } from '../../src/channel/messages.ts'
import { bytesOfEvent, bytesOfEvents, dropEvents, trimEvents, writeEvents } from '../../src/journal/events.ts'
import { SCHEMA } from '../../src/journal/schema.ts'
import { Statements } from '../../src/journal/statements.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, EVENTS_CHANNEL_FULL, EVENTS_JOURNAL_FULL, EVENTS_OF } from '../../src/telemetry/counters.ts'
import {
  addPoints,
  counterOf,
  createInMemory,
  createJournal,
  eventRow,
  eventsIn,
  openAgain,
  steps,
} from '../support/journal.ts'

const rows = (from: number, to: number): EventRow[] => steps(from, to).map(eventRow)

/** An event of so many bytes. */
const ofBytes = (bytes: number): EventRow => ({ ...eventRow(1), target: '', message: 'x'.repeat(bytes), fields: '' })

describe('events of level WARN and above', () => {
  it('are rows of the journal as they came, in order, and go on with their numbers when it is opened again', () => {
    const first = createJournal()
    const odd: EventRow = {
      time: 5,
      level: 'ERROR',
      target: '',
      message: 'ünï\0',
      step: null,
      fields: '{"a":"\\u0000"}',
    }
    first.addEvents([eventRow(7), odd])
    first.commit()
    const journal = openAgain(first)
    journal.addEvents([eventRow(8)])
    journal.commit()
    expect(journal.all('SELECT * FROM events')).toEqual([
      { sequence: 1, ...eventRow(7) },
      { sequence: 2, ...odd },
      { sequence: 3, ...eventRow(8) },
    ])
    expect([counterOf(journal, EVENTS_OF.WARN), counterOf(journal, EVENTS_OF.ERROR)]).toEqual([1, 2])
  })

  it.each([
    ['in one commit', 12_345],
    ['in many', 100],
  ])('are the first 1,000 of a run and the newest 9,000, however many come %s', (_, atOnce) => {
    const journal = createJournal()
    journal.database.exec('PRAGMA synchronous = OFF')
    for (let from = 1; from <= 12_345; from += atOnce) {
      journal.addEvents(rows(from, Math.min(12_345, from + atOnce - 1)))
      journal.commit()
    }
    expect(eventsIn(journal)).toEqual([...steps(1, 1000), ...steps(3346, 12_345)])
    expect(journal.get('SELECT message FROM events WHERE sequence = 3346')).toEqual({ message: 'no 3346' })
    expect(readJournal(journal.path).eventAccount).toEqual({
      received: 12_345,
      journaled: 12_345,
      notKept: 2345,
      inChannel: 0,
      dropped: { channel_full: 0, journal_full: 0 },
    })
  })

  it('keep their numbers when a commit fails and is tried again', () => {
    const journal = createJournal()
    journal.run(`CREATE TRIGGER full BEFORE INSERT ON params BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    journal.addEvents(rows(1, 2))
    // What comes behind the events fails.
    journal.addParams([['a', 'b']])
    expect(() => journal.commit()).toThrow('disk is full')
    expect([journal.events, journal.isDirty]).toEqual([0, true])
    journal.run('DROP TRIGGER full')
    journal.commit()
    expect([journal.events, eventsIn(journal), counterOf(journal, EVENTS_OF.WARN)]).toEqual([2, [1, 2], 1])
  })

  it('are counted beside those that found no room on their way', () => {
    const journal = createJournal()
    journal.addEvents(rows(1, 3))
    journal.addCounts(
      Float64Array.from(COUNTERS, (_, i) => (i === EVENTS_OF.WARN || i === EVENTS_CHANNEL_FULL ? 4 : 0)),
    )
    journal.commit()
    const { received, journaled, dropped } = readJournal(journal.path).eventAccount
    expect([received, journaled, dropped]).toEqual([7, 3, { channel_full: 4, journal_full: 0 }])
  })

  it('in memory take the room that points and spans leave, give it back when they go, and are counted beyond it', () => {
    const journal = createInMemory(10_000)
    addPoints(journal, 1, 100)
    journal.commit()
    journal.addEvents([ofBytes(7200), ofBytes(1), ofBytes(1)])
    journal.commit()
    expect([journal.events, counterOf(journal, EVENTS_JOURNAL_FULL), counterOf(journal, EVENTS_OF.WARN)]).toEqual([
      1, 2, 3,
    ])
    journal.forget(100)
    const add = (...events: EventRow[]): void => {
      journal.addEvents(events)
      journal.commit()
    }
    const small = (count: number): EventRow[] => Array.from({ length: count }, () => ofBytes(0))
    add(...small(999), ofBytes(2800), ofBytes(1))
    expect(counterOf(journal, EVENTS_JOURNAL_FULL)).toBe(3)
    // The long one gives its room back when it belongs to the newest no more.
    add(...small(9000))
    add(ofBytes(2800), ofBytes(1))
    expect([counterOf(journal, EVENTS_JOURNAL_FULL), eventsIn(journal).at(-1)]).toEqual([4, 10_002])
  })

  it('are dropped before points at the limit of a journal where they take more than a quarter of it, the first ones last', () => {
    const journal = createJournal()
    journal.addEvents(Array.from({ length: 1200 }, () => ofBytes(1000)))
    for (let first = 1; first <= 10_000; first += 1000) addPoints(journal, first, 1000)
    journal.commit()
    const used = journal.usedBytes
    journal.drop(50_000)
    expect([journal.firstKept.points, eventsIn(journal)]).toEqual([1, [...steps(1, 1000), ...steps(1051, 1200)]])
    journal.drop(used)
    expect(eventsIn(journal).length).toBeLessThan(1000)
    expect(eventsIn(journal).at(-1)).toBe(1000)
    expect(eventsIn(journal).length * 1000).toBeGreaterThan(used / 8)
  })
})

describe('the table of events', () => {
  function open(): Statements {
    const rows = new Statements(new DatabaseSync(':memory:'))
    rows.database.exec(SCHEMA)
    onTestFinished(() => rows.close())
    return rows
  }
  const held = (rows: Statements): number[] =>
    rows.all('SELECT sequence FROM events ORDER BY sequence').map((row) => Number(row['sequence']))

  it('is never given what would not stay: of very many at once, only the first 1,000 of the run and the newest 9,000', () => {
    const all = open()
    writeEvents(all, rows(1, 12_000), 0)
    expect(held(all)).toEqual([...steps(1, 1000), ...steps(3001, 12_000)])
    const later = open()
    writeEvents(later, rows(1, 9500), 998)
    expect(held(later)).toEqual([999, 1000, ...steps(1499, 10_498)])
    expect(later.get('SELECT message FROM events WHERE sequence = 1499')).toEqual({ message: 'no 501' })
  })

  it('has every event until there are more than 10,000', () => {
    const all = open()
    writeEvents(all, rows(1, 10_000), 0)
    trimEvents(all.database, 10_000)
    expect(held(all)).toEqual(steps(1, 10_000))
    writeEvents(all, [eventRow(10_001)], 10_000)
    expect(held(all)).toHaveLength(10_001)
    trimEvents(all.database, 10_001)
    expect(held(all)).toEqual([...steps(1, 1000), ...steps(1002, 10_001)])
  })

  it('takes as many bytes as its texts have in UTF-8, and none where it is empty', () => {
    const all = open()
    expect(bytesOfEvents(all.database)).toBe(0)
    const odd: EventRow = { ...eventRow(1), target: 'ü', message: '€ \0 x', fields: '{"a":"😀"}' }
    expect(bytesOfEvent(odd)).toBe(2 + 7 + 12)
    writeEvents(all, [odd, ofBytes(7)], 0)
    expect(bytesOfEvents(all.database)).toBe(2 + 7 + 12 + 7)
  })

  const dropped = (bytes: number, used: number): [freed: number, left: number[]] => {
    const all = open()
    writeEvents(
      all,
      Array.from({ length: 1004 }, () => ofBytes(10)),
      0,
    )
    return [dropEvents(all.database, bytes, used), held(all)]
  }

  it('gives up what is wanted of it and hardly more: the oldest of those behind the first 1,000, and the first ones last', () => {
    expect(dropped(20, 0)).toEqual([20, [...steps(1, 1000), 1003, 1004]])
    expect(dropped(21, 0)).toEqual([30, [...steps(1, 1000), 1004]])
    expect(dropped(60, 0)).toEqual([60, steps(3, 1000)])
    expect(dropped(1e6, 0)).toEqual([10_040, []])
  })

  it('gives up nothing while it takes no more than a quarter of what the journal uses, and no more than is beyond that', () => {
    for (const used of [40_160, 40_164, 1e6]) expect(dropped(1e6, used)).toEqual([0, steps(1, 1004)])
    expect(dropped(1e6, 40_156)).toEqual([10, [...steps(1, 1000), ...steps(1002, 1004)]])
    expect(dropped(0, 0)).toEqual([0, steps(1, 1004)])
  })
})
