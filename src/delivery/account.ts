import type { BatchKind } from '../exporters/exporter.ts'
import type { RunJournal } from '../journal/journal.ts'

/** How far one destination has got in one kind of one run. */
export interface Cursor {
  position: number
  delivered: number
  rejected: number
}

/** What is known of a destination from earlier. */
export interface KnownDestination {
  runId: string | null
  made: boolean
  ended: boolean
  /** A row was there before: an earlier process may have made the tracker's run without noting its id. */
  isOld: boolean
}

/**
 * The rows of one destination in a run's journal: its cursors, its state, what it refused. Every step forward is one
 * transaction, so that `journaled = delivered + rejected + pending` holds whenever the process dies.
 */
export class DestinationAccount {
  readonly #journal: RunJournal
  readonly #id: number
  readonly known: KnownDestination

  constructor(journal: RunJournal, exporter: string, address: string) {
    this.#journal = journal
    // The address is no part of what a destination is: a tunnel on another port leads to the same run.
    const row = journal.get('SELECT id, run_id, made, ended FROM destinations WHERE exporter = ?', exporter)
    if (row !== undefined) journal.run('UPDATE destinations SET address = ? WHERE exporter = ?', address, exporter)
    else journal.run('INSERT INTO destinations (exporter, address) VALUES (?, ?)', exporter, address)
    this.#id = Number((row ?? journal.get('SELECT max(id) AS id FROM destinations'))!['id'])
    this.known = {
      runId: (row?.['run_id'] as string | null) ?? null,
      made: row?.['made'] === 1,
      ended: row?.['ended'] === 1,
      isOld: row !== undefined,
    }
  }

  cursor(kind: BatchKind): Cursor {
    this.#journal.run('INSERT INTO cursors (destination, kind) VALUES (?, ?) ON CONFLICT DO NOTHING', this.#id, kind)
    const row = this.#journal.get(
      'SELECT position, delivered, rejected FROM cursors WHERE destination = ? AND kind = ?',
      this.#id,
      kind,
    )!
    return { position: Number(row['position']), delivered: Number(row['delivered']), rejected: Number(row['rejected']) }
  }

  opened(runId: string, made: boolean, page: string): void {
    this.#journal.run(
      'UPDATE destinations SET run_id = ?, made = ?, page = ? WHERE id = ?',
      runId,
      made ? 1 : 0,
      page,
      this.#id,
    )
  }

  state(state: 'ok' | 'suspended', lastError: string | null): void {
    this.#journal.run('UPDATE destinations SET state = ?, last_error = ? WHERE id = ?', state, lastError, this.#id)
  }

  ended(): void {
    this.#journal.run('UPDATE destinations SET ended = 1 WHERE id = ?', this.#id)
  }

  /** A batch up to sequence number `to` is about to be sent: known before it leaves. */
  sending(kind: BatchKind, to: number): void {
    this.#journal.run('UPDATE cursors SET sending = ? WHERE destination = ? AND kind = ?', to, this.#id, kind)
  }

  delivered(kind: BatchKind, to: number, count: number): void {
    this.#journal.run(
      'UPDATE cursors SET position = ?, delivered = delivered + ? WHERE destination = ? AND kind = ?',
      to,
      count,
      this.#id,
      kind,
    )
  }

  rejected(row: {
    kind: BatchKind
    sequence: number
    name: string
    step?: number
    time?: number
    value: number | string
    reason: string
  }): void {
    this.#journal.transaction(() => {
      this.#journal.reject({ destination: this.#id, ...row })
      this.#journal.run(
        'UPDATE cursors SET position = ?, rejected = rejected + 1 WHERE destination = ? AND kind = ?',
        row.sequence,
        this.#id,
        row.kind,
      )
    })
  }
}
