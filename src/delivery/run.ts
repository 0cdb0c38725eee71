import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { Exporter } from '../exporters/exporter.ts'
import { RunJournal } from '../journal/journal.ts'
import { isBusy, JournalLock } from '../journal/lock.ts'
import { isEmpty } from '../journal/status.ts'
import { accountOf } from './account.ts'
import type { Clock } from './clock.ts'
import { Delivery } from './delivery.ts'

/** A run that somebody else delivers as an orphan is let go between batches: it is asked for this often, with these pauses. */
const HANDOVER_TRIES = 25
const HANDOVER_PAUSE_MS = 200

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
  readonly #deliveries: Delivery[] = []
  /** Exporters that take spans only, while there are none. */
  readonly #dormant: Exporter[] = []
  #isDraining = false
  readonly #options: RunOptions
  readonly #lock: JournalLock | null

  constructor(options: RunOptions) {
    this.#options = options
    this.journal = options.journal
    this.#lock = options.lock
    this.#dormant.push(...options.exporters.filter(({ accepts }) => accepts.points === undefined))
    try {
      for (const exporter of options.exporters) if (exporter.accepts.points !== undefined) this.#start(exporter)
      // Known from the beginning: whoever goes on after a crash must know that spans are wanted there.
      for (const exporter of this.#dormant) accountOf(this.journal, exporter)
    } catch (error) {
      void this.stop() // the run is delivered by another one of us, or not at all
      throw error
    }
    this.wake()
  }

  get deliveries(): readonly Delivery[] {
    return this.#deliveries
  }

  #start(exporter: Exporter): void {
    const { journal, reopen, isOrphan, clock, say } = this.#options
    const delivery = new Delivery({
      journal,
      exporter,
      run: { ...journal.readStart(), reopen },
      isOrphan,
      clock,
      say,
      onSettled: () => this.#forgetDelivered(),
      onOpened: () => this.wake(),
      peerOf: (name) => this.#deliveries.find((other) => other.exporter.name === name),
    })
    this.#deliveries.push(delivery)
    if (this.#isDraining) delivery.drain(journal.readEnd())
  }

  /** A journal in memory keeps only what somebody still wants. */
  #forgetDelivered(): void {
    const positions = this.deliveries.map(({ position }) => position).filter((position) => position !== null)
    if (positions.length > 0) this.journal.forget(Math.min(...positions))
  }

  get isComplete(): boolean {
    return !this.#lacksDelivery && this.deliveries.every((delivery) => delivery.isComplete)
  }

  /** There are spans, and nobody who delivers them. */
  get #lacksDelivery(): boolean {
    return this.journal.spans > 0 && this.#dormant.length > 0
  }

  /** Tells that the journal has more. To be called again and again. */
  wake(): void {
    try {
      for (; this.#lacksDelivery; this.#dormant.shift()) this.#start(this.#dormant[0]!)
    } catch {
      // Its first rows do not fit on the disk, of which the next commit tells; then they go into memory.
    }
    for (const delivery of this.deliveries) delivery.wake()
  }

  /** Nothing more will come: everything is delivered at once, and the end, if the journal has one, last. */
  drain(): void {
    this.#isDraining = true
    const end = this.journal.readEnd()
    for (const delivery of this.deliveries) delivery.drain(end)
  }

  /** Whether another process waits for this run, to go on with it. */
  get isWanted(): boolean {
    return existsSync(wantOf(this.journal.path))
  }

  async stop(): Promise<void> {
    await Promise.all([
      ...this.deliveries.map((delivery) => delivery.stop()),
      ...this.#dormant.map((exporter) => exporter.close()),
    ])
  }

  close(): void {
    this.journal.close()
    this.#lock?.release()
  }
}

/** A journal that is ours now. */
export interface TakenJournal {
  journal: RunJournal
  lock: JournalLock
}

/** Takes over what a process that has ended left behind. @throws when somebody holds it (`isBusy`), or it is no journal */
export function takeJournal(path: string): TakenJournal {
  const lock = new JournalLock(lockOf(path), 0)
  try {
    // Whoever wanted it has it, or is gone.
    rmSync(wantOf(path), { force: true })
    return { journal: RunJournal.open(path), lock }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Names of our journals: other files that end in .sqlite are somebody else's. */
const JOURNAL_NAME = /\/[0-9A-HJKMNP-TV-Z]{26}\.sqlite$/

/** Removes a journal that its process has died over before anything was in it, unless that process lives. */
export function removeEmpty(path: string): void {
  if (!JOURNAL_NAME.test(path)) return
  try {
    const lock = new JournalLock(lockOf(path), 0)
    const files = isEmpty(path) ? [path, `${path}-wal`, `${path}-shm`, lockOf(path)] : []
    for (const file of files) rmSync(file, { force: true })
    lock.release()
  } catch {
    // Somebody is making it.
  }
}

/** Renames a damaged journal that nobody holds, so that it is met no more. @returns its new name, or null */
export function setAside(path: string): string | null {
  if (!JOURNAL_NAME.test(path)) return null
  try {
    const lock = new JournalLock(lockOf(path), 0)
    for (const suffix of ['-wal', '-shm', ''])
      if (existsSync(path + suffix)) renameSync(path + suffix, `${path}.damaged${suffix}`)
    rmSync(lockOf(path), { force: true })
    lock.release()
    return `${path}.damaged`
  } catch {
    return null // held by somebody, or in a directory that cannot be written
  }
}

/** The same, waiting for a process that delivers it as an orphan and lets it go when it is wanted. */
export async function wantJournal(path: string, clock: Clock): Promise<TakenJournal> {
  for (let tries = 1; ; tries += 1) {
    try {
      return takeJournal(path)
    } catch (error) {
      if (!isBusy(error) || tries === HANDOVER_TRIES) {
        rmSync(wantOf(path), { force: true })
        throw error
      }
    }
    writeFileSync(wantOf(path), '', { mode: 0o600 })
    await new Promise<void>((resolve) => void clock.after(HANDOVER_PAUSE_MS, resolve))
  }
}
