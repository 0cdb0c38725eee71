import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import type { BatchKind, Exporter, TextBatch } from '../exporters/exporter.ts'
import { pointsOfBlock, type StoredPoints } from '../journal/blocks.ts'
import { blockOfRow, spansOf } from '../journal/span-rows.ts'
import { spansIn } from '../otlp/span-blocks.ts'
import { STATE, type State } from './columns.ts'

type Row = Record<string, SQLOutputValue>

/** A destination of the run, as the journal knows it. */
export interface KnownDestination {
  id: number
  address: string
  /** The tracker's run; null while nothing has been delivered. */
  runId: string | null
  made: boolean
  ended: boolean
}

/** How far a destination has got in one kind, and what it has refused of it, at the moment of asking. */
export class Progress {
  readonly #position: number
  readonly #rejected: ReadonlySet<number>

  constructor(position: number, rejected: ReadonlySet<number>) {
    this.#position = position
    this.#rejected = rejected
  }

  stateOf(sequence: number): State {
    if (this.#rejected.has(sequence)) return STATE.rejected
    return sequence <= this.#position ? STATE.delivered : STATE.pending
  }
}

/** A journal, opened to be read only; another process may write it meanwhile. */
export class AuditedJournal {
  readonly #database: DatabaseSync
  readonly #path: string

  /** @throws when the file cannot be opened */
  constructor(path: string) {
    this.#path = path
    this.#database = new DatabaseSync(path, { readOnly: true, timeout: 2000 })
  }

  close(): void {
    this.#database.close()
  }

  #all(sql: string, ...values: (number | string)[]): Row[] {
    return this.#database.prepare(sql).all(...values)
  }

  #meta(key: string): string | null {
    const [row] = this.#all('SELECT value FROM meta WHERE key = ?', key)
    return row === undefined ? null : String(row['value'])
  }

  get run(): string {
    return this.#meta('run') ?? ''
  }

  get end(): { status: string; time: number } | null {
    const status = this.#meta('status')
    return status === null ? null : { status, time: Number(this.#meta('endedAt')) }
  }

  /** The destination that delivery would mean: at this address, else the last one whose run is known. */
  destinationOf({ name, address }: Exporter): KnownDestination | null {
    const rows = this.#all('SELECT * FROM destinations WHERE exporter = ? ORDER BY id', name)
    const row = rows.find((each) => each['address'] === address) ?? rows.findLast((each) => each['run_id'] !== null)
    if (row === undefined) return null
    return {
      id: Number(row['id']),
      address: String(row['address']),
      runId: row['run_id'] === null ? null : String(row['run_id']),
      made: row['made'] === 1,
      ended: row['ended'] === 1,
    }
  }

  /** Whether a destination of this exporter has the tracker's run. */
  hasRun(exporter: string, runId: string): boolean {
    return this.#all('SELECT 1 FROM destinations WHERE exporter = ? AND run_id = ?', exporter, runId).length > 0
  }

  progress(destination: number, kind: BatchKind): Progress {
    const [cursor] = this.#all('SELECT position FROM cursors WHERE destination = ? AND kind = ?', destination, kind)
    const refused = this.#all('SELECT sequence FROM rejected WHERE destination = ? AND kind = ?', destination, kind)
    return new Progress(Number(cursor?.['position'] ?? 0), new Set(refused.map((row) => Number(row['sequence']))))
  }

  texts(kind: TextBatch['kind']): { sequence: number; name: string; value: string }[] {
    return this.#all(`SELECT sequence, name, value FROM ${kind} ORDER BY sequence`).map((row) => ({
      sequence: Number(row['sequence']),
      name: String(row['name']),
      value: String(row['value']),
    }))
  }

  counter(name: string): number {
    return Number(this.#all('SELECT value FROM counters WHERE name = ?', name)[0]?.['value'] ?? 0)
  }

  /** The metric key of each series, by its id. */
  keys(): string[] {
    const keys: string[] = []
    for (const row of this.#all('SELECT id, key FROM series')) keys[Number(row['id'])] = String(row['key'])
    return keys
  }

  /** All points that are there, a block at a time. @throws DamagedJournal */
  *blocks(): Generator<StoredPoints> {
    for (const row of this.#database.prepare('SELECT first, count, data FROM blocks ORDER BY first').iterate())
      yield pointsOfBlock(row, this.#path)
  }

  countSpans(): number {
    const rows = spansOf(this.#database)
    if (rows === null) return 0
    return Number(this.#all(`SELECT coalesce(sum(max(count, 1)), 0) AS n FROM ${rows}`)[0]!['n'])
  }

  /** All spans that are there. */
  *spans(): Generator<{ sequence: number; bytes: Uint8Array }> {
    const rows = spansOf(this.#database)
    if (rows === null) return
    for (const row of this.#database.prepare(`SELECT first, count, data FROM ${rows} ORDER BY first`).iterate()) {
      const { first, bytes: data } = blockOfRow(row, this.#path)
      let sequence = first
      for (const bytes of spansIn(data)) yield { sequence: sequence++, bytes }
    }
  }
}
