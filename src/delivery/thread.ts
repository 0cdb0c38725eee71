import { join } from 'node:path'
import type { FromDelivery, Outcome, RunStart, ToDelivery } from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import type { Exporter } from '../exporters/exporter.ts'
import { isThere, makeDirectory } from '../journal/directory.ts'
import { RunJournal } from '../journal/journal.ts'
import { isBusy, JournalLock } from '../journal/lock.ts'
import { readJournal } from '../journal/status.ts'
import type { Clock } from './clock.ts'
import { Orphans } from './orphans.ts'
import { DeliveredRun, lockOf, wantJournal } from './run.ts'
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
  /** How users call us, for the words of the account. */
  command: string
  /** New exporters for a run: they keep what they know of it. */
  createExporters: () => Exporter[]
  post: (message: FromDelivery, transfer?: ArrayBuffer[]) => void
  clock: Clock
}

/** The delivery thread: takes what comes from the channel, commits it to the journal of its run, and delivers it. */
export class DeliveryThread {
  readonly #options: ThreadOptions
  readonly #clock: Clock
  #run: DeliveredRun | null = null
  /** Messages that wait while a run is being taken over, or null. */
  #waiting: ToDelivery[] | null = null
  #orphans: Orphans | null = null
  #inMemory = false
  #cancelCommit: (() => void) | null = null
  /** Those who want to hear of the next commit. */
  #barriers: number[] = []
  #triedDiskAt = 0
  #limitMs: number | null = null
  /** When the end began, or null while there is input. */
  #drainedFrom: number | null = null
  #stopping = false

  constructor(options: ThreadOptions) {
    this.#options = options
    this.#clock = options.clock
  }

  take(message: ToDelivery): void {
    if (this.#waiting !== null) {
      this.#waiting.push(message)
      return
    }
    switch (message.kind) {
      case 'run':
        if (message.resume === null) this.#begin(message.start)
        else void this.#resume(message.start, message.resume)
        return
      case 'finish':
        this.#limitMs = message.limitMs
        this.#drainedFrom ??= this.#drain()
        return
      case 'stop':
        void this.#stop()
        return
      default:
        if (this.#run !== null) this.#store(this.#run.journal, message)
    }
  }

  /** Takes up one journal to deliver what is left of it. @throws when it is none, or another process holds it */
  async open(path: string): Promise<void> {
    const { journal, lock } = await wantJournal(path, this.#clock)
    try {
      if (journal.readEnd() === null) journal.closeByTakeOver()
      this.#run = this.#deliver(journal, lock, false)
    } catch (error) {
      journal.close()
      lock.release()
      throw error
    }
  }

  #begin(start: RunStart): void {
    this.#run = this.#deliver(...this.#create(start), false)
    this.#takeUpOrphans()
  }

  /** Goes on with an earlier run, or begins a new one when that cannot be had. What comes meanwhile waits. */
  async #resume(start: RunStart, path: string): Promise<void> {
    const waiting: ToDelivery[] = []
    this.#waiting = waiting
    try {
      const { journal, lock } = await wantJournal(path, this.#clock)
      journal.reopen()
      journal.addParams(start.params)
      const { name, run } = journal.readStart()
      this.#say(
        `going on with the run ${name} (${run}): ${journal.points.toLocaleString('en-US')} points are in its journal`,
      )
      this.#run = this.#deliver(journal, lock, true)
      this.#takeUpOrphans()
    } catch (error) {
      const why = isBusy(error) ? 'another spanbridge is running it' : (error as Error).message
      this.#say(`${path} cannot be resumed (${why}); a new run begins instead`)
      this.#begin(start)
    }
    this.#waiting = null
    for (const message of waiting) this.take(message)
  }

  /** The run is there: its own work goes on, and that of others begins. */
  #takeUpOrphans(): void {
    this.#options.post({ kind: 'ready' })
    if (this.#inMemory) return
    const { stateDir, createExporters } = this.#options
    this.#orphans = new Orphans({ stateDir, createExporters, clock: this.#clock, say: (text) => this.#say(text) })
  }

  #deliver(journal: RunJournal, lock: JournalLock | null, reopen: boolean): DeliveredRun {
    const say = (text: string): void => this.#say(text)
    const options = { journal, lock, isOrphan: false, reopen, clock: this.#clock, say }
    try {
      return new DeliveredRun({ ...options, exporters: this.#createExporters() })
    } catch (error) {
      // The first rows of the destinations do not fit on the disk.
      this.#sayOverflow(journal, error as Error)
      return new DeliveredRun({ ...options, exporters: this.#createExporters() })
    }
  }

  /** A destination that cannot be set up must not take the journal with it. */
  #createExporters(): Exporter[] {
    try {
      return this.#options.createExporters()
    } catch (error) {
      this.#say(
        `nothing is delivered: ${(error as Error).message}. The run is kept in the journal; mend the setting and 'spanbridge sync' it.`,
      )
      return []
    }
  }

  /** The journal on disk, or in memory with a word when the directory cannot be written. */
  #create(start: RunStart): [RunJournal, JournalLock | null] {
    const { stateDir } = this.#options
    let lock: JournalLock | null = null
    try {
      makeDirectory(stateDir)
      const path = join(stateDir, `${start.run}.sqlite`)
      lock = new JournalLock(lockOf(path))
      return [RunJournal.create(path, start), lock]
    } catch (error) {
      lock?.release()
      this.#inMemory = true
      this.#say(
        `no journal can be kept in ${stateDir} (${(error as Error).message}); 64 MB of points are kept in memory instead and are gone when this process is. Set --state-dir to a directory that can be written.`,
      )
      return [RunJournal.create(':memory:', start, MEMORY_JOURNAL_BYTES), null]
    }
  }

  #store(journal: RunJournal, message: Exclude<ToDelivery, { kind: 'run' | 'finish' | 'stop' }>): void {
    if (message.kind === 'points') journal.addPoints(message.buffer, message.count, message.counts)
    else if (message.kind === 'series') journal.addSeries(message.id, message.key)
    else if (message.kind === 'counts') journal.addCounts(message.counts)
    else if (message.kind === 'head') journal.addHead(message.id, message.resource, message.scope)
    else if (message.kind === 'spans') journal.addSpans(message.spans)
    else if (message.kind === 'barrier') this.#barriers.push(message.id)
    else if (message.kind === 'params') journal.addParams(message.params)
    else if (message.kind === 'example') journal.addExample(message.reason, message.line)
    else journal.setEnd(message.status, message.time)
    if (journal.pendingBytes >= COMMIT_BYTES) this.#commit()
    else this.#cancelCommit ??= this.#clock.after(COMMIT_MS, () => this.#commit())
  }

  /** Writes what waits. What the disk cannot take goes into memory, and back when it can. */
  #commit(): void {
    this.#cancelCommit?.()
    this.#cancelCommit = null
    const run = this.#run
    if (run === null) return
    if (run.journal.isOverflowing) this.#tryDisk(run.journal)
    if (run.journal.isDirty) {
      try {
        this.#written(run, run.journal.commit())
      } catch (error) {
        this.#overflow(run, error as Error)
      }
    }
    this.#passBarriers(run)
    if (run.journal.isOverflowing && !this.#stopping)
      this.#cancelCommit ??= this.#clock.after(COMMIT_RETRY_MS, () => this.#commit())
  }

  #written(run: DeliveredRun, buffers: ArrayBuffer[]): void {
    if (buffers.length > 0) this.#options.post({ kind: 'empty', buffers }, buffers)
    run.wake()
  }

  /** Everything that came before is committed. */
  #passBarriers(run: DeliveredRun): void {
    const durable = !run.journal.isOverflowing && !this.#inMemory
    for (const id of this.#barriers) this.#options.post({ kind: 'committed', id, durable })
    this.#barriers = []
  }

  #overflow(run: DeliveredRun, error: Error): void {
    this.#sayOverflow(run.journal, error)
    this.#written(run, run.journal.commit())
  }

  #sayOverflow(journal: RunJournal, error: Error): void {
    const words = /malformed|not a database/.test(error.message)
      ? `is damaged (${error.message}): has somebody written into it, or is the disk failing? What comes now is kept in memory, up to 64 MB of points`
      : `cannot be written (${error.message}); up to 64 MB of points are kept in memory meanwhile. Is the disk full? It is tried again each second.`
    this.#say(`the journal ${journal.path} ${words}`)
    journal.overflow(MEMORY_JOURNAL_BYTES)
    this.#triedDiskAt = this.#clock.now()
  }

  #tryDisk(journal: RunJournal): void {
    if (!this.#stopping && this.#clock.now() - this.#triedDiskAt < COMMIT_RETRY_MS) return
    this.#triedDiskAt = this.#clock.now()
    try {
      journal.drainOverflow()
      this.#say(`the journal ${journal.path} can be written again; what memory held is in it`)
    } catch {
      // Said once when it began; it is tried again.
    }
  }

  /** Begins the end: commits, lets every delivery drain, and watches for as long as there is progress. */
  #drain(): number {
    this.#commit()
    this.#run?.drain()
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
    const progressAt = Math.max(from, ...(this.#run?.deliveries ?? []).map((delivery) => delivery.progressAt))
    return now - progressAt < settings['shutdown.deadline']
  }

  get #isComplete(): boolean {
    try {
      return this.#run === null || (this.#run.isComplete && !this.#run.journal.isOverflowing)
    } catch {
      return false // the journal cannot be read: its delivery says so
    }
  }

  /** Commits, ends what is under way, says the account, and lets go of the journal. */
  async #stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    this.#commit()
    let complete = this.#isComplete && (this.#run === null || this.#inMemory || isThere(this.#run.journal.path))
    await Promise.all([this.#run?.stop(), this.#orphans?.stop()])
    if (this.#run !== null) {
      const isLost = this.#inMemory || this.#run.journal.isOverflowing || !isThere(this.#run.journal.path)
      const lines = accountLines(this.#run.journal, { ...this.#options, isLost })
      for (const line of lines) this.#say(line)
      if (this.#run.isComplete) this.#saveAccount(this.#run.journal)
      this.#run.close()
      if (!isLost) complete = this.#isReadable(this.#run.journal.path) && complete
    }
    this.#finished({ complete, inMemory: this.#inMemory })
  }

  /** Whether the file that we leave can be opened by others: somebody may have written into it. */
  #isReadable(path: string): boolean {
    try {
      readJournal(path)
      return true
    } catch (error) {
      this.#say(
        `the journal ${path} is damaged (${(error as Error).message}): what is not delivered of the run is lost`,
      )
      return false
    }
  }

  /** The disk is still full: the end of the run is told, lest the next start takes it for a run that was killed. */
  #saveAccount(journal: RunJournal): void {
    try {
      journal.saveAccount()
    } catch {
      // Nothing fits; that the points are not kept has been said.
    }
  }

  #finished(outcome: Outcome): void {
    this.#options.post({ kind: 'finished', outcome })
  }

  #say(text: string): void {
    this.#options.post({ kind: 'say', text })
  }
}
