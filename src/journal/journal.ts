import type { DatabaseSync } from 'node:sqlite'
import type { EndStatus, EventRow, Mark, PackedSpans, RunStart, WaitingRow } from '../channel/messages.ts'
import { letGo } from '../channel/memory.ts'
import { COUNTERS, dropped, EVENTS_JOURNAL_FULL, EVENTS_OF, SPANS_JOURNAL_FULL } from '../telemetry/counters.ts'
import { joinChunks, type Chunk, type StoredPoints } from './blocks.ts'
import { countIn, DamagedJournal } from './damage.ts'
import { bytesOfEvent, bytesOfEvents, trimEvents, writeEvents } from './events.ts'
import { createFile, openFile } from './file.ts'
import { readMarks, writeMark } from './marks.ts'
import { isThere } from './directory.ts'
import { drainOverflow, isMarkedAhead, markAhead, openOverflow } from './overflow.ts'
import { bytesOf, nothingPending, type WrittenPoints } from './pending.ts'
import { JournalReader } from './reader.ts'
import { dropOldest, firstKept, usedBytes } from './room.ts'
import { APPLICATION_ID, FORMAT, SCHEMA } from './schema.ts'
import { Scratch } from '../channel/scratch.ts'
import { joinSpans, type StoredSpans } from './span-rows.ts'
import { SeriesStatsTable, type SeriesStats } from './series-stats.ts'
import { Statements, type Row, type SqlValue } from './statements.ts'
import * as tables from './tables.ts'
import { JOURNALED, JOURNALED_EVENTS, JOURNALED_SPANS, type RejectedItem, type RunEnd } from './tables.ts'

/** Of all journals, which are committed one after the other. */
const pointScratch = new Scratch()
const spanScratch = new Scratch()

const JOURNAL_FULL = COUNTERS[dropped('journal_full')]!

/**
 * The durable log of one run. What is added waits in memory until `commit()` writes all of it, counters included, in
 * one transaction; what is committed survives `kill -9` and power loss. `memoryLimit` (bytes) makes a journal that
 * lives in memory only and drops the newest points, counted, beyond it.
 */
export class RunJournal {
  readonly #disk: Statements
  /** Takes what is written while the disk cannot, see `overflow.ts`. */
  #overflow: Statements | null = null
  /** What the disk had when it began. */
  #saved: { points: number; spans: number } | null = null
  readonly #reader: JournalReader
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
  #pending = nothingPending()
  #points = 0
  #spans = 0
  #events = 0
  /** Row of each head, by its id in the channel. */
  readonly #heads: number[] = []
  /** Senders know the run by what they say of themselves, so that it matters when the last of them was heard. */
  #isShared = false
  /** The first ones that are still here. */
  #first = { points: 1, spans: 1 }
  #heldBytes = 0
  /** What is to be written with the next transaction, in order. */
  readonly #late = new Set<() => void>()
  /** Those who have something to write with each commit, see `joinCommits`. */
  readonly #joining = new Set<() => (() => void) | undefined>()
  /** Sequence number of the last param and tag; null: to be looked up. */
  readonly #lastTexts: { params: number | null; tags: number | null } = { params: null, tags: null }

  /** The memory of an earlier process was ahead of this, and died: destinations may have any part of what is not delivered. */
  readonly lacksMemory: boolean

  private constructor(database: DatabaseSync, path: string, isNew: boolean) {
    this.#disk = new Statements(database)
    this.lacksMemory = !isNew && isMarkedAhead(path)
    this.#reader = new JournalReader(path, this.#disk)
    this.path = path
    this.isNew = isNew
  }

  /** The database that rows are written to now. */
  get database(): DatabaseSync {
    return this.#rows.database
  }

  get #rows(): Statements {
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

  /** Points and spans that go with this process where the journal on disk is all that stays: those in memory, else all. */
  get unsaved(): { points: number; spans: number } {
    const { points, spans } = (isThere(this.path) ? this.#saved : null) ?? { points: 0, spans: 0 }
    return { points: this.#points - points, spans: this.#spans - spans }
  }

  /** From now on writes into memory, up to `limit` bytes of points; what is on disk stays readable. */
  overflow(limit: number): void {
    markAhead(this.path, true)
    this.#overflow = new Statements(openOverflow(this.#disk.database))
    this.#saved = { points: this.#points, spans: this.#spans }
    this.#reader.overflow = { rows: this.#overflow, ...this.#saved }
    this.#memoryLimit = limit
    this.#heldBytes = 0
  }

  /** Copies what memory holds back to disk, in one transaction. @throws while the disk cannot take it */
  drainOverflow(): void {
    if (this.#overflow === null) return
    this.writeLate()
    drainOverflow(this.#overflow.database, this.#disk.database)
    this.#overflow.close()
    this.#overflow = null
    this.#saved = null
    this.#reader.overflow = null
    this.#memoryLimit = null
    if (!this.lacksMemory) markAhead(this.path, false)
  }

  /** Copies all but the points, of a run whose points are delivered, with its events if they fit. @throws while the disk cannot take even that */
  saveAccount(): void {
    this.writeLate()
    if (this.#overflow === null) return
    const [memory, disk] = [this.#overflow.database, this.#disk.database]
    try {
      drainOverflow(memory, disk, ['blocks', 'spans'])
    } catch {
      drainOverflow(memory, disk, ['blocks', 'spans', 'events'])
    }
  }

  /** Makes the journal of a new run. @throws what SQLite or the file system says when the directory cannot be written */
  static create(path: string, start: RunStart, memoryLimit: number | null = null): RunJournal {
    const database = createFile(path)
    const journal = new RunJournal(database, path, true)
    journal.#memoryLimit = memoryLimit
    journal.#isShared = start.identity !== null
    journal.transaction(() => {
      // That it is a journal is said in the same commit: a process that dies before leaves an empty database.
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; ${SCHEMA}`)
      tables.writeStart(journal.#disk, start)
    })
    return journal
  }

  /** Opens the journal of an earlier run, to deliver what is left of it. @throws when the file is no journal of this format */
  static open(path: string): RunJournal {
    const database = openFile(path)
    const journal = new RunJournal(database, path, false)
    try {
      journal.#readIn()
    } catch (error) {
      journal.close()
      throw error
    }
    return journal
  }

  /** Reads what is known of the run. @throws DamagedJournal */
  #readIn(): void {
    const rows = this.#disk
    for (const [i, { id, key }] of rows.all('SELECT id, key FROM series ORDER BY id').entries()) {
      if (id !== i || typeof key !== 'string')
        throw new DamagedJournal(this.path, `expected series ${i} and its key, got ${String(id)} and ${String(key)}`)
      this.#know(id, key)
    }
    this.#points = countIn(this.path, JOURNALED, tables.readCounter(rows, JOURNALED))
    this.#spans = countIn(this.path, JOURNALED_SPANS, tables.readCounter(rows, JOURNALED_SPANS))
    this.#events = countIn(this.path, JOURNALED_EVENTS, tables.readCounter(rows, JOURNALED_EVENTS))
    this.#first = firstKept(rows.database, this.#points, this.#spans)
    tables.setMeta(rows, 'pid', String(process.pid))
    this.#isShared = this.readStart().identity !== null
  }

  /** The run as it began, params apart. */
  readStart(): Omit<RunStart, 'params'> {
    return tables.readStart(this.#rows, this.path)
  }

  /** How and when the run ended, or null while it has not. */
  readEnd(): RunEnd | null {
    return tables.readEnd(this.#rows)
  }

  /** Takes back the end: the run goes on. */
  reopen(): void {
    this.transaction(() => {
      this.run("DELETE FROM meta WHERE key IN ('status', 'endedAt', 'closedBy')")
      this.run('UPDATE destinations SET ended = 0')
    })
  }

  /** What waits for the spans around it, oldest first. */
  readWaiting(): WaitingRow[] {
    return tables.readWaiting(this.#rows, this.path)
  }

  /** How far followed files have been read. */
  readMarks(): Mark[] {
    return readMarks(this.#rows)
  }

  /** Ends a run whose process died without a word: killed, at the time of its last point. One that others feed has just ended. */
  closeByTakeOver(status: EndStatus = 'KILLED'): void {
    const time =
      this.#points < this.#first.points
        ? Number(this.get("SELECT value FROM meta WHERE key = 'startedAt'")!['value'])
        : this.read(this.#points - 1, 1)!.time[0]!
    this.transaction(() => {
      tables.giveUpWaiting(this.#rows)
      tables.writeEnd(this.#rows, { status, time: Math.trunc(time) })
      tables.setMeta(this.#rows, 'closedBy', 'take-over')
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

  /** Sequence number of the last committed event of level WARN or above, which is also their number. */
  get events(): number {
    return this.#events
  }

  /** What this process has written of each series, by key. */
  get seriesStats(): (SeriesStats & { key: string })[] {
    return this.#stats.list().map((stats) => ({ ...stats, key: this.keys[stats.series]! }))
  }

  /** Bytes that wait for the next commit. */
  get pendingBytes(): number {
    return bytesOf(this.#pending)
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

  /** `spans.bytes` is given away: its memory is gone once they are committed. */
  addSpans(spans: PackedSpans): void {
    this.#pending.spans.push(spans)
    this.#pending.spanBytes += spans.bytes.byteLength
    this.#pending.dirty = true
  }

  /** Counts the events as received, too: whatever becomes of the channel, both are of one commit. */
  addEvents(events: readonly EventRow[]): void {
    for (const event of events) {
      this.#pending.events.push(event)
      this.#pending.eventBytes += bytesOfEvent(event)
      this.#pending.counts[EVENTS_OF[event.level]]! += 1
    }
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

  /** How far followed files have been read: the newest mark of each counts. */
  addMarks(marks: readonly Mark[]): void {
    for (const mark of marks) this.#pending.marks.set(mark[0], mark)
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
    const rows = this.#rows
    const before = this.#points
    const spansBefore = this.#spans
    const eventsBefore = this.#events
    const heldBefore = this.#heldBytes
    let lost = 0
    let lostSpans = 0
    let lostEvents = 0
    const written: WrittenPoints[] = []
    const then: ((() => void) | undefined)[] = []
    try {
      this.transaction(() => {
        for (const { id, key } of pending.series) rows.run('INSERT INTO series (id, key) VALUES (?, ?)', id, key)
        lost = this.#writePoints(pending.chunks, pending.points, written)
        for (const head of pending.heads) this.#writeHead(head)
        lostSpans = this.#writeSpans(pending.spans)
        lostEvents = this.#writeEvents(pending.events)
        for (const id of pending.settled) rows.run('DELETE FROM waiting WHERE id = ?', id)
        for (const row of pending.waiting.values()) tables.writeWaiting(rows, row)
        pending.counts.forEach((n, i) => {
          if (n !== 0) tables.addToCounter(rows, COUNTERS[i]!, n)
        })
        tables.setCounter(rows, JOURNALED, this.#points)
        tables.setCounter(rows, JOURNALED_SPANS, this.#spans)
        if (pending.events.length > 0) tables.setCounter(rows, JOURNALED_EVENTS, this.#events)
        if (lost > 0) tables.addToCounter(rows, JOURNAL_FULL, lost)
        if (lostSpans > 0) tables.addToCounter(rows, COUNTERS[SPANS_JOURNAL_FULL]!, lostSpans)
        if (lostEvents > 0) tables.addToCounter(rows, COUNTERS[EVENTS_JOURNAL_FULL]!, lostEvents)
        tables.writeParams(rows, pending.params)
        for (const [reason, line] of pending.examples) tables.writeExample(rows, reason, line)
        for (const mark of pending.marks.values()) writeMark(rows, mark)
        if (this.#isShared && date !== null) tables.setMeta(rows, 'lastAt', String(date))
        if (pending.end !== null) tables.writeEnd(rows, pending.end)
        for (const join of this.#joining) then.push(join())
      })
    } catch (error) {
      this.#points = before
      this.#spans = spansBefore
      this.#events = eventsBefore
      this.#heldBytes = heldBefore
      throw error
    }
    for (const { id, key } of pending.series) this.#know(id, key)
    if (pending.params.length > 0) this.#lastTexts.params = null
    // Only now: a commit that fails is tried again.
    for (const { columns, count } of written)
      for (let i = 0; i < count; i += 1) this.#stats.add(columns.series[i]!, columns.step[i]!, columns.value[i]!)
    this.#pending = nothingPending()
    for (const { bytes } of pending.spans) letGo(bytes)
    for (const done of then) done?.()
    return pending.chunks.map(({ buffer }) => buffer)
  }

  /**
   * Has `join` write what it has to into every commit, behind the points and spans of that, which count already; what it returns
   * is called once all is written. It must not throw. The result ends it.
   */
  joinCommits(join: () => (() => void) | undefined): () => void {
    this.#joining.add(join)
    return () => void this.#joining.delete(join)
  }

  /** Up to `limit` committed points behind sequence number `after`, or null when there are none. */
  read(after: number, limit: number): StoredPoints | null {
    const count = Math.min(limit, this.#points - after)
    return count <= 0 ? null : this.#reader.points(after, count)
  }

  /**
   * Up to `limit` committed spans behind sequence number `after`, with what stands around them; hardly more than `bytes` of
   * them. @throws DamagedJournal
   */
  readSpans(after: number, limit: number, bytes = Infinity): StoredSpans[] {
    return this.#reader.spans(after, this.#spans, limit, bytes)
  }

  /** Sequence number of the last committed param or tag; 0 when there is none. */
  lastText(kind: 'params' | 'tags'): number {
    return (this.#lastTexts[kind] ??= Number(
      this.get(`SELECT coalesce(max(sequence), 0) AS last FROM ${kind}`)!['last'],
    ))
  }

  /** Sequence numbers of the first point and span that are still here. */
  get firstKept(): Readonly<{ points: number; spans: number }> {
    return this.#first
  }

  /** Bytes that hold something, without the write-ahead log. */
  get usedBytes(): number {
    return usedBytes(this.#disk.database)
  }

  /**
   * Drops the oldest points and spans, about `bytes` of them: those first that all destinations have. `firstKept` tells
   * those who deliver. A journal whose disk cannot be written drops none.
   */
  drop(bytes: number): void {
    if (this.#overflow !== null || this.isInMemory) return
    this.transaction(() => dropOldest(this.#disk.database, bytes))
    this.#first = firstKept(this.#disk.database, this.#points, this.#spans)
    this.#reader.forgetBlocks()
  }

  /** Drops all events: of a run of which nothing but its account is to be kept. */
  forgetEvents(): void {
    this.transaction(() => this.run('DELETE FROM events'))
  }

  /** Gives up to `pages` free pages back to the file system. @returns how many are left */
  vacuum(pages: number): number {
    this.#disk.database.exec(`PRAGMA incremental_vacuum(${pages})`)
    const left = Number(this.get('PRAGMA freelist_count')!['freelist_count'])
    if (left === 0) this.#disk.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
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
    this.transaction(() => this.run('DELETE FROM blocks WHERE first + count - 1 <= ?', delivered))
    this.#heldBytes -= Number(bytes)
  }

  /** Adds a row to the rejected ones. */
  reject(row: RejectedItem): void {
    tables.reject(this.#rows, row)
  }

  /** Writes what is late, then `body`, as one transaction. @throws what `body` throws, or SQLite; then nothing of both is written */
  transaction(body: () => void): void {
    this.#rows.transaction(() => {
      for (const write of this.#late) write()
      body()
    })
    this.#late.clear()
  }

  /** Has `write` be part of the next transaction, whatever that is for: of what may be lost by a crash. */
  writeLater(write: () => void): void {
    this.#late.add(write)
  }

  /** Whether `write` is still to come. */
  isLate(write: () => void): boolean {
    return this.#late.has(write)
  }

  /** Something waits for that transaction. */
  get hasLate(): boolean {
    return this.#late.size > 0
  }

  /** Does not wait for it. @throws what SQLite says */
  writeLate(): void {
    if (this.#late.size > 0) this.transaction(() => {})
  }

  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.#rows.get(sql, ...values)
  }

  all(sql: string, ...values: SqlValue[]): Row[] {
    return this.#rows.all(sql, ...values)
  }

  /** Rows of tables that only grow: those on disk, as far as it can be read, and those that are in memory meanwhile. */
  allStored(sql: string, ...values: SqlValue[]): Row[] {
    const held = this.#rows.all(sql, ...values)
    if (this.#overflow === null) return held
    try {
      return [...this.#disk.all(sql, ...values), ...held]
    } catch {
      return held
    }
  }

  run(sql: string, ...values: SqlValue[]): void {
    this.#rows.run(sql, ...values)
  }

  close(): void {
    this.#overflow?.close()
    this.#disk.close()
  }

  /** Joins the chunks into block rows; returns how many points a full memory journal refused. `written` gets the others. */
  #writePoints(chunks: readonly Chunk[], points: number, written: WrittenPoints[]): number {
    let lost = 0
    for (const { data, columns, count } of joinChunks(chunks, points, pointScratch)) {
      if (this.#isRenumbered) this.#renumber(columns.series)
      if (this.#memoryLimit !== null && this.#heldBytes + data.byteLength > this.#memoryLimit) {
        lost += count
        continue
      }
      written.push({ columns, count })
      const first = this.#points + 1
      this.#rows.run('INSERT INTO blocks (first, count, data) VALUES (?, ?, ?)', first, count, data)
      this.#points += count
      this.#heldBytes += data.byteLength
    }
    return lost
  }

  #writeHead({ id, resource, scope }: { id: number; resource: Uint8Array; scope: Uint8Array }): void {
    const rows = this.#rows
    rows.run('INSERT INTO span_heads (resource, scope) VALUES (?, ?) ON CONFLICT DO NOTHING', resource, scope)
    const row = rows.get('SELECT id FROM span_heads WHERE resource = ? AND scope = ?', resource, scope)!
    this.#heads[id] = Number(row['id'])
  }

  /** Joins the spans into block rows; returns how many a full memory journal refused. */
  #writeSpans(packed: readonly PackedSpans[]): number {
    let lost = 0
    const takes = (bytes: number): boolean => {
      if (this.#memoryLimit === null) return true
      const fits = this.#heldBytes + bytes <= this.#memoryLimit
      if (fits) this.#heldBytes += bytes
      else lost += 1
      return fits
    }
    const insert = this.#rows.prepare('INSERT INTO spans (first, count, head, data) VALUES (?, ?, ?, ?)')
    for (const { head, count, data } of joinSpans(packed, (id) => this.#heads[id]!, takes, spanScratch)) {
      insert.run(this.#spans + 1, count, head, data)
      this.#spans += count
    }
    return lost
  }

  /** Returns how many events a full memory journal refused. */
  #writeEvents(events: readonly EventRow[]): number {
    if (events.length === 0) return 0
    const { database } = this.#rows
    const limit = this.#memoryLimit
    const before = limit === null ? 0 : bytesOfEvents(database)
    let bytes = this.#heldBytes
    const end = limit === null ? -1 : events.findIndex((event) => (bytes += bytesOfEvent(event)) > limit)
    const taken = end < 0 ? events : events.slice(0, end)
    writeEvents(this.#rows, taken, this.#events)
    this.#events += taken.length
    trimEvents(database, this.#events)
    if (limit !== null) this.#heldBytes += bytesOfEvents(database) - before
    return events.length - taken.length
  }

  #know(id: number, key: string): void {
    this.keys[id] = key
    this.#idOf.set(key, id)
  }

  #renumber(series: Uint32Array): void {
    for (let i = 0; i < series.length; i += 1) series[i] = this.#ids[series[i]!] ?? series[i]!
  }
}
