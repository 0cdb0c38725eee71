import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { columnsOf, POINT_BYTES, type Columns } from '../channel/chunk.ts'
import type { EndStatus, PackedSpans, RunStart, WaitingRow } from '../channel/messages.ts'
import { COUNTERS, dropped, skipped, SPANS_JOURNAL_FULL } from '../telemetry/counters.ts'
import { copyColumns, joinChunks, type Chunk, type StoredPoints } from './blocks.ts'
import { createPrivate } from './lock.ts'
import { drainOverflow, openOverflow } from './overflow.ts'
import { APPLICATION_ID, FORMAT, SCHEMA, SPAN_TABLES, WAITING_TABLE } from './schema.ts'
import { dropOldest, firstKept, usedBytes } from './room.ts'
import { SeriesStatsTable, type SeriesStats } from './series-stats.ts'

/** The write-ahead log is cut back to this size after a checkpoint. */
const WAL_LIMIT_BYTES = 8 << 20

/** How long somebody who holds the file open for writing (a shell of SQLite) is waited for. */
const BUSY_PATIENCE_MS = 2000

/** Points ever written; blocks may have been forgotten since. */
export const JOURNALED = 'journaled.points'

/** Spans ever written. */
export const JOURNALED_SPANS = 'journaled.spans'

/** Before the reason, in the key of an example's row in `meta`. */
export const EXAMPLE = 'example.'

const ADD_TO_COUNTER =
  'INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value'

const SET_COUNTER =
  'INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value'

const JOURNAL_FULL = COUNTERS[dropped('journal_full')]!

/** A span as it came, with what stands around it. */
export interface StoredSpan {
  sequence: number
  resourceHead: Uint8Array
  scopeHead: Uint8Array
  bytes: Uint8Array
}

/** Journals from this format on are brought up to date when they are opened. */
const OLDEST_FORMAT = 1

/** Format 2 came with spans. */
function migrateFrom1(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${SPAN_TABLES}
    ALTER TABLE cursors ADD COLUMN resent INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 2; COMMIT`)
}

/** Format 3 came with rows that wait. */
function migrateFrom2(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${WAITING_TABLE} PRAGMA user_version = 3; COMMIT`)
}

/** What brings a journal of each earlier format to the next one. */
const MIGRATIONS: readonly ((database: DatabaseSync) => void)[] = [migrateFrom1, migrateFrom2]

/** What waits for the next commit. */
interface Pending {
  series: { id: number; key: string }[]
  chunks: Chunk[]
  points: number
  heads: { id: number; resource: Uint8Array; scope: Uint8Array }[]
  spans: PackedSpans[]
  spanBytes: number
  /** By their ids; those that have ended their waiting before they were written are not here any more. */
  waiting: Map<number, WaitingRow>
  settled: number[]
  counts: Float64Array
  params: (readonly [string, string])[]
  examples: (readonly [string, string])[]
  end: { status: EndStatus; time: number } | null
  dirty: boolean
}

/** Points of one block row. */
interface WrittenPoints {
  columns: Columns
  count: number
}

const nothingPending = (): Pending => ({
  series: [],
  chunks: [],
  points: 0,
  heads: [],
  spans: [],
  spanBytes: 0,
  waiting: new Map(),
  settled: [],
  counts: new Float64Array(COUNTERS.length),
  params: [],
  examples: [],
  end: null,
  dirty: false,
})

/**
 * The durable log of one run. What is added waits in memory until `commit()` writes all of it, counters included, in
 * one transaction; what is committed survives `kill -9` and power loss. `memoryLimit` (bytes) makes a journal that
 * lives in memory only and drops the newest points, counted, beyond it.
 */
export class RunJournal {
  readonly #disk: DatabaseSync
  /** Takes what is written while the disk cannot, see `overflow.ts`. */
  #overflow: DatabaseSync | null = null
  /** Last point on disk while there is an overflow. */
  #onDisk = 0
  #spansOnDisk = 0
  readonly path: string
  /** The run began in this process. */
  readonly isNew: boolean
  /** Key of each series, by id. */
  readonly keys: string[] = []
  readonly #idOf = new Map<string, number>()
  /** Id in the journal by id in the channel. */
  readonly #ids: number[] = []
  #isRenumbered = false
  readonly #stats = new SeriesStatsTable()
  #memoryLimit: number | null = null
  readonly #statements = new Map<string, StatementSync>()
  #pending = nothingPending()
  #points = 0
  #spans = 0
  /** Row of each head, by its id in the channel. */
  readonly #heads: number[] = []
  /** Senders know the run by what they say of themselves, so that it matters when the last of them was heard. */
  #isShared = false
  #block: StoredPoints | null = null
  /** The first ones that are still here. */
  #first = { points: 1, spans: 1 }
  #heldBytes = 0

  private constructor(database: DatabaseSync, path: string, isNew: boolean) {
    this.#disk = database
    this.path = path
    this.isNew = isNew
  }

  /** Where rows are written now. */
  get database(): DatabaseSync {
    return this.#overflow ?? this.#disk
  }

  /** Whether the journal has never been on disk. */
  get isInMemory(): boolean {
    return this.path === ':memory:'
  }

  /** Whether what comes in is kept in memory because the disk cannot take it. */
  get isOverflowing(): boolean {
    return this.#overflow !== null
  }

  /** From now on writes into memory, up to `limit` bytes of points; what is on disk stays readable. */
  overflow(limit: number): void {
    this.#overflow = openOverflow(this.#disk)
    this.#statements.clear()
    this.#onDisk = this.#points
    this.#spansOnDisk = this.#spans
    this.#memoryLimit = limit
    this.#heldBytes = 0
  }

  /** Copies what memory holds back to disk, in one transaction. @throws while the disk cannot take it */
  drainOverflow(): void {
    if (this.#overflow === null) return
    drainOverflow(this.#overflow, this.#disk, true)
    this.#overflow.close()
    this.#overflow = null
    this.#statements.clear()
    this.#memoryLimit = null
  }

  /** Copies all but the points, of a run whose points are delivered. @throws while the disk cannot take even that */
  saveAccount(): void {
    if (this.#overflow !== null) drainOverflow(this.#overflow, this.#disk, false)
  }

  /** Makes the journal of a new run. @throws what SQLite or the file system says when the directory cannot be written */
  static create(path: string, start: RunStart, memoryLimit: number | null = null): RunJournal {
    if (memoryLimit === null) createPrivate(path)
    const database = new DatabaseSync(path, { timeout: BUSY_PATIENCE_MS })
    // auto_vacuum must be set before WAL, or it stays off without a word.
    database.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
      PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES};`)
    const journal = new RunJournal(database, path, true)
    journal.#memoryLimit = memoryLimit
    journal.#isShared = start.identity !== null
    journal.transaction(() => {
      // That it is a journal is said in the same commit: a process that dies before leaves an empty database.
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; ${SCHEMA}`)
      const { params, tags, command, startedAt, identity, trackerRun, ...texts } = start
      const meta = {
        ...texts,
        ...(identity === null ? {} : { identity, lastAt: String(startedAt) }),
        ...(trackerRun === null ? {} : { trackerRun }),
        command: JSON.stringify(command),
        startedAt: String(startedAt),
        pid: String(process.pid),
      }
      for (const [key, value] of Object.entries(meta)) journal.setMeta(key, value)
      for (const name of [...COUNTERS, JOURNALED, JOURNALED_SPANS])
        journal.#run('INSERT INTO counters (name, value) VALUES (?, 0)', name)
      journal.#writeParams(params)
      for (const tag of tags) journal.#writeTag(tag)
    })
    return journal
  }

  /** Opens the journal of an earlier run, to deliver what is left of it. @throws when the file is no journal of this format */
  static open(path: string): RunJournal {
    const database = new DatabaseSync(path, { timeout: BUSY_PATIENCE_MS })
    const { user_version: format } = database.prepare('PRAGMA user_version').get() as { user_version: number }
    const { application_id: id } = database.prepare('PRAGMA application_id').get() as { application_id: number }
    if (id !== APPLICATION_ID || format < OLDEST_FORMAT || format > FORMAT) {
      database.close()
      throw new Error(
        `${path} is no journal of this version: expected format ${FORMAT}, found ${id === APPLICATION_ID ? format : 'another kind of file'}`,
      )
    }
    database.exec(`PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES};`)
    for (const migrate of MIGRATIONS.slice(format - OLDEST_FORMAT)) migrate(database)
    const journal = new RunJournal(database, path, false)
    for (const { id, key } of database.prepare('SELECT id, key FROM series').all() as { id: number; key: string }[])
      journal.#know(id, key)
    const counter = (name: string): number =>
      Number(journal.get('SELECT value FROM counters WHERE name = ?', name)?.['value'] ?? 0)
    journal.#points = counter(JOURNALED)
    journal.#spans = counter(JOURNALED_SPANS)
    journal.#first = firstKept(database, journal.#points, journal.#spans)
    journal.setMeta('pid', String(process.pid))
    journal.#isShared = journal.readStart().identity !== null
    return journal
  }

  /** The run as it began, params apart. */
  readStart(): Omit<RunStart, 'params'> {
    const meta = new Map(
      this.all('SELECT key, value FROM meta').map((row) => [String(row['key']), String(row['value'])]),
    )
    const text = (key: string): string => meta.get(key) ?? ''
    return {
      run: text('run'),
      name: text('name'),
      identity: meta.get('identity') ?? null,
      trackerRun: meta.get('trackerRun') ?? null,
      source: text('source'),
      directory: text('directory'),
      command: JSON.parse(text('command')) as string[],
      startedAt: Number(text('startedAt')),
      tags: this.all('SELECT name, value FROM tags').map((row) => [String(row['name']), String(row['value'])] as const),
    }
  }

  /** How and when the run ended (UTC ms), or null while it has not. */
  readEnd(): { status: EndStatus; time: number } | null {
    const status = this.get("SELECT value FROM meta WHERE key = 'status'")?.['value']
    const time = this.get("SELECT value FROM meta WHERE key = 'endedAt'")?.['value']
    return status === undefined ? null : { status: status as EndStatus, time: Number(time) }
  }

  /** Takes back the end: the run goes on. */
  reopen(): void {
    this.transaction(() => {
      this.#run("DELETE FROM meta WHERE key IN ('status', 'endedAt', 'closedBy')")
      this.#run('UPDATE destinations SET ended = 0')
    })
  }

  /** Nobody goes on with the run: nobody can tell the step of what waits. */
  #settleWaiting(): void {
    const waiting = Number(this.get("SELECT value FROM counters WHERE name = 'waiting'")?.['value'] ?? 0)
    this.#run('DELETE FROM waiting')
    if (waiting === 0) return
    this.#run(ADD_TO_COUNTER, COUNTERS[skipped('no_step')]!, waiting)
    this.#run(ADD_TO_COUNTER, 'waiting', -waiting)
  }

  /** What waits for the spans around it, oldest first. */
  readWaiting(): WaitingRow[] {
    return this.all('SELECT * FROM waiting ORDER BY id').map((row) => ({
      id: Number(row['id']),
      since: Number(row['since']),
      numbers: Number(row['numbers']),
      span: String(row['span']),
      part: Number(row['part']),
      body: row['body'] as Uint8Array | null,
    }))
  }

  /** Ends a run whose process died without a word: killed, at the time of its last point. One that others feed has just ended. */
  closeByTakeOver(status: EndStatus = 'KILLED'): void {
    const time =
      this.#points < this.#first.points
        ? Number(this.get("SELECT value FROM meta WHERE key = 'startedAt'")!['value'])
        : this.read(this.#points - 1, 1)!.time[0]!
    this.transaction(() => {
      this.#settleWaiting()
      this.setMeta('status', status)
      this.setMeta('endedAt', String(Math.trunc(time)))
      this.setMeta('closedBy', 'take-over')
    })
  }

  /** Sequence number of the last committed point, which is also their number. */
  get points(): number {
    return this.#points
  }

  /** Sequence number of the last committed span, which is also their number. */
  get spans(): number {
    return this.#spans
  }

  /** What this process has written of each series, by key. */
  get seriesStats(): (SeriesStats & { key: string })[] {
    return this.#stats.list().map((stats) => ({ ...stats, key: this.keys[stats.series]! }))
  }

  /** Bytes that wait for the next commit. */
  get pendingBytes(): number {
    return this.#pending.points * POINT_BYTES + this.#pending.spanBytes
  }

  get isDirty(): boolean {
    return this.#pending.dirty
  }

  /** A series as the channel numbers it; a resumed run may have it under another id. */
  addSeries(id: number, key: string): void {
    const known = this.#idOf.get(key)
    this.#ids[id] = known ?? this.keys.length + this.#pending.series.length
    if (this.#ids[id] !== id) this.#isRenumbered = true
    if (known !== undefined) return
    this.#idOf.set(key, this.#ids[id])
    this.#pending.series.push({ id: this.#ids[id], key })
    this.#pending.dirty = true
  }

  /** `buffer` stays the journal's until `commit()` gives it back. */
  addPoints(buffer: ArrayBuffer, count: number, counts: Float64Array | null): void {
    this.#pending.chunks.push({ buffer, count })
    this.#pending.points += count
    this.#pending.dirty = true
    if (counts !== null) this.addCounts(counts)
  }

  addHead(id: number, resource: Uint8Array, scope: Uint8Array): void {
    this.#pending.heads.push({ id, resource, scope })
    this.#pending.dirty = true
  }

  addSpans(spans: PackedSpans): void {
    this.#pending.spans.push(spans)
    this.#pending.spanBytes += spans.bytes.byteLength
    this.#pending.dirty = true
  }

  addWaiting(rows: readonly WaitingRow[]): void {
    for (const row of rows) this.#pending.waiting.set(row.id, row)
    this.#pending.dirty = true
  }

  settle(ids: readonly number[]): void {
    for (const id of ids) if (!this.#pending.waiting.delete(id)) this.#pending.settled.push(id)
    this.#pending.dirty = true
  }

  addCounts(counts: Float64Array): void {
    counts.forEach((n, i) => (this.#pending.counts[i]! += n))
    this.#pending.dirty = true
  }

  /** The first value of a param stands; another value later is a rejected row of its own. */
  addParams(params: readonly (readonly [string, string])[]): void {
    for (const param of params) this.#pending.params.push(param)
    this.#pending.dirty = true
  }

  /** The first line of the run that something was skipped of for `reason`. */
  addExample(reason: string, line: string): void {
    this.#pending.examples.push([reason, line])
    this.#pending.dirty = true
  }

  setEnd(status: EndStatus, time: number): void {
    this.#pending.end = { status, time }
    this.#pending.dirty = true
  }

  /**
   * Writes all that waits in one transaction and gives back the buffers of the points. `date` (UTC ms) is when that is.
   * @throws what SQLite says (a full disk, say); then everything still waits, and the next call tries again
   */
  commit(date: number | null = null): ArrayBuffer[] {
    const pending = this.#pending
    if (!pending.dirty) return []
    const before = this.#points
    const spansBefore = this.#spans
    const heldBefore = this.#heldBytes
    let lost = 0
    let lostSpans = 0
    const written: WrittenPoints[] = []
    try {
      this.transaction(() => {
        for (const { id, key } of pending.series) this.#run('INSERT INTO series (id, key) VALUES (?, ?)', id, key)
        lost = this.#writePoints(pending.chunks, pending.points, written)
        for (const head of pending.heads) this.#writeHead(head)
        lostSpans = this.#writeSpans(pending.spans)
        for (const id of pending.settled) this.#run('DELETE FROM waiting WHERE id = ?', id)
        for (const row of pending.waiting.values()) this.#writeWaiting(row)
        pending.counts.forEach((n, i) => {
          // A journal of an earlier version lacks the counters that came since.
          if (n !== 0) this.#run(ADD_TO_COUNTER, COUNTERS[i]!, n)
        })
        this.#run('UPDATE counters SET value = ? WHERE name = ?', this.#points, JOURNALED)
        this.#run(SET_COUNTER, JOURNALED_SPANS, this.#spans)
        if (lost > 0) this.#run(ADD_TO_COUNTER, JOURNAL_FULL, lost)
        if (lostSpans > 0) this.#run(ADD_TO_COUNTER, COUNTERS[SPANS_JOURNAL_FULL]!, lostSpans)
        this.#writeParams(pending.params)
        for (const [reason, line] of pending.examples)
          this.#run('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING', EXAMPLE + reason, line)
        if (this.#isShared && date !== null) this.setMeta('lastAt', String(date))
        if (pending.end !== null) {
          this.setMeta('status', pending.end.status)
          this.setMeta('endedAt', String(pending.end.time))
        }
      })
    } catch (error) {
      this.#points = before
      this.#spans = spansBefore
      this.#heldBytes = heldBefore
      throw error
    }
    for (const { id, key } of pending.series) this.#know(id, key)
    // Only now: a commit that fails is tried again.
    for (const { columns, count } of written)
      for (let i = 0; i < count; i += 1) this.#stats.add(columns.series[i]!, columns.step[i]!, columns.value[i]!)
    this.#pending = nothingPending()
    return pending.chunks.map(({ buffer }) => buffer)
  }

  /** Up to `limit` committed points behind sequence number `after`, or null when there are none. */
  read(after: number, limit: number): StoredPoints | null {
    const count = Math.min(limit, this.#points - after)
    if (count <= 0) return null
    const out = { first: after + 1, count, ...columnsOf(new ArrayBuffer(count * POINT_BYTES), count) }
    for (let filled = 0; filled < count;) {
      const block = this.#blockWith(after + filled + 1)
      const from = after + filled + 1 - block.first
      const n = Math.min(block.count - from, count - filled)
      copyColumns(block, from, out, filled, n)
      filled += n
    }
    return out
  }

  /** Up to `limit` committed spans behind sequence number `after`, with what stands around them. */
  readSpans(after: number, limit: number): StoredSpan[] {
    const sql = `SELECT sequence, resource, scope, data FROM spans JOIN span_heads ON span_heads.id = head
      WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?`
    const onDisk = this.#overflow === null || after >= this.#spansOnDisk ? null : this.#disk.prepare(sql)
    const rows = (onDisk ?? this.#prepared(sql)).all(after, onDisk === null ? this.#spans : this.#spansOnDisk, limit)
    return rows.map((row) => ({
      sequence: Number(row['sequence']),
      resourceHead: row['resource'] as Uint8Array,
      scopeHead: row['scope'] as Uint8Array,
      bytes: row['data'] as Uint8Array,
    }))
  }

  /** Sequence numbers of the first point and span that are still here. */
  get firstKept(): Readonly<{ points: number; spans: number }> {
    return this.#first
  }

  /** Bytes on disk that hold something. */
  get usedBytes(): number {
    return usedBytes(this.#disk, this.path)
  }

  /**
   * Drops the oldest points and spans, about `bytes` of them, whether anybody has them or not: `firstKept` tells those
   * who deliver. A journal whose disk cannot be written drops none.
   */
  drop(bytes: number): void {
    if (this.#overflow !== null || this.isInMemory) return
    this.transaction(() => dropOldest(this.#disk, bytes))
    this.#first = firstKept(this.#disk, this.#points, this.#spans)
    this.#block = null
  }

  /** Gives up to `pages` free pages back to the file system. @returns how many are left */
  vacuum(pages: number): number {
    this.#disk.exec(`PRAGMA incremental_vacuum(${pages})`)
    const left = Number(this.get('PRAGMA freelist_count')!['freelist_count'])
    if (left === 0) this.#disk.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return left
  }

  /** Memory journals only: forgets blocks that every destination has. */
  forget(delivered: number): void {
    if (this.#memoryLimit === null) return
    // What overflows from a disk is wanted there again: it goes only when it is that or dropping new points.
    if (this.#overflow !== null && this.#heldBytes < this.#memoryLimit / 2) return
    const { bytes } = this.get(
      'SELECT coalesce(sum(length(data)), 0) AS bytes FROM blocks WHERE first + count - 1 <= ?',
      delivered,
    )!
    this.#run('DELETE FROM blocks WHERE first + count - 1 <= ?', delivered)
    this.#heldBytes -= Number(bytes)
  }

  setMeta(key: string, value: string): void {
    this.#run(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      key,
      value,
    )
  }

  /** Adds a row to the rejected ones, with the reason stored once. */
  reject(row: {
    destination: number | null
    kind: string
    sequence: number
    name: string
    step?: number
    time?: number
    value: number | string
    reason: string
  }): void {
    this.#run('INSERT INTO reasons (text) VALUES (?) ON CONFLICT (text) DO NOTHING', row.reason)
    const { id } = this.get('SELECT id FROM reasons WHERE text = ?', row.reason)!
    this.#run(
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

  transaction(body: () => void): void {
    this.database.exec('BEGIN IMMEDIATE')
    try {
      body()
      this.database.exec('COMMIT')
    } catch (error) {
      try {
        this.database.exec('ROLLBACK')
      } catch {
        // SQLite has rolled back by itself (a full disk, an I/O error): the first error is the one to tell.
      }
      throw error
    }
  }

  get(sql: string, ...values: (number | string | null)[]): Record<string, unknown> | undefined {
    return this.#prepared(sql).get(...values)
  }

  all(sql: string, ...values: (number | string | null)[]): Record<string, unknown>[] {
    return this.#prepared(sql).all(...values)
  }

  run(sql: string, ...values: (number | string | null)[]): void {
    this.#run(sql, ...values)
  }

  close(): void {
    this.#statements.clear()
    this.#overflow?.close()
    this.#disk.close()
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #run(sql: string, ...values: (number | string | null)[]): void {
    this.#prepared(sql).run(...values)
  }

  /** Joins the chunks into block rows; returns how many points a full memory journal refused. `written` gets the others. */
  #writePoints(chunks: readonly Chunk[], points: number, written: WrittenPoints[]): number {
    let lost = 0
    for (const { data, columns, count } of joinChunks(chunks, points)) {
      if (this.#isRenumbered) this.#renumber(columns.series)
      if (this.#memoryLimit !== null && this.#heldBytes + data.byteLength > this.#memoryLimit) {
        lost += count
        continue
      }
      written.push({ columns, count })
      this.#prepared('INSERT INTO blocks (first, count, data) VALUES (?, ?, ?)').run(
        this.#points + 1,
        count,
        new Uint8Array(data),
      )
      this.#points += count
      this.#heldBytes += data.byteLength
    }
    return lost
  }

  #writeHead({ id, resource, scope }: { id: number; resource: Uint8Array; scope: Uint8Array }): void {
    this.#prepared('INSERT INTO span_heads (resource, scope) VALUES (?, ?) ON CONFLICT DO NOTHING').run(resource, scope)
    const row = this.#prepared('SELECT id FROM span_heads WHERE resource = ? AND scope = ?').get(resource, scope)!
    this.#heads[id] = Number(row['id'])
  }

  /** Returns how many spans a full memory journal refused. */
  #writeSpans(packed: readonly PackedSpans[]): number {
    let lost = 0
    const insert = this.#prepared('INSERT INTO spans (sequence, head, data) VALUES (?, ?, ?)')
    for (const { bytes, ends, heads } of packed) {
      for (let i = 0, from = 0; i < ends.length; i += 1) {
        const data = bytes.subarray(from, ends[i])
        from = ends[i]!
        if (this.#memoryLimit !== null && this.#heldBytes + data.byteLength > this.#memoryLimit) {
          lost += 1
          continue
        }
        this.#spans += 1
        insert.run(this.#spans, this.#heads[heads[i]!]!, data)
        if (this.#memoryLimit !== null) this.#heldBytes += data.byteLength
      }
    }
    return lost
  }

  #writeWaiting({ id, since, numbers, span, part, body }: WaitingRow): void {
    const sql = 'INSERT INTO waiting (id, since, numbers, span, part, body) VALUES (?, ?, ?, ?, ?, ?)'
    this.#prepared(sql).run(id, since, numbers, span, part, body)
  }

  #know(id: number, key: string): void {
    this.keys[id] = key
    this.#idOf.set(key, id)
  }

  #renumber(series: Uint32Array): void {
    for (let i = 0; i < series.length; i += 1) series[i] = this.#ids[series[i]!] ?? series[i]!
  }

  #writeParams(params: readonly (readonly [string, string])[]): void {
    for (const [name, value] of params) {
      const known = this.get('SELECT sequence, value FROM params WHERE name = ?', name)
      if (known === undefined) {
        this.#run('INSERT INTO params (name, value) VALUES (?, ?)', name, value)
      } else if (known['value'] !== value) {
        const reason = 'the param has another value already: the first one stands'
        this.reject({ destination: null, kind: 'params', sequence: Number(known['sequence']), name, value, reason })
      }
    }
  }

  #writeTag([name, value]: readonly [string, string]): void {
    this.#run(
      'INSERT INTO tags (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
      name,
      value,
    )
  }

  /** The block that holds a sequence number; the last one read is kept, since delivery goes through it in order. */
  #blockWith(sequence: number): StoredPoints {
    if (this.#block !== null && sequence >= this.#block.first && sequence < this.#block.first + this.#block.count)
      return this.#block
    const sql = 'SELECT first, count, data FROM blocks WHERE first <= ? ORDER BY first DESC LIMIT 1'
    const isOnDisk = this.#overflow !== null && sequence <= this.#onDisk
    const row = (isOnDisk ? this.#disk.prepare(sql) : this.#prepared(sql)).get(sequence) as
      | Record<string, unknown>
      | undefined
    const first = Number(row?.['first'] ?? 0)
    const count = Number(row?.['count'] ?? 0)
    if (row === undefined || sequence >= first + count)
      throw new Error(`${this.path}: no block holds point ${sequence}`)
    // A copy: SQLite's bytes may begin anywhere, doubles may not.
    const bytes = (row['data'] as Uint8Array).slice()
    this.#block = { first, count, ...columnsOf(bytes.buffer, count) }
    return this.#block
  }
}
