import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { dropEvents } from './events.ts'
import { spansOf } from './span-rows.ts'

/** The files of a journal, to be counted and removed together. */
export const filesOf = (path: string): string[] => [path, `${path}-wal`, `${path}-shm`]

/** Bytes that a journal takes on disk, with its write-ahead log. */
export const sizeOf = (path: string): number =>
  filesOf(path)
    .map((file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0)
    .reduce((a, b) => a + b, 0)

/**
 * Bytes of a journal that hold something, without pages that are free: those are used again before the file grows. The
 * write-ahead log holds pages of the same database, and does not count: dropping rows makes no shorter log.
 */
export function usedBytes(database: DatabaseSync): number {
  const pragma = (name: string): number => Number(Object.values(database.prepare(`PRAGMA ${name}`).get()!)[0])
  return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
}

/** Sequence numbers up to which rows may go. */
interface UpTo {
  points: number
  spans: number
}

/** Up to where rows have to go to free `bytes`, from the oldest on and no further than `upTo`; 0 when there are none. */
function lastOf(database: DatabaseSync, sql: string, bytes: number, upTo: number): { last: number; freed: number } {
  let last = 0
  let freed = 0
  for (const row of database.prepare(sql).iterate()) {
    if (freed >= bytes || Number(row['last']) > upTo) break
    last = Number(row['last'])
    freed += Number(row['bytes'])
  }
  return { last, freed }
}

const BLOCKS = 'SELECT first + count - 1 AS last, length(data) AS bytes FROM blocks ORDER BY first'
const SPANS = 'SELECT first + max(count, 1) - 1 AS last, length(data) AS bytes FROM spans ORDER BY first'

/**
 * Drops events of a journal, where they are too large a part of it, and the oldest points and spans: those first that all
 * destinations have, as many bytes of each where there are both.
 */
export function dropOldest(database: DatabaseSync, bytes: number): void {
  let freed = dropEvents(database, bytes, usedBytes(database))
  freed += drop(database, bytes - freed, deliveredOf(database))
  if (freed < bytes) drop(database, bytes - freed, { points: Infinity, spans: Infinity })
}

/** Drops about `bytes` of rows. @returns how many it has dropped */
function drop(database: DatabaseSync, bytes: number, upTo: UpTo): number {
  const half = lastOf(database, SPANS, bytes / 2, upTo.spans)
  const blocks = lastOf(database, BLOCKS, bytes - half.freed, upTo.points)
  const more = lastOf(database, SPANS, bytes - blocks.freed, upTo.spans)
  const spans = more.last > half.last ? more : half
  database.prepare('DELETE FROM spans WHERE first <= ?').run(spans.last)
  database.prepare('DELETE FROM blocks WHERE first + count - 1 <= ?').run(blocks.last)
  return blocks.freed + spans.freed
}

/** What every destination has; one that the run has been moved away from wants nothing. */
function deliveredOf(database: DatabaseSync): UpTo {
  const sql = `SELECT min(position) AS position FROM cursors JOIN destinations ON destinations.id = destination
    WHERE kind = ? AND state <> 'disabled'`
  const of = (kind: string): number => (database.prepare(sql).get(kind)?.['position'] ?? Infinity) as number
  return { points: of('points'), spans: of('spans') }
}

/** The first point and span that a journal still has; one beyond the last where it has none. */
export function firstKept(database: DatabaseSync, points: number, spans: number): { points: number; spans: number } {
  const first = (sql: string): number | null => Object.values(database.prepare(sql).get()!)[0] as number | null
  const rows = spansOf(database)
  return {
    points: first('SELECT min(first) FROM blocks') ?? points + 1,
    spans: (rows === null ? null : first(`SELECT min(first) FROM ${rows}`)) ?? spans + 1,
  }
}

/** Points and spans that a journal has lost at its end, where the disk was full until its run was over. */
export function lostAtEnd(database: DatabaseSync, points: number, spans: number): { points: number; spans: number } {
  const last = (sql: string, whole: number): number =>
    Number(Object.values(database.prepare(sql).get() ?? { whole })[0] ?? whole)
  const rows = spansOf(database)
  return {
    points: points - last('SELECT first + count - 1 FROM blocks ORDER BY first DESC LIMIT 1', points),
    spans:
      rows === null
        ? 0
        : spans - last(`SELECT first + max(count, 1) - 1 FROM ${rows} ORDER BY first DESC LIMIT 1`, spans),
  }
}
