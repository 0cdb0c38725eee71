import { existsSync, rmSync, writeFileSync } from 'node:fs'
import type { Exporter } from '../exporters/exporter.ts'
import { RunJournal } from '../journal/journal.ts'
import { isBusy, JournalLock } from '../journal/lock.ts'
import type { Clock } from './clock.ts'
import { Delivery } from './delivery.ts'

/** A run that somebody else delivers as an orphan is waited for this often a second long; it is let go between batches. */
const HANDOVER_TRIES = 10

export const lockOf = (journal: string): string => journal.replace(/\.sqlite$/, '.lock')
const wantOf = (journal: string): string => journal.replace(/\.sqlite$/, '.want')

export interface RunOptions {
  journal: RunJournal
  /** Held as long as the run; null for a journal in memory. */
  lock: JournalLock | null
  exporters: readonly Exporter[]
  isOrphan: boolean
  reopen: boolean
  clock: Clock
  say: (text: string) => void
}

/** A run with its journal, its lock and a delivery for each destination. */
export class DeliveredRun {
  readonly journal: RunJournal
  readonly deliveries: readonly Delivery[]
  readonly #lock: JournalLock | null

  constructor({ journal, lock, exporters, isOrphan, reopen, clock, say }: RunOptions) {
    this.journal = journal
    this.#lock = lock
    const run = { ...journal.readStart(), reopen }
    this.deliveries = exporters.map((exporter) => new Delivery({ journal, exporter, run, isOrphan, clock, say }))
    this.wake()
  }

  get isComplete(): boolean {
    return this.deliveries.every((delivery) => delivery.isComplete)
  }

  wake(): void {
    for (const delivery of this.deliveries) delivery.wake()
  }

  /** Nothing more will come: everything is delivered at once, and the end, if the journal has one, last. */
  drain(): void {
    const end = this.journal.readEnd()
    for (const delivery of this.deliveries) delivery.drain(end)
  }

  /** Whether another process waits for this run, to go on with it. */
  get isWanted(): boolean {
    return existsSync(wantOf(this.journal.path))
  }

  async stop(): Promise<void> {
    await Promise.all(this.deliveries.map((delivery) => delivery.stop()))
  }

  close(): void {
    this.journal.close()
    this.#lock?.release()
  }
}

/**
 * Takes a journal over from a process that has ended, or that delivers it as an orphan and lets it go when it is
 * wanted. @throws when a living run holds it, or it is no journal
 */
export function takeJournal(path: string): { journal: RunJournal; lock: JournalLock } {
  const lock = takeLock(path)
  try {
    return { journal: RunJournal.open(path), lock }
  } catch (error) {
    lock.release()
    throw error
  }
}

function takeLock(path: string): JournalLock {
  try {
    return new JournalLock(lockOf(path))
  } catch (error) {
    if (!isBusy(error)) throw error
  }
  writeFileSync(wantOf(path), '')
  try {
    for (let tries = 1; ; tries += 1) {
      try {
        return new JournalLock(lockOf(path))
      } catch (error) {
        if (!isBusy(error) || tries === HANDOVER_TRIES) throw error
      }
    }
  } finally {
    rmSync(wantOf(path), { force: true })
  }
}
