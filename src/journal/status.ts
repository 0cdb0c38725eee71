import { readdirSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { BatchKind } from '../exporters/exporter.ts'
import { commandIn, countIn, DamagedJournal } from './damage.ts'
import { isLocked } from './lock.ts'
import { firstKept, lostAtEnd } from './room.ts'
import { APPLICATION_ID, FORMAT } from './schema.ts'
import { EXAMPLE, JOURNALED, JOURNALED_EVENTS, JOURNALED_SPANS } from './tables.ts'

/** The account of one destination; the keys are those of `status --json`. */
export interface DestinationStatus {
  exporter: string
  address: string
  state: string
  runId: string | null
  page: string | null
  lastError: string | null
  /** The end of the run is set there, or it is not ours to set. */
  ended: boolean
  points: { delivered: number; rejected: number; evicted: number; pending: number }
  params: { delivered: number; rejected: number; pending: number }
  tags: { delivered: number; rejected: number; pending: number }
  /** Null where the destination takes none. */
  spans: { delivered: number; rejected: number; evicted: number; pending: number; resent: number } | null
}

/** The account of one run: `received.numbers = points + skipped + waiting`, `points = inChannel + dropped + journaled`. */
export interface RunStatus {
  run: string
  name: string
  status: string
  /** A living process holds the run, and delivers it itself. */
  isHeld: boolean
  /** The process that wrote or delivered the run last. */
  pid: number | null
  source: string
  /** What the senders of the run say of themselves; null: a run that nobody else can mean. */
  identity: string | null
  /** UTC ms: when something came last, of a run with an identity. */
  lastAt: number | null
  command: string[]
  directory: string
  startedAt: number
  endedAt: number | null
  /** `take-over`: the process died without a word, and another one set the end. */
  closedBy: string | null
  journal: string
  received: {
    lines: number
    events: number
    spans: number
    numbers: number
    roundedIntegers: number
    invalidUtf8: number
  }
  notEvents: Record<string, number>
  skipped: Record<string, number>
  waiting: number
  points: number
  inChannel: number
  dropped: Record<string, number>
  /** The first line that something was skipped of, by reason; lines that are no events too. */
  examples: Record<string, string>
  /** Events that were not shown because the terminal was slow. */
  console: { skipped: number }
  series: number
  journaled: { points: number; spans: number }
  /** Those of them that the journal had to drop since. */
  notKept: { points: number; spans: number }
  spanAccount: { received: number; duplicate: number; inChannel: number; dropped: Record<string, number> }
  /** Of events of level WARN and above: `received = journaled + inChannel + dropped`; `notKept` of the journaled ones are gone since. */
  eventAccount: {
    received: number
    journaled: number
    notKept: number
    inChannel: number
    dropped: Record<string, number>
  }
  rejectedParams: number
  destinations: DestinationStatus[]
}

/** Whether a destination lacks something of the run: points, spans, params, tags or the end. */
export const lacksSomething = ({ points, spans, params, tags, ended }: DestinationStatus): boolean =>
  points.pending + (spans?.pending ?? 0) + params.pending + tags.pending > 0 || !ended

/** Whether something has still to get to a destination. One that the run has been moved away from wants nothing. */
export const isOwed = (destination: DestinationStatus): boolean =>
  destination.state !== 'disabled' && lacksSomething(destination)

type Row = Record<string, unknown>

/** Reads the account of an open journal. `isLive`: a process holds its lock; `kept`: what it still has, as that one knows. */
export function readStatus(
  database: DatabaseSync,
  path: string,
  isLive: boolean,
  kept: { points: number; spans: number } | null = null,
): RunStatus {
  // One transaction, so that all numbers are of one commit.
  database.exec('BEGIN')
  try {
    const all = (sql: string): Row[] => database.prepare(sql).all()
    const meta = new Map(all('SELECT key, value FROM meta').map((row) => [String(row['key']), String(row['value'])]))
    const counters = all('SELECT name, value FROM counters').map(
      (row) => [String(row['name']), Number(row['value'])] as const,
    )
    const counter = new Map(counters)
    // Every reason is there, also where nothing was counted: scripts add them up.
    const group = (prefix: string): Record<string, number> =>
      Object.fromEntries(
        counters.filter(([name]) => name.startsWith(prefix)).map(([name, n]) => [name.slice(prefix.length), n]),
      )
    const count = (sql: string): number => Number(Object.values(all(sql)[0] ?? { n: 0 })[0])
    const journaled = countIn(path, JOURNALED, counter.get(JOURNALED) ?? 0)
    const totals = {
      points: journaled,
      spans: countIn(path, JOURNALED_SPANS, counter.get(JOURNALED_SPANS) ?? 0),
      params: count('SELECT count(*) FROM params'),
      tags: count('SELECT count(*) FROM tags'),
    }
    // Journals of formats that have no table for them have none.
    const events = countIn(path, JOURNALED_EVENTS, counter.get(JOURNALED_EVENTS) ?? 0)
    const cursors = all('SELECT * FROM cursors')
    const first = kept ?? firstKept(database, totals.points, totals.spans)
    const lost = kept === null ? lostAtEnd(database, totals.points, totals.spans) : { points: 0, spans: 0 }
    return {
      run: meta.get('run') ?? '',
      name: meta.get('name') ?? '',
      status: meta.get('status')?.toLowerCase() ?? (isLive ? 'running' : 'interrupted'),
      startedAt: Number(meta.get('startedAt')),
      endedAt: meta.has('endedAt') ? Number(meta.get('endedAt')) : null,
      isHeld: isLive,
      pid: meta.has('pid') ? Number(meta.get('pid')) : null,
      closedBy: meta.get('closedBy') ?? null,
      source: meta.get('source') ?? '',
      identity: meta.get('identity') ?? null,
      lastAt: meta.has('lastAt') ? Number(meta.get('lastAt')) : null,
      command: commandIn(path, meta.get('command') ?? '[]'),
      directory: meta.get('directory') ?? '',
      journal: path,
      received: {
        lines: counter.get('received.lines') ?? 0,
        events: counter.get('received.events') ?? 0,
        spans: counter.get('received.spans') ?? 0,
        numbers: counter.get('received.numbers') ?? 0,
        roundedIntegers: counter.get('received.rounded_integers') ?? 0,
        invalidUtf8: counter.get('received.invalid_utf8') ?? 0,
      },
      notEvents: group('not_events.'),
      skipped: group('skipped.'),
      waiting: counter.get('waiting') ?? 0,
      points: counter.get('points') ?? 0,
      inChannel: 0,
      dropped: group('dropped.'),
      examples: Object.fromEntries(
        [...meta].filter(([key]) => key.startsWith(EXAMPLE)).map(([key, line]) => [key.slice(EXAMPLE.length), line]),
      ),
      console: { skipped: counter.get('console.skipped') ?? 0 },
      series: count('SELECT count(*) FROM series'),
      journaled: { points: journaled, spans: totals.spans },
      notKept: { points: first.points - 1 + lost.points, spans: first.spans - 1 + lost.spans },
      spanAccount: {
        received: counter.get('received.spans') ?? 0,
        duplicate: counter.get('spans.duplicate') ?? 0,
        inChannel: 0,
        dropped: group('spans.dropped.'),
      },
      eventAccount: {
        received: (counter.get('events.warn') ?? 0) + (counter.get('events.error') ?? 0),
        journaled: events,
        notKept: events === 0 ? 0 : events - count('SELECT count(*) FROM events'),
        inChannel: 0,
        dropped: group('events.dropped.'),
      },
      rejectedParams: count("SELECT count(*) FROM rejected WHERE destination IS NULL AND kind = 'params'"),
      destinations: all('SELECT * FROM destinations ORDER BY id')
        .filter((row) => totals.spans > 0 || !takesOnlySpans(row, cursors))
        .map((row) => destinationStatus(row, cursors, totals, first)),
    }
  } finally {
    database.exec('COMMIT')
  }
}

/** One that only takes spans is no matter of a run that has none. */
const takesOnlySpans = ({ id }: Row, cursors: readonly Row[]): boolean => {
  const own = cursors.filter(({ destination }) => destination === id)
  return own.length > 0 && own.every(({ kind }) => kind === 'spans')
}

function destinationStatus(
  row: Row,
  cursors: readonly Row[],
  totals: Record<BatchKind, number>,
  first: { points: number; spans: number },
): DestinationStatus {
  const cursorOf = (kind: BatchKind): Row | undefined =>
    cursors.find((candidate) => candidate['destination'] === row['id'] && candidate['kind'] === kind)
  const of = (kind: BatchKind): { delivered: number; rejected: number; evicted: number; pending: number } => {
    const cursor = cursorOf(kind)
    const n = (name: string): number => Number(cursor?.[name] ?? 0)
    // What is dropped already, and whoever delivers has not passed yet.
    const dropped = kind === 'points' || kind === 'spans' ? Math.max(0, first[kind] - 1 - n('position')) : 0
    // Counted from the position and not as what the others leave over: the law is there to be checked.
    return {
      delivered: n('delivered'),
      rejected: n('rejected'),
      evicted: n('evicted') + (cursor === undefined ? 0 : dropped),
      // Without a cursor the destination does not take the kind, or has not been reached by anybody yet.
      pending: cursor === undefined ? 0 : totals[kind] - n('position') - dropped,
    }
  }
  const text = (name: string): string | null => (typeof row[name] === 'string' ? row[name] : null)
  const without = ({
    delivered,
    rejected,
    pending,
  }: ReturnType<typeof of>): { delivered: number; rejected: number; pending: number } => ({
    delivered,
    rejected,
    pending,
  })
  return {
    exporter: String(row['exporter']),
    address: String(row['address']),
    state: String(row['state']),
    runId: text('run_id'),
    page: text('page'),
    lastError: text('last_error'),
    ended: row['ended'] === 1,
    points: of('points'),
    params: without(of('params')),
    tags: without(of('tags')),
    spans:
      cursorOf('spans') === undefined ? null : { ...of('spans'), resent: Number(cursorOf('spans')!['resent'] ?? 0) },
  }
}

/** A file that should be a journal and cannot be read. */
export interface Unreadable {
  journal: string
  error: string
  /** SQLite finds it damaged, or no database at all. */
  isDamaged: boolean
}

/** SQLite's codes for a file that is damaged, or no database. */
const DAMAGED: ReadonlySet<unknown> = new Set([11, 26])

/** What is in a state directory. */
export interface StateDir {
  /** Newest last. */
  runs: RunStatus[]
  unreadable: Unreadable[]
  /** Databases without a table: a process is making its journal, or has died before anything was in it. */
  empty: string[]
}

/** The accounts of all journals in a state directory. `skip` leaves files out unread. */
export function readStateDir(stateDir: string, skip: (journal: string) => boolean = () => false): StateDir {
  const runs: RunStatus[] = []
  const unreadable: Unreadable[] = []
  const empty: string[] = []
  for (const entry of entriesOf(stateDir)) {
    // A FIFO or a device of that name would hang whoever opens it.
    if (!entry.isFile() || !entry.name.endsWith('.sqlite')) continue
    const path = join(stateDir, entry.name)
    if (skip(path)) continue
    try {
      runs.push(readJournal(path))
    } catch (error) {
      if (isEmpty(path)) empty.push(path)
      else {
        const { message, errcode } = error as Error & { errcode?: number }
        const isDamaged = error instanceof DamagedJournal || DAMAGED.has((errcode ?? 0) & 0xff)
        unreadable.push({ journal: path, error: message, isDamaged })
      }
    }
  }
  return { runs, unreadable, empty }
}

/** Whether a file is a database without a table, as a journal is before its first commit. */
export function isEmpty(path: string): boolean {
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(path, { readOnly: true })
    return database.prepare('SELECT 1 FROM sqlite_master').get() === undefined
  } catch {
    return false
  } finally {
    database?.close()
  }
}

/** What is in a directory, by name; one that is not there yet is empty. @throws when it is no directory, or cannot be read */
function entriesOf(stateDir: string): Dirent[] {
  try {
    return readdirSync(stateDir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** The account of one journal file. @throws when it is none */
export function readJournal(path: string): RunStatus {
  const isLive = isLocked(path.replace(/\.sqlite$/, '.lock'))
  const database = new DatabaseSync(path, { readOnly: true, timeout: 2000 })
  try {
    const { application_id: id } = database.prepare('PRAGMA application_id').get() as { application_id: number }
    if (id !== APPLICATION_ID) throw new Error('this is no journal')
    const { user_version: format } = database.prepare('PRAGMA user_version').get() as { user_version: number }
    if (format > FORMAT)
      throw new Error(`its format is ${format}, this version knows those up to ${FORMAT}: use a newer spanbridge`)
    return readStatus(database, path, isLive)
  } finally {
    database.close()
  }
}
