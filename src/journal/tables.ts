import type { EndStatus, RunStart, WaitingRow } from '../channel/messages.ts'
import { COUNTERS, skipped } from '../telemetry/counters.ts'
import { bytesIn, commandIn } from './damage.ts'
import type { Statements } from './statements.ts'

/** Points ever written; blocks may have been forgotten since. */
export const JOURNALED = 'journaled.points'

/** Spans ever written. */
export const JOURNALED_SPANS = 'journaled.spans'

/** Events of level WARN and above ever written. */
export const JOURNALED_EVENTS = 'journaled.events'

/** Before the reason, in the key of an example's row in `meta`. */
export const EXAMPLE = 'example.'

/** A row that a destination has refused, or (`destination` null) one that never was for any. */
export interface RejectedItem {
  destination: number | null
  kind: string
  sequence: number
  name: string
  step?: number
  time?: number
  value: number | string
  reason: string
}

/** The end of a run; `time` in UTC ms. */
export interface RunEnd {
  status: EndStatus
  time: number
}

export function setMeta(rows: Statements, key: string, value: string): void {
  rows.run(
    'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    key,
    value,
  )
}

/** Only the first line of a reason is kept. */
export function writeExample(rows: Statements, reason: string, line: string): void {
  rows.run('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING', EXAMPLE + reason, line)
}

/** A journal of an earlier version lacks the counters that came since. */
export function addToCounter(rows: Statements, name: string, n: number): void {
  rows.run(
    'INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value',
    name,
    n,
  )
}

export function setCounter(rows: Statements, name: string, n: number): void {
  rows.run(
    'INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    name,
    n,
  )
}

export function readCounter(rows: Statements, name: string): number {
  return Number(rows.get('SELECT value FROM counters WHERE name = ?', name)?.['value'] ?? 0)
}

/** Writes what is known of a run when it begins. */
export function writeStart(rows: Statements, start: RunStart): void {
  const { params, tags, command, startedAt, identity, trackerRun, ...texts } = start
  const meta = {
    ...texts,
    ...(identity === null ? {} : { identity, lastAt: String(startedAt) }),
    ...(trackerRun === null ? {} : { trackerRun }),
    command: JSON.stringify(command),
    startedAt: String(startedAt),
    pid: String(process.pid),
  }
  for (const [key, value] of Object.entries(meta)) setMeta(rows, key, value)
  for (const name of [...COUNTERS, JOURNALED, JOURNALED_SPANS, JOURNALED_EVENTS]) setCounter(rows, name, 0)
  writeParams(rows, params)
  for (const tag of tags) writeTag(rows, tag)
}

/** The run as it began, params apart. @throws DamagedJournal */
export function readStart(rows: Statements, path: string): Omit<RunStart, 'params'> {
  const meta = new Map(rows.all('SELECT key, value FROM meta').map((row) => [String(row['key']), String(row['value'])]))
  const text = (key: string): string => meta.get(key) ?? ''
  return {
    run: text('run'),
    name: text('name'),
    identity: meta.get('identity') ?? null,
    trackerRun: meta.get('trackerRun') ?? null,
    source: text('source'),
    directory: text('directory'),
    command: commandIn(path, text('command')),
    startedAt: Number(text('startedAt')),
    tags: rows.all('SELECT name, value FROM tags').map((row) => [String(row['name']), String(row['value'])] as const),
  }
}

export function writeEnd(rows: Statements, { status, time }: RunEnd): void {
  setMeta(rows, 'status', status)
  setMeta(rows, 'endedAt', String(time))
}

/** How and when the run ended, or null while it has not. */
export function readEnd(rows: Statements): RunEnd | null {
  const status = rows.get("SELECT value FROM meta WHERE key = 'status'")?.['value']
  const time = rows.get("SELECT value FROM meta WHERE key = 'endedAt'")?.['value']
  return status === undefined ? null : { status: status as EndStatus, time: Number(time) }
}

/** The first value of a param stands; another value later is a rejected row. */
export function writeParams(rows: Statements, params: readonly (readonly [string, string])[]): void {
  for (const [name, value] of params) {
    const known = rows.get('SELECT sequence, value FROM params WHERE name = ?', name)
    if (known === undefined) {
      rows.run('INSERT INTO params (name, value) VALUES (?, ?)', name, value)
    } else if (known['value'] !== value) {
      const reason = 'the param has another value already: the first one stands'
      reject(rows, { destination: null, kind: 'params', sequence: Number(known['sequence']), name, value, reason })
    }
  }
}

function writeTag(rows: Statements, [name, value]: readonly [string, string]): void {
  rows.run(
    'INSERT INTO tags (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    name,
    value,
  )
}

/** Adds a row to the rejected ones, with the reason stored once. */
export function reject(rows: Statements, row: RejectedItem): void {
  rows.run('INSERT INTO reasons (text) VALUES (?) ON CONFLICT (text) DO NOTHING', row.reason)
  const { id } = rows.get('SELECT id FROM reasons WHERE text = ?', row.reason)!
  rows.run(
    'INSERT INTO rejected (destination, kind, sequence, name, step, time, value, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    row.destination,
    row.kind,
    row.sequence,
    row.name,
    row.step ?? null,
    row.time ?? null,
    // SQLite has no NaN: it would become NULL.
    typeof row.value === 'number' && !Number.isFinite(row.value) ? String(row.value) : row.value,
    Number(id),
  )
}

export function writeWaiting(rows: Statements, { id, since, numbers, span, part, body }: WaitingRow): void {
  const sql = 'INSERT INTO waiting (id, since, numbers, span, part, body) VALUES (?, ?, ?, ?, ?, ?)'
  rows.run(sql, id, since, numbers, span, part, body)
}

/** What waits for the spans around it, oldest first. */
export function readWaiting(rows: Statements, path: string): WaitingRow[] {
  return rows.all('SELECT * FROM waiting ORDER BY id').map((row) => ({
    id: Number(row['id']),
    since: Number(row['since']),
    numbers: Number(row['numbers']),
    span: String(row['span']),
    part: Number(row['part']),
    body: row['body'] === null ? null : bytesIn(path, 'what waits', row['body']),
  }))
}

/** Nobody goes on with the run: nobody can tell the step of what waits. */
export function giveUpWaiting(rows: Statements): void {
  const waiting = readCounter(rows, 'waiting')
  rows.run('DELETE FROM waiting')
  if (waiting === 0) return
  addToCounter(rows, COUNTERS[skipped('no_step')]!, waiting)
  addToCounter(rows, 'waiting', -waiting)
}
