import { chmodSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { trimEvents } from './events.ts'
import { SCHEMA } from './schema.ts'
import { JOURNALED_EVENTS } from './tables.ts'

/** The owner's right to execute, which means nothing for a journal. */
const AHEAD_BIT = 0o100

/**
 * Says that memory is ahead of the journal on disk: whoever finds it said when it opens the journal knows that this memory has
 * died, and that a destination may have any part of what the journal has not delivered. A right of the file, since a full disk
 * takes no row; where it cannot be set, that is not known.
 */
export function markAhead(path: string, isAhead: boolean): void {
  try {
    const { mode } = statSync(path)
    chmodSync(path, isAhead ? mode | AHEAD_BIT : mode & ~AHEAD_BIT)
  } catch {
    // A file system without rights, or no file any more.
  }
}

export const isMarkedAhead = (path: string): boolean =>
  ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & AHEAD_BIT) !== 0

/** Tables that are small and change: they are carried over whole, in both directions. */
const CARRIED = [
  'meta',
  'series',
  'counters',
  'params',
  'tags',
  'destinations',
  'cursors',
  'heights',
  'reasons',
  'span_heads',
] as const

/** Tables that only grow: the overflow holds what is new. */
const GROWING = ['blocks', 'spans', 'events', 'rejected'] as const

/** Rows that go away again: what is not in memory any more is not wanted on disk either. */
const PASSING = ['waiting'] as const

/**
 * A journal in memory that goes on where one on disk had to stop (a full disk). It has the small tables as they are;
 * a table that cannot be read any more (a damaged file) begins empty.
 */
export function openOverflow(disk: DatabaseSync): DatabaseSync {
  const memory = new DatabaseSync(':memory:')
  memory.exec(`PRAGMA foreign_keys = OFF; ${SCHEMA}`)
  for (const table of [...CARRIED, ...PASSING]) {
    try {
      copy(table, disk, memory)
    } catch {
      memory.exec(`DELETE FROM ${table}`)
    }
  }
  return memory
}

/**
 * Brings a journal on disk up to what the one in memory holds, whole or not at all. `leaveOut` names tables that are left
 * out: for a run that is over and delivered, so that at least its end and its account are known.
 */
export function drainOverflow(
  memory: DatabaseSync,
  disk: DatabaseSync,
  leaveOut: readonly (typeof GROWING)[number][] = [],
): void {
  disk.exec('BEGIN IMMEDIATE')
  try {
    for (const table of PASSING) disk.exec(`DELETE FROM ${table}`)
    for (const table of [...CARRIED, ...PASSING, ...GROWING])
      if (!(leaveOut as readonly string[]).includes(table)) copy(table, memory, disk)
    const last = disk.prepare('SELECT value FROM counters WHERE name = ?').get(JOURNALED_EVENTS)
    trimEvents(disk, Number(last?.['value'] ?? 0))
    disk.exec('COMMIT')
  } catch (error) {
    try {
      disk.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back by itself; the first error is the one to tell.
    }
    throw error
  }
}

function copy(table: string, from: DatabaseSync, to: DatabaseSync): void {
  for (const row of from.prepare(`SELECT * FROM ${table}`).iterate()) {
    // Rejected rows are numbered anew: those in memory began at 1 again.
    if (table === 'rejected') delete row['id']
    const names = Object.keys(row)
    const places = names.map(() => '?').join(', ')
    to.prepare(`INSERT OR REPLACE INTO ${table} (${names.join(', ')}) VALUES (${places})`).run(...Object.values(row))
  }
}
