import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FromDelivery, Outcome, RunStart, ToDelivery } from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import type { Exporter } from '../exporters/exporter.ts'
import { RunJournal } from '../journal/journal.ts'
import { JournalLock } from '../journal/lock.ts'
import type { Clock } from './clock.ts'
import { Delivery } from './delivery.ts'
import { accountLines } from './summary.ts'

/** A group commit is due this long after the first thing that waits for it, ... */
const COMMIT_MS = 50
/** ... or at once when this much waits. */
const COMMIT_BYTES = 4 << 20
/** A commit that failed (a full disk) is tried again after this long. */
const COMMIT_RETRY_MS = 1000
/** What a journal in memory may hold, when there is no directory to write to. */
const MEMORY_JOURNAL_BYTES = 64 << 20
/** How often the end looks whether there was progress. */
const WATCH_MS = 50

export interface ThreadOptions {
  settings: Settings
  stateDir: string
  exporters: Exporter[]
  post: (message: FromDelivery, transfer?: ArrayBuffer[]) => void
  clock: Clock
}

/** The delivery thread: takes what comes from the channel, commits it to the journal of its run, and delivers it. */
export class DeliveryThread {
  readonly #options: ThreadOptions
  readonly #clock: Clock
  #journal: RunJournal | null = null
  #lock: JournalLock | null = null
  #inMemory = false
  #deliveries: Delivery[] = []
  #cancelCommit: (() => void) | null = null
  #commitFails = false
  #limitMs: number | null = null
  /** When the end began, or null while there is input. */
  #drainedFrom: number | null = null
  #stopping = false

  constructor(options: ThreadOptions) {
    this.#options = options
    this.#clock = options.clock
    options.post({ kind: 'ready' })
  }

  take(message: ToDelivery): void {
    switch (message.kind) {
      case 'run':
        this.#begin(message.start)
        return
      case 'open':
        this.#resume(message.journal)
        return
      case 'finish':
        this.#limitMs = message.limitMs
        this.#drainedFrom ??= this.#drain()
        return
      case 'stop':
        void this.#stop()
        return
      default:
        if (this.#journal !== null) this.#store(this.#journal, message)
    }
  }

  #begin(start: RunStart): void {
    this.#deliver(this.#openJournal(start), start)
  }

  /** @throws when the file is no journal, or another process holds it */
  #resume(path: string): void {
    this.#lock = new JournalLock(path.replace(/\.sqlite$/, '.lock'))
    const journal = RunJournal.open(path)
    this.#deliver(journal, journal.readStart())
  }

  #deliver(journal: RunJournal, run: Omit<RunStart, 'params'>): void {
    this.#journal = journal
    this.#deliveries = this.#options.exporters.map(
      (exporter) => new Delivery({ journal, exporter, run, clock: this.#clock, say: (text) => this.#say(text) }),
    )
    for (const delivery of this.#deliveries) delivery.wake()
  }

  /** The journal on disk, or in memory with a word when the directory cannot be written. */
  #openJournal(start: RunStart): RunJournal {
    const { stateDir } = this.#options
    try {
      mkdirSync(stateDir, { recursive: true, mode: 0o700 })
      this.#lock = new JournalLock(join(stateDir, `${start.run}.lock`))
      return RunJournal.create(join(stateDir, `${start.run}.sqlite`), start)
    } catch (error) {
      this.#lock?.release()
      this.#lock = null
      this.#inMemory = true
      this.#say(
        `no journal can be kept in ${stateDir} (${(error as Error).message}); 64 MB of points are kept in memory instead and are gone when this process is. Set --state-dir to a directory that can be written.`,
      )
      return RunJournal.create(':memory:', start, MEMORY_JOURNAL_BYTES)
    }
  }

  #store(journal: RunJournal, message: Exclude<ToDelivery, { kind: 'run' | 'open' | 'finish' | 'stop' }>): void {
    if (message.kind === 'points') journal.addPoints(message.buffer, message.count, message.counts)
    else if (message.kind === 'series') journal.addSeries(message.id, message.key)
    else if (message.kind === 'counts') journal.addCounts(message.counts)
    else if (message.kind === 'params') journal.addParams(message.params)
    else journal.setEnd(message.status, message.time)
    if (journal.pendingBytes >= COMMIT_BYTES && !this.#commitFails) this.#commit()
    else this.#cancelCommit ??= this.#clock.after(COMMIT_MS, () => this.#commit())
  }

  /** Writes what waits; on failure it goes on waiting, and the channel fills up behind it. */
  #commit(): void {
    this.#cancelCommit?.()
    this.#cancelCommit = null
    const journal = this.#journal
    if (journal === null || !journal.isDirty) return
    try {
      const buffers = journal.commit()
      if (this.#commitFails) this.#say('the journal can be written again')
      this.#commitFails = false
      if (buffers.length > 0) this.#options.post({ kind: 'empty', buffers }, buffers)
      for (const delivery of this.#deliveries) delivery.wake()
    } catch (error) {
      if (!this.#commitFails) {
        this.#say(
          `the journal ${journal.path} cannot be written (${(error as Error).message}); what comes in waits in memory, and is tried again each second. Is the disk full?`,
        )
      }
      this.#commitFails = true
      if (!this.#stopping) this.#cancelCommit = this.#clock.after(COMMIT_RETRY_MS, () => this.#commit())
    }
  }

  /** Begins the end: commits, lets every delivery drain, and watches for as long as there is progress. */
  #drain(): number {
    this.#commit()
    const end = this.#journal?.readEnd() ?? null
    for (const delivery of this.#deliveries) delivery.drain(end)
    this.#watch()
    return this.#clock.now()
  }

  #watch(): void {
    if (this.#stopping) return
    if (this.#isComplete || !this.#mayGoOn()) void this.#stop()
    else this.#clock.after(WATCH_MS, () => this.#watch())
  }

  #mayGoOn(): boolean {
    const { settings } = this.#options
    const now = this.#clock.now()
    const from = this.#drainedFrom ?? now
    if (this.#limitMs !== null) return now - from < this.#limitMs
    if (settings.wait) return true
    const progressAt = Math.max(from, ...this.#deliveries.map((delivery) => delivery.progressAt))
    return now - progressAt < settings['shutdown.deadline']
  }

  get #isComplete(): boolean {
    return !this.#commitFails && this.#deliveries.every((delivery) => delivery.isComplete)
  }

  /** Commits, ends what is under way, says the account, and lets go of the journal. */
  async #stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    this.#commit()
    const complete = this.#isComplete
    await Promise.all(this.#deliveries.map((delivery) => delivery.stop()))
    if (this.#journal !== null) {
      for (const line of accountLines(this.#journal, this.#inMemory, this.#options.settings)) this.#say(line)
      this.#journal.close()
      this.#lock?.release()
    }
    this.#finished({ complete, inMemory: this.#inMemory })
  }

  #finished(outcome: Outcome): void {
    this.#options.post({ kind: 'finished', outcome })
  }

  #say(text: string): void {
    this.#options.post({ kind: 'say', text })
  }
}
