import type { BatchKind, Exporter, Heights } from '../exporters/exporter.ts'
import { targetIn } from '../journal/damage.ts'
import type { RunJournal } from '../journal/journal.ts'

/** How far one destination has got in one kind of one run. */
export interface Cursor {
  /** Sequence number up to which everything is delivered or rejected. */
  position: number
  delivered: number
  rejected: number
  /** Dropped by the journal's limit before they were delivered. */
  evicted: number
  /** End of what may be under way: of one batch, or of some that go one after the other; not beyond `position` when there is none. */
  sending: number
  /** Items that were sent again without knowing whether they were there. */
  resent: number
}

/** What is known of a destination from earlier. */
export interface KnownDestination {
  runId: string | null
  made: boolean
  ended: boolean
  /** Where the run was to go when it began. */
  target: Record<string, string | null>
}

/** What decides which destination is meant; `target` is where a new run goes to. */
export interface AccountOptions {
  exporter: string
  address: string
  target: Readonly<Record<string, string | null>>
  /** What it takes. */
  kinds: readonly BatchKind[]
}

export interface RejectedRow {
  sequence: number
  name: string
  step?: number
  time?: number
  value: number | string
  reason: string
}

/** Where a cursor is by now, and the steps that have got higher since the last commit. */
interface Late {
  cursor: Readonly<Cursor>
  readonly higher: Map<string, number>
  readonly write: () => void
}

/**
 * The rows of one destination in a run's journal: its cursors, its state, what it refused. Every step forward is one
 * transaction, so that `journaled = delivered + rejected + evicted + pending` holds whenever the process dies.
 */
export class DestinationAccount {
  readonly #journal: RunJournal
  readonly #options: AccountOptions
  /** Row of the destination. */
  readonly id: number
  /** The run was known at another address: a tunnel on another port, or another server. */
  readonly isMoved: boolean
  readonly known: KnownDestination
  readonly #heights: Map<string, number>
  /** What the next commit writes of cursors that have moved within their bounds: once, however often they have. */
  readonly #late = new Map<BatchKind, Late>()
  #makingSince: number | null

  /** `isNew`: as a destination of its own, whatever others of its exporter there are. */
  constructor(journal: RunJournal, options: AccountOptions, isNew = false) {
    this.#journal = journal
    this.#options = options
    const { exporter, address, target, kinds } = options
    const rows = journal.all('SELECT * FROM destinations WHERE exporter = ? ORDER BY id', exporter)
    // Once the tracker's run is known the address is no part of what a destination is, while it leads to that run.
    const isMade = (each: Record<string, unknown>): boolean => each['run_id'] !== null || each['making_since'] !== null
    let row = isNew ? undefined : (rows.find((each) => each['address'] === address) ?? rows.findLast(isMade))
    if (row === undefined) {
      const values = [exporter, address, JSON.stringify(target)]
      journal.transaction(() => {
        journal.run('INSERT INTO destinations (exporter, address, target) VALUES (?, ?, ?)', ...values)
        row = journal.get('SELECT * FROM destinations WHERE exporter = ? ORDER BY id DESC LIMIT 1', exporter)!
        for (const kind of kinds) addCursor(journal, Number(row['id']), kind)
      })
    }
    row = row!
    this.id = Number(row['id'])
    this.isMoved = row['address'] !== address
    journal.run("UPDATE destinations SET state = 'disabled' WHERE exporter = ? AND id <> ?", exporter, this.id)
    if (row['state'] === 'disabled') this.state('ok', null)
    this.#makingSince = row['making_since'] === null ? null : Number(row['making_since'])
    this.known = {
      runId: row['run_id'] as string | null,
      made: row['made'] === 1,
      ended: row['ended'] === 1,
      target: targetIn(journal.path, row['target']),
    }
    const heights = journal.all('SELECT key, step FROM heights WHERE destination = ?', this.id)
    this.#heights = new Map(heights.map((height) => [height['key'] as string, Number(height['step'])]))
  }

  /** The tracker there knows nothing of the run: if it is another one than before, the run begins there afresh. */
  elsewhere(): DestinationAccount | null {
    const isOther = this.isMoved && this.known.runId !== null
    return isOther ? new DestinationAccount(this.#journal, this.#options, true) : null
  }

  /** UTC ms of a request to make the tracker's run that was not answered. */
  get makingSince(): number | null {
    return this.#makingSince
  }

  set makingSince(since: number | null) {
    this.#journal.run('UPDATE destinations SET making_since = ? WHERE id = ?', since, this.id)
    this.#makingSince = since
  }

  cursor(kind: BatchKind): Cursor {
    addCursor(this.#journal, this.id, kind)
    const row = this.#journal.get('SELECT * FROM cursors WHERE destination = ? AND kind = ?', this.id, kind)!
    const n = (name: string): number => Number(row[name])
    return {
      position: n('position'),
      delivered: n('delivered'),
      rejected: n('rejected'),
      evicted: n('evicted'),
      sending: n('sending'),
      resent: n('resent'),
    }
  }

  /** The tracker's run is known; `heights`: what it held before us, counted the first time only. */
  opened(runId: string, made: boolean, page: string | null, heights: Heights): void {
    const isNew = this.known.runId === null
    this.#journal.transaction(() => {
      if (isNew) for (const [key, step] of heights) this.#raise(key, step)
      this.#journal.run(
        'UPDATE destinations SET address = ?, run_id = ?, made = ?, page = ?, making_since = NULL WHERE id = ?',
        this.#options.address,
        runId,
        made ? 1 : 0,
        page,
        this.id,
      )
    })
    this.#makingSince = null
    if (isNew) for (const [key, step] of heights) this.#heights.set(key, step)
  }

  /** Highest step of a metric (the tracker's name) that was there before what is under way. */
  heightOf(key: string): number {
    return this.#heights.get(key) ?? Number.NEGATIVE_INFINITY
  }

  state(state: 'ok' | 'suspended', lastError: string | null): void {
    this.#journal.run('UPDATE destinations SET state = ?, last_error = ? WHERE id = ?', state, lastError, this.id)
  }

  ended(): void {
    this.#journal.run('UPDATE destinations SET ended = 1 WHERE id = ?', this.id)
  }

  /** A batch up to `cursor.sending`, without `aside`, is about to be sent: known before it leaves. */
  sending(kind: BatchKind, cursor: Cursor, aside: readonly RejectedRow[]): void {
    this.#journal.transaction(() => {
      for (const row of aside) this.#journal.reject({ destination: this.id, kind, ...row })
      this.note(kind, cursor.sending)
    })
  }

  /** The same of a batch up to `sending`, for a transaction that there is already. */
  note(kind: BatchKind, sending: number): void {
    this.#journal.run('UPDATE cursors SET sending = ? WHERE destination = ? AND kind = ?', sending, this.id, kind)
  }

  /** Sequence numbers of rows that are set aside and that the cursor has not passed yet. */
  ahead(kind: BatchKind): number[] {
    const sql = `SELECT sequence FROM rejected JOIN cursors USING (destination, kind)
      WHERE destination = ? AND kind = ? AND sequence > position`
    return this.#journal.allStored(sql, this.id, kind).map((row) => Number(row['sequence']))
  }

  /** Rows that were refused are there now. */
  takenAfterAll(kind: BatchKind, ids: readonly number[]): void {
    this.#journal.transaction(() => {
      for (const id of ids) this.#journal.run('DELETE FROM rejected WHERE id = ?', id)
      const sql = `UPDATE cursors SET rejected = rejected - ?, delivered = delivered + ? WHERE destination = ? AND kind = ?`
      this.#journal.run(sql, ids.length, ids.length, this.id, kind)
    })
  }

  /** Writes a cursor that has moved, with the rows that were set aside on the way and the steps that are there now. */
  moved(kind: BatchKind, cursor: Cursor, rejected: readonly RejectedRow[], heights: ReadonlyMap<string, number>): void {
    const higher = this.#higher(heights)
    this.#journal.transaction(() => {
      for (const row of rejected) this.#journal.reject({ destination: this.id, kind, ...row })
      this.#write(kind, cursor, higher)
    })
    // In memory only once it is on disk: a batch in doubt is judged by what the disk says.
    for (const [key, step] of higher) this.#heights.set(key, step)
  }

  /**
   * Notes a cursor that has moved within the bounds that are on disk (`cursor.sending`) with the next commit of whatever:
   * a crash before it makes the next process ask once more.
   */
  movedWithin(kind: BatchKind, cursor: Readonly<Cursor>, heights: ReadonlyMap<string, number>): void {
    let late = this.#late.get(kind)
    if (late === undefined || !this.#journal.isLate(late.write)) {
      const fresh: Late = {
        cursor,
        higher: new Map(),
        write: () => this.#write(kind, fresh.cursor, [...fresh.higher]),
      }
      this.#late.set(kind, (late = fresh))
      this.#journal.writeLater(late.write)
    }
    late.cursor = cursor
    for (const [key, step] of this.#higher(heights)) {
      late.higher.set(key, step)
      this.#heights.set(key, step)
    }
  }

  #higher(heights: ReadonlyMap<string, number>): [string, number][] {
    return [...heights].filter(([key, step]) => step > this.heightOf(key))
  }

  #write(kind: BatchKind, cursor: Readonly<Cursor>, higher: readonly (readonly [string, number])[]): void {
    for (const [key, step] of higher) this.#raise(key, step)
    this.#journal.run(
      'UPDATE cursors SET position = ?, delivered = ?, rejected = ?, evicted = ?, sending = ?, resent = ? WHERE destination = ? AND kind = ?',
      cursor.position,
      cursor.delivered,
      cursor.rejected,
      cursor.evicted,
      cursor.sending,
      cursor.resent,
      this.id,
      kind,
    )
  }

  #raise(key: string, step: number): void {
    this.#journal.run(
      'INSERT INTO heights (destination, key, step) VALUES (?, ?, ?) ON CONFLICT (destination, key) DO UPDATE SET step = excluded.step',
      this.id,
      key,
      step,
    )
  }
}

/** The account of an exporter's destination, which the journal knows from here on. */
export function accountOf(journal: RunJournal, { name, address, target, accepts }: Exporter): DestinationAccount {
  const kinds = Object.keys(accepts) as BatchKind[]
  return new DestinationAccount(journal, { exporter: name, address, target, kinds })
}

const addCursor = (journal: RunJournal, destination: number, kind: BatchKind): void =>
  journal.run('INSERT INTO cursors (destination, kind) VALUES (?, ?) ON CONFLICT DO NOTHING', destination, kind)
