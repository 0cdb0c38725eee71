import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CHUNK_POINTS } from '../../src/channel/chunk.ts'
import { COMMIT_RETRY_MS, JournalWriter, type WriterOptions } from '../../src/delivery/writer.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, LINES, POINTS } from '../../src/telemetry/counters.ts'
import { eventRow } from '../support/journal.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const BLOCK_BYTES = CHUNK_POINTS * 28

/** A writer of a new journal; `points(n)` stores as many, in chunks of a thousand. */
function write(options: Partial<WriterOptions> & { isInMemory?: boolean } = {}) {
  const path = options.isInMemory ? ':memory:' : join(temporaryDirectory(), 'x.sqlite')
  const journal = RunJournal.create(path, runStart({ identity: 'a' }))
  journal.database.exec('PRAGMA synchronous = OFF')
  onTestFinished(() => journal.close())
  const said: string[] = []
  const clock = new ManualClock()
  const writer = new JournalWriter({ journal, clock, say: (text) => said.push(text), maxBytes: null, ...options })
  const counts = (counter: number, n: number): Float64Array =>
    Float64Array.from(COUNTERS, (_, i) => (i === counter ? n : 0))
  writer.store({ kind: 'series', id: 0, key: 'loss' })
  const points = (chunks: number): void => {
    for (let i = 0; i < chunks; i += 1)
      writer.store({
        kind: 'points',
        buffer: new ArrayBuffer(BLOCK_BYTES),
        count: CHUNK_POINTS,
        counts: counts(POINTS, CHUNK_POINTS),
      })
  }
  return { path, journal, said, clock, writer, points, counts }
}

/** From here on the disk of a journal takes nothing, until the result is called. */
function fill(journal: RunJournal): () => void {
  const disk = journal.database
  disk.exec(`CREATE TRIGGER full BEFORE INSERT ON counters BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`)
  return () => disk.exec('DROP TRIGGER full')
}

describe('a journal writer', () => {
  it('writes everything that is said of a run, at its commit and with its time, and gives the buffers back once', () => {
    const { path, journal, clock, writer, points, counts, said } = write()
    expect(writer.isDurable).toBe(true)
    points(2)
    writer.store({ kind: 'counts', counts: counts(LINES, 7) })
    writer.store({ kind: 'head', id: 0, resource: Uint8Array.of(1), scope: Uint8Array.of(2) })
    writer.store({
      kind: 'spans',
      spans: { bytes: Uint8Array.of(3), ends: Uint32Array.of(1), heads: Uint32Array.of(0) },
    })
    const waiting = { since: 5, numbers: 1, span: '', part: -1, body: null }
    writer.store({ kind: 'waiting', rows: [1, 2].map((id) => ({ id, ...waiting })) })
    writer.store({ kind: 'settled', ids: [1] })
    writer.store({ kind: 'params', params: [['seed', '4']] })
    writer.store({ kind: 'events', events: [eventRow(1), eventRow(2)] })
    writer.store({ kind: 'example', reason: 'text', line: 'hello' })
    writer.store({ kind: 'marks', marks: [['1:2', 'so far']] })
    writer.store({ kind: 'end', status: 'FAILED', time: 9 })
    expect(readJournal(path)).toMatchObject({ journaled: { points: 0, spans: 0 }, endedAt: null })
    expect(writer.commit(false)).toHaveLength(2)
    expect(writer.commit(false)).toEqual([])
    expect(readJournal(path)).toMatchObject({
      status: 'failed',
      endedAt: 9,
      lastAt: clock.date(),
      points: 2000,
      series: 1,
      journaled: { points: 2000, spans: 1 },
      received: { lines: 7 },
      examples: { text: 'hello' },
      eventAccount: { received: 2, journaled: 2 },
    })
    expect(journal.readWaiting()).toEqual([{ id: 2, ...waiting }])
    expect(journal.readMarks()).toEqual([['1:2', 'so far']])
    expect(journal.all('SELECT name, value FROM params')).toContainEqual({ name: 'seed', value: '4' })
    expect(said).toEqual([])
  })

  it('that writes how far files have been read does not end the run with it', () => {
    const { path, writer, journal } = write()
    writer.store({ kind: 'marks', marks: [['1:2', 'so far']] })
    writer.commit(false)
    expect([journal.readMarks(), journal.readEnd(), readJournal(path).endedAt]).toEqual([
      [['1:2', 'so far']],
      null,
      null,
    ])
  })

  it('without a limit drops nothing', () => {
    const { journal, said, writer, points } = write()
    points(3)
    writer.commit(false)
    expect([journal.firstKept.points, said]).toEqual([1, []])
  })
})

describe('a journal at its limit', () => {
  /** Bytes that a journal with so many blocks of a chunk takes. */
  const bytesWith = (chunks: number): number => {
    const { journal, writer, points } = write()
    for (let i = 0; i < chunks; i += 1) {
      points(1)
      writer.commit(false)
    }
    return journal.usedBytes
  }

  it('drops what is beyond it and 2 % more from the oldest on, says so once, and is looked at again after a second', async () => {
    const used = bytesWith(100)
    const maxBytes = used - 9.5 * BLOCK_BYTES
    const { path, journal, said, clock, writer, points } = write({ maxBytes })
    const dropped = (): number => (journal.firstKept.points - 1) / CHUNK_POINTS
    for (let i = 1; i < 100; i += 1) {
      points(1)
      writer.commit(false)
    }
    // It was looked at when the first one came.
    expect([dropped(), said]).toEqual([0, []])
    await clock.turn(1000)
    points(1)
    writer.commit(false)
    expect(dropped()).toBe(Math.ceil((9.5 * BLOCK_BYTES + 0.02 * maxBytes) / BLOCK_BYTES))
    const words = `the journal ${path} has reached journal.maxRunBytes (${(maxBytes / 1e6).toLocaleString('en-US')} MB): its oldest points and spans are dropped from now on; those that are delivered are no loss`
    expect([said, maxBytes > 2e6]).toEqual([[words], true])
    const before = dropped()
    await clock.turn(999)
    for (let i = 0; i < 20; i += 1) {
      points(1)
      writer.commit(false)
    }
    expect(dropped()).toBe(before)
    await clock.turn(1)
    points(1)
    writer.commit(false)
    expect(dropped()).toBeGreaterThan(before)
    expect(said).toEqual([words])
  })

  it('is not reached by its write-ahead log, which is longer than what it holds', async () => {
    const { path, journal, clock, writer, points } = write({ maxBytes: 1_000_000 })
    for (let commit = 0; commit < 25; commit += 1) {
      points(1)
      writer.commit(false)
      await clock.turn(1001)
    }
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(1_000_000)
    expect(journal.firstKept.points).toBe(1)
  })

  it('to the byte drops nothing yet', () => {
    const { journal, said, writer, points } = write({ maxBytes: bytesWith(1) })
    points(1)
    writer.commit(false)
    expect([journal.firstKept.points, said]).toEqual([1, []])
  })

  it('is looked at with the next commit where 16 MB at a time are not enough', () => {
    const { journal, writer, points, said } = write({ maxBytes: 1 })
    const bytes = 17 << 20
    writer.store({ kind: 'head', id: 0, resource: Uint8Array.of(1), scope: Uint8Array.of(2) })
    writer.store({
      kind: 'spans',
      spans: { bytes: new Uint8Array(bytes), ends: Uint32Array.of(bytes), heads: Uint32Array.of(0) },
    })
    writer.commit(false)
    expect(journal.firstKept.spans).toBe(2)
    points(1)
    writer.commit(false)
    expect([journal.firstKept.points, said.length]).toEqual([CHUNK_POINTS + 1, 1])
  })

  it('from which nothing can be dropped now is committed all the same, and gives its buffers back', () => {
    const { journal, writer, points, said } = write({ maxBytes: 1 })
    journal.run(`CREATE TRIGGER full BEFORE DELETE ON blocks BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`)
    points(1)
    expect(writer.commit(false)).toHaveLength(1)
    expect([writer.isDurable, journal.points, said]).toEqual([true, CHUNK_POINTS, []])
  })

  it('is none in memory, nor while the disk takes nothing', () => {
    const memory = write({ maxBytes: 1, isInMemory: true })
    memory.points(1)
    memory.writer.commit(false)
    expect([memory.writer.isDurable, memory.journal.firstKept.points, memory.said]).toEqual([false, 1, []])
    const full = write({ maxBytes: 1 })
    fill(full.journal)
    full.points(1)
    full.writer.commit(false)
    expect([full.journal.points, full.said.join()]).toEqual([
      CHUNK_POINTS,
      expect.not.stringContaining('journal.maxRunBytes'),
    ])
  })
})

describe('a journal that cannot be written', () => {
  it('goes on in memory, is tried again each second, and says when it begins and ends', async () => {
    const { path, journal, said, clock, writer, points } = write()
    points(1)
    writer.commit(false)
    const empty = fill(journal)
    points(1)
    expect(writer.commit(false)).toHaveLength(1)
    const words = `the journal ${path} cannot be written (database or disk is full); up to 64 MB of points are kept in memory meanwhile, and senders of OTLP are told to come again. Is the disk full? It is tried again each second.`
    expect([journal.points, writer.isDurable, said]).toEqual([2000, false, [words]])
    await clock.turn(COMMIT_RETRY_MS)
    writer.commit(false)
    empty()
    await clock.turn(COMMIT_RETRY_MS - 1)
    writer.commit(false)
    expect([writer.isDurable, said]).toEqual([false, [words]])
    await clock.turn(1)
    expect(writer.commit(false)).toEqual([])
    expect([writer.isDurable, said]).toEqual([
      true,
      [words, `the journal ${path} can be written again; what memory held is in it`],
    ])
    expect(readJournal(path).journaled.points).toBe(2000)
  })

  it('is tried at once when it is the last commit', () => {
    const { path, journal, writer, points } = write()
    const empty = fill(journal)
    points(1)
    writer.commit(false)
    empty()
    writer.commit(false)
    expect(writer.isDurable).toBe(false)
    writer.commit(true)
    expect([writer.isDurable, readJournal(path).journaled.points]).toEqual([true, 1000])
  })

  it('keeps 64 MB in memory, and counts what is beyond', () => {
    const { journal, writer } = write()
    writer.overflow(new Error('database or disk is full'))
    writer.store({ kind: 'head', id: 0, resource: Uint8Array.of(1), scope: Uint8Array.of(2) })
    for (const bytes of [40 << 20, 24 << 20, 1])
      writer.store({
        kind: 'spans',
        spans: { bytes: new Uint8Array(bytes), ends: Uint32Array.of(bytes), heads: Uint32Array.of(0) },
      })
    writer.commit(false)
    expect([
      journal.spans,
      journal.get("SELECT value FROM counters WHERE name = 'spans.dropped.journal_full'"),
    ]).toEqual([2, { value: 1 }])
  })

  it.each(['database disk image is malformed', 'file is not a database'])('says that it is damaged (%s)', (message) => {
    const { path, writer, said } = write()
    writer.overflow(new Error(message))
    expect(said).toEqual([
      `the journal ${path} is damaged (${message}): has somebody written into it, or is the disk failing? What comes now is kept in memory, up to 64 MB of points`,
    ])
  })
})
