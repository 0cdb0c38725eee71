import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CHUNK_POINTS, columnsOf } from '../../src/channel/chunk.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { isMarkedAhead, markAhead } from '../../src/journal/overflow.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, NUMBERS, POINTS, SPANS } from '../../src/telemetry/counters.ts'
import { eventRow, eventsIn } from '../support/journal.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { TABLES } from '../support/journal-tables.ts'

const LIMIT = 64 << 20

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** All that a journal has on disk, as another process sees it. */
function onDisk(path: string): Record<string, unknown[]> {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    return Object.fromEntries(TABLES.map((table) => [table, database.prepare(`SELECT * FROM ${table}`).all()]))
  } finally {
    database.close()
  }
}

function create(): RunJournal {
  const journal = RunJournal.create(join(temporaryDirectory(), '01TEST.sqlite'), runStart({ identity: 'a' }))
  // Nobody takes the power away here.
  journal.database.exec('PRAGMA synchronous = OFF')
  onTestFinished(() => journal.close())
  return journal
}

/** Says the `n`-th thing of each kind, so that every table changes. */
function write(journal: RunJournal, n: number): void {
  const buffer = new ArrayBuffer(CHUNK_POINTS * 28)
  columnsOf(buffer, CHUNK_POINTS).step.fill(n)
  const counts = Float64Array.from(COUNTERS, (_, i) => (i === POINTS || i === NUMBERS || i === SPANS ? 1 : 0))
  journal.addSeries(n, `key ${n}`)
  journal.addPoints(buffer, 1, counts)
  journal.addHead(n, Uint8Array.of(n), Uint8Array.of(1))
  journal.addSpans({ bytes: Uint8Array.of(7, n), ends: Uint32Array.of(2), heads: Uint32Array.of(n) })
  journal.addWaiting([{ id: n, since: 5, numbers: 1, span: `s${n}`, part: -1, body: Uint8Array.of(n) }])
  if (n > 0) journal.settle([n - 1])
  journal.addEvents([eventRow(n)])
  journal.addParams([[`param ${n}`, 'x']])
  journal.addExample(`reason ${n}`, 'a line')
  journal.commit(100 + n)
  journal.run('INSERT INTO tags (name, value) VALUES (?, ?)', `tag ${n}`, 'x')
  const id = n + 10
  journal.run('INSERT INTO destinations (id, exporter, address) VALUES (?, ?, ?)', id, 'memory', `${n}`)
  journal.run('INSERT INTO cursors (destination, kind, position) VALUES (?, ?, ?)', id, 'points', n)
  journal.run('INSERT INTO heights (destination, key, step) VALUES (?, ?, ?)', id, 'loss', n)
  if (n > 0) journal.run('UPDATE cursors SET delivered = ? WHERE destination = ?', n, id - 1)
  for (const reason of ['refused', `refused ${n}`])
    journal.reject({ destination: id, kind: 'points', sequence: n + 1, name: 'loss', value: n, reason })
}

/** Nothing gets onto the disk from here on, until the result is called. */
function fill(journal: RunJournal): () => void {
  const disk = journal.database
  disk.exec(`CREATE TRIGGER full BEFORE INSERT ON meta BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`)
  return () => disk.exec('DROP TRIGGER full')
}

describe('a memory that is ahead of its journal', () => {
  it('is known to whoever opens the journal when it has died, and for good', () => {
    const journal = create()
    expect(journal.lacksMemory).toBe(false)
    journal.overflow(LIMIT)
    write(journal, 0)
    const heir = RunJournal.open(journal.path)
    expect(heir.lacksMemory).toBe(true)
    heir.overflow(LIMIT)
    heir.drainOverflow()
    heir.close()
    const next = RunJournal.open(journal.path)
    onTestFinished(() => next.close())
    expect(next.lacksMemory).toBe(true)
  })

  it('is known from the moment on at which the disk failed, and to no journal that is new', () => {
    const journal = create()
    expect(isMarkedAhead(journal.path)).toBe(false)
    journal.overflow(LIMIT)
    expect([isMarkedAhead(journal.path), journal.lacksMemory]).toEqual([true, false])
    // The file of a run that is begun anew may have any right.
    const path = join(temporaryDirectory(), 'new.sqlite')
    writeFileSync(path, '')
    markAhead(path, true)
    const other = RunJournal.create(path, runStart())
    onTestFinished(() => other.close())
    expect(other.lacksMemory).toBe(false)
  })

  it('is forgotten once all of it is on disk', () => {
    const journal = create()
    const empty = fill(journal)
    journal.overflow(LIMIT)
    write(journal, 0)
    expect(() => journal.drainOverflow()).toThrow('full')
    expect(isMarkedAhead(journal.path)).toBe(true)
    empty()
    journal.drainOverflow()
    expect([isMarkedAhead(journal.path), journal.lacksMemory]).toEqual([false, false])
    const heir = RunJournal.open(journal.path)
    onTestFinished(() => heir.close())
    expect(heir.lacksMemory).toBe(false)
  })
})

describe('what says that memory is ahead', () => {
  const rightsOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

  it('is one right of the file, which is set and taken back without touching any other, as often as one likes', () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    writeFileSync(path, 'whatever is in it')
    for (const [rights, ahead] of [
      ['600', '700'],
      ['640', '740'],
      ['666', '766'],
      ['400', '500'],
    ] as const) {
      chmodSync(path, rights)
      expect(isMarkedAhead(path)).toBe(false)
      for (let times = 0; times < 2; times += 1) {
        markAhead(path, true)
        expect([isMarkedAhead(path), rightsOf(path)]).toEqual([true, ahead])
      }
      for (let times = 0; times < 2; times += 1) {
        markAhead(path, false)
        expect([isMarkedAhead(path), rightsOf(path)]).toEqual([false, rights])
      }
    }
  })

  it('is the right of the owner: those of others say nothing', () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    writeFileSync(path, '')
    chmodSync(path, 0o611)
    expect(isMarkedAhead(path)).toBe(false)
    chmodSync(path, 0o100)
    expect(isMarkedAhead(path)).toBe(true)
  })

  it('is not said of a file that is not there, which is no fault', () => {
    const path = join(temporaryDirectory(), 'gone.sqlite')
    for (const isAhead of [true, false]) markAhead(path, isAhead)
    expect(isMarkedAhead(path)).toBe(false)
    expect(isMarkedAhead(':memory:')).toBe(false)
  })
})

describe('a journal that goes on in memory', () => {
  it('has on disk afterwards what it would have had without, row by row, wherever the disk failed', () => {
    const step = fc.constantFrom('write', 'overflow', 'drain')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
        const [journal, other] = [create(), create()]
        let n = 0
        for (const each of steps) {
          if (each === 'overflow' && !journal.isOverflowing) journal.overflow(LIMIT)
          else if (each === 'drain') journal.drainOverflow()
          else if (each === 'write') {
            write(journal, n)
            write(other, n)
            n += 1
          }
        }
        journal.drainOverflow()
        expect(onDisk(journal.path)).toEqual(onDisk(other.path))
        expect([journal.isOverflowing, journal.points, journal.spans]).toEqual([false, n, n])
      }),
      { numRuns: 12, examples: [[['write', 'write', 'overflow', 'write', 'write', 'drain', 'write']]] },
    )
  })

  it('leaves nothing of it on a disk that fails half way, and brings all of it there later', () => {
    const journal = create()
    write(journal, 0)
    const before = onDisk(journal.path)
    const empty = fill(journal)
    journal.overflow(LIMIT)
    write(journal, 1)
    for (let tries = 0; tries < 2; tries += 1) expect(() => journal.drainOverflow()).toThrow('database or disk is full')
    expect([journal.isOverflowing, onDisk(journal.path)]).toEqual([true, before])
    empty()
    journal.drainOverflow()
    expect(onDisk(journal.path)).toMatchObject({ blocks: [{ first: 1 }, { first: 2 }], waiting: [{ id: 1 }] })
  })

  it('keeps on disk no more events than it would have without, and those with the numbers that they had', () => {
    const journal = create()
    const flood = (from: number): void => {
      journal.addEvents(Array.from({ length: 6000 }, (_, i) => eventRow(from + i)))
      journal.commit()
    }
    flood(1)
    journal.overflow(LIMIT)
    flood(6001)
    journal.drainOverflow()
    expect(eventsIn(journal)).toEqual([...range(1, 1000), ...range(3001, 12_000)])
    expect(journal.get('SELECT message FROM events WHERE sequence = 3001')).toEqual({ message: 'no 3001' })
  })

  it('goes back to disk where an earlier version has made it, which counted no events yet', () => {
    const journal = create()
    journal.run("DELETE FROM counters WHERE name = 'journaled.events'")
    journal.overflow(LIMIT)
    journal.addPoints(new ArrayBuffer(CHUNK_POINTS * 28), 1, null)
    journal.commit()
    journal.drainOverflow()
    expect([journal.isOverflowing, onDisk(journal.path)]).toEqual([
      false,
      expect.objectContaining({ blocks: [expect.objectContaining({ first: 1, count: 1 })] }),
    ])
  })

  it('saves its account without the events, too, where the disk has no room for them', () => {
    const journal = create()
    write(journal, 0)
    journal.database.exec(
      `CREATE TRIGGER full BEFORE INSERT ON events WHEN new.sequence > 1 BEGIN SELECT RAISE(FAIL, 'full'); END`,
    )
    journal.overflow(LIMIT)
    write(journal, 1)
    journal.saveAccount()
    const { received, journaled, notKept } = readJournal(journal.path).eventAccount
    expect([received, journaled, notKept]).toEqual([2, 2, 1])
  })

  it('saves its account without the points and spans, when those are delivered', () => {
    const [journal, other] = [create(), create()]
    for (const each of [journal, other]) write(each, 0)
    journal.overflow(LIMIT)
    for (const each of [journal, other]) {
      write(each, 1)
      each.setEnd('FAILED', 77)
      each.commit(200)
    }
    const { blocks, spans } = onDisk(journal.path)
    journal.saveAccount()
    expect(onDisk(journal.path)).toEqual({ ...onDisk(other.path), blocks, spans })
    expect(readJournal(journal.path)).toMatchObject({
      status: 'failed',
      endedAt: 77,
      journaled: { points: 2, spans: 2 },
      notKept: { points: 1, spans: 1 },
    })
    expect(journal.unsaved).toEqual({ points: 1, spans: 1 })
    expect(journal.isOverflowing).toBe(true)
  })

  it('begins a table afresh that the disk cannot give whole, and has all others', () => {
    const journal = create()
    write(journal, 0)
    journal.database.exec(`ALTER TABLE params RENAME TO old; CREATE VIEW params AS
      SELECT sequence, name, iif(sequence = 2, json('{' || name), value) AS value FROM old`)
    expect(() => journal.all('SELECT * FROM params')).toThrow('malformed JSON')
    journal.overflow(LIMIT)
    expect(journal.all('SELECT * FROM params')).toEqual([])
    expect(journal.all('SELECT name FROM tags ORDER BY sequence')).toEqual([{ name: 'team' }, { name: 'tag 0' }])
  })
})
