import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dropOldest, firstKept, sizeOf, usedBytes } from '../../src/journal/room.ts'
import { SCHEMA } from '../../src/journal/schema.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

/** What every destination has of points and of spans; null: there is no destination. */
interface Delivered {
  points: number | null
  spans: number | null
}

/** A journal with these bytes in each block of 10 points, and in each span; some of those have the row of an earlier format. */
function journalOf(blocks: readonly number[], spans: readonly number[], delivered: Delivered): DatabaseSync {
  const database = new DatabaseSync(':memory:')
  database.exec(SCHEMA)
  database.exec("INSERT INTO span_heads VALUES (1, x'00', x'00')")
  for (const [i, bytes] of blocks.entries())
    database.prepare('INSERT INTO blocks VALUES (?, 10, zeroblob(?))').run(10 * i + 1, bytes)
  for (const [i, bytes] of spans.entries())
    database.prepare('INSERT INTO spans VALUES (?, ?, 1, zeroblob(?))').run(i + 1, i % 2, bytes)
  const kinds = Object.entries(delivered)
  for (const [i, [kind, position]] of kinds.filter(([, at]) => at !== null).entries()) {
    // One is further, and one wants nothing any more.
    for (const [id, at, state] of [
      [3 * i, position, 'ok'],
      [3 * i + 1, position! + 5, 'suspended'],
      [3 * i + 2, 0, 'disabled'],
    ] as const) {
      database.prepare("INSERT INTO destinations (id, exporter, address, state) VALUES (?, 'x', '', ?)").run(id, state)
      database.prepare('INSERT INTO cursors (destination, kind, position) VALUES (?, ?, ?)').run(id, kind, at)
    }
  }
  return database
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Bytes of the blocks and spans that are left. */
const bytesOf = (database: DatabaseSync): { blocks: number[]; spans: number[] } => {
  const of = (table: string): number[] =>
    database
      .prepare(`SELECT length(data) AS bytes FROM ${table}`)
      .all()
      .map((row) => Number(row['bytes']))
  return { blocks: of('blocks'), spans: of('spans') }
}

describe('rows that are dropped', () => {
  it.each([
    // Delivered all: half of it spans, half of it points.
    [{ points: 40, spans: 4 }, 400, { blocks: 2, spans: 2 }],
    // One byte more is one row more.
    [{ points: 40, spans: 4 }, 401, { blocks: 2, spans: 1 }],
    // Nobody has points: the spans that are delivered, and then points and spans alike.
    [{ points: 0, spans: 1 }, 100, { blocks: 4, spans: 3 }],
    [{ points: 0, spans: 1 }, 300, { blocks: 3, spans: 2 }],
    [{ points: 0, spans: 3 }, 300, { blocks: 4, spans: 1 }],
    [{ points: 20, spans: 0 }, 200, { blocks: 2, spans: 4 }],
    // A block that is half delivered is not.
    [{ points: 19, spans: 0 }, 100, { blocks: 3, spans: 4 }],
    [{ points: 19, spans: 0 }, 200, { blocks: 3, spans: 3 }],
    // Nobody wants them.
    [{ points: null, spans: null }, 200, { blocks: 3, spans: 3 }],
    [{ points: null, spans: null }, 10_000, { blocks: 0, spans: 0 }],
    [{ points: 40, spans: 4 }, 0, { blocks: 4, spans: 4 }],
  ])('are the oldest, those first that all destinations have (%j, %i bytes)', (delivered, bytes, left) => {
    const database = journalOf([100, 100, 100, 100], [100, 100, 100, 100], delivered)
    dropOldest(database, bytes)
    const { blocks, spans } = bytesOf(database)
    expect({ blocks: blocks.length, spans: spans.length }).toEqual(left)
    database.close()
  })

  it('are spans for half of the bytes even where one block is more than the other half', () => {
    const database = journalOf([300, 300], [100, 100, 100], { points: 20, spans: 3 })
    dropOldest(database, 400)
    expect(bytesOf(database)).toEqual({ blocks: [300], spans: [100] })
    database.close()
  })

  it('are spans alone where there are no points', () => {
    const spans = Array.from({ length: 8 }, () => 100)
    const database = journalOf([], spans, { points: 0, spans: 8 })
    dropOldest(database, 700)
    expect(bytesOf(database)).toEqual({ blocks: [], spans: [100] })
    database.close()
  })

  it('are as many as are wanted and hardly more, and none that somebody lacks while others do', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 12 })
    const position = fc.option(fc.integer({ min: 0, max: 150 }))
    fc.assert(
      fc.property(
        sizes,
        sizes,
        position,
        position,
        fc.integer({ min: 1, max: 800 }),
        (blocks, spans, at, to, bytes) => {
          const database = journalOf(blocks, spans, { points: at, spans: to })
          dropOldest(database, bytes)
          const left = bytesOf(database)
          // The oldest are gone, and the others are as they were.
          expect(left.blocks).toEqual(blocks.slice(blocks.length - left.blocks.length))
          expect(left.spans).toEqual(spans.slice(spans.length - left.spans.length))
          const freed = sum([...blocks, ...spans]) - sum([...left.blocks, ...left.spans])
          expect(freed).toBeGreaterThanOrEqual(Math.min(bytes, sum([...blocks, ...spans])))
          expect(freed).toBeLessThan(bytes + 2 * 50)
          const goneBlocks = blocks.length - left.blocks.length
          const goneSpans = spans.length - left.spans.length
          const deliveredBlocks = Math.min(blocks.length, Math.floor((at ?? Infinity) / 10))
          const deliveredSpans = Math.min(spans.length, to ?? Infinity)
          const enough = sum([...blocks.slice(0, deliveredBlocks), ...spans.slice(0, deliveredSpans)]) >= bytes
          if (enough) expect([goneBlocks <= deliveredBlocks, goneSpans <= deliveredSpans]).toEqual([true, true])
          else expect([goneBlocks >= deliveredBlocks, goneSpans >= deliveredSpans]).toEqual([true, true])
          database.close()
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('what is kept', () => {
  it('begins with the oldest row that is there, and one beyond the last where none is', () => {
    const database = journalOf([10, 10], [5, 5], { points: 20, spans: 2 })
    expect(firstKept(database, 20, 2)).toEqual({ points: 1, spans: 1 })
    database.exec('DELETE FROM blocks WHERE first = 1; DELETE FROM spans WHERE first = 1')
    expect(firstKept(database, 20, 2)).toEqual({ points: 11, spans: 2 })
    database.exec('DELETE FROM blocks; DELETE FROM spans')
    expect(firstKept(database, 20, 2)).toEqual({ points: 21, spans: 3 })
    database.exec('DROP TABLE spans')
    expect(firstKept(database, 20, 0)).toEqual({ points: 21, spans: 1 })
    database.close()
  })

  it('takes the bytes of its files, and holds what is in no page that is free, wherever its pages are', () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    expect(sizeOf(path)).toBe(0)
    const database = new DatabaseSync(path)
    database.exec('PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; CREATE TABLE blobs (data BLOB)')
    database.exec('INSERT INTO blobs VALUES (zeroblob(1000000))')
    const size = (): number => sum(['', '-wal', '-shm'].map((suffix) => statSync(path + suffix).size))
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(1_000_000)
    expect(sizeOf(path)).toBe(size())
    const used = usedBytes(database)
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    expect([usedBytes(database), statSync(path).size]).toEqual([used, used])
    database.exec('DELETE FROM blobs; PRAGMA wal_checkpoint(TRUNCATE)')
    const { freelist_count: free } = database.prepare('PRAGMA freelist_count').get()!
    expect(Number(free)).toBeGreaterThan(240)
    expect([sizeOf(path), usedBytes(database)]).toEqual([size(), used - 4096 * Number(free)])
    database.close()
  })
})
