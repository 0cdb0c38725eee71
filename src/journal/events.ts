import type { DatabaseSync } from 'node:sqlite'
import type { EventRow } from '../channel/messages.ts'
import type { Statements } from './statements.ts'

/** What a run keeps of its events of level WARN and above: these first ones, since one of them may be why it crashed, ... */
export const FIRST_EVENTS = 1000
/** ... and the newest, which tell how. */
export const NEWEST_EVENTS = 9000

/** Of a journal that is at its limit, events hold no more than this share. */
const MOST_OF_FULL = 0.25

/** Whether the event with this sequence number is kept where `last` is that of the newest one. */
const isKept = (sequence: number, last: number): boolean => sequence <= FIRST_EVENTS || sequence > last - NEWEST_EVENTS

/** Bytes of UTF-8 that an event takes in memory or on disk, about. */
export const bytesOfEvent = ({ target, message, fields }: EventRow): number =>
  Buffer.byteLength(target) + Buffer.byteLength(message) + Buffer.byteLength(fields)

/** Adds events behind the one with sequence number `before`, but for those that would not be kept. */
export function writeEvents(rows: Statements, events: readonly EventRow[], before: number): void {
  const last = before + events.length
  const insert = rows.prepare(
    'INSERT INTO events (sequence, time, level, target, message, step, fields) VALUES (?, ?, ?, ?, ?, ?, ?)',
  )
  for (const [i, { time, level, target, message, step, fields }] of events.entries()) {
    const sequence = before + i + 1
    if (isKept(sequence, last)) insert.run(sequence, time, level, target, message, step, fields)
  }
}

/** Takes away those that are not kept any more, `last` being the newest one. */
export function trimEvents(database: DatabaseSync, last: number): void {
  database
    .prepare('DELETE FROM events WHERE sequence > ? AND sequence <= ?')
    .run(FIRST_EVENTS, Math.max(FIRST_EVENTS, last - NEWEST_EVENTS))
}

/** Bytes of the events that are there, about. */
export const bytesOfEvents = (database: DatabaseSync): number =>
  Number(
    database
      .prepare('SELECT coalesce(sum(length(CAST(target || message || fields AS BLOB))), 0) AS bytes FROM events')
      .get()!['bytes'],
  )

/**
 * Drops about `bytes` of events of a journal that is at its limit, the first ones last, while they take more than a quarter of
 * the bytes that it uses. @returns how many bytes it has dropped
 */
export function dropEvents(database: DatabaseSync, bytes: number, used: number): number {
  const excess = Math.min(bytes, bytesOfEvents(database) - used * MOST_OF_FULL)
  const sql = `SELECT sequence, length(CAST(target || message || fields AS BLOB)) AS bytes FROM events
    ORDER BY sequence <= ${FIRST_EVENTS}, sequence`
  const gone: number[] = []
  let freed = 0
  for (const row of excess > 0 ? database.prepare(sql).iterate() : []) {
    if (freed >= excess) break
    freed += Number(row['bytes'])
    gone.push(Number(row['sequence']))
  }
  const remove = database.prepare('DELETE FROM events WHERE sequence = ?')
  for (const sequence of gone) remove.run(sequence)
  return freed
}
