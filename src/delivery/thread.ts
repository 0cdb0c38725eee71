import { join } from 'node:path'
import {
  nothingOpened,
  type FromDelivery,
  type Mark,
  type Outcome,
  type RunStart,
  type ToDelivery,
} from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import type { Exporter } from '../exporters/exporter.ts'
import { isThere, makeDirectory } from '../journal/directory.ts'
import { Identities } from '../journal/identities.ts'
import { RunJournal } from '../journal/journal.ts'
import { isBusy, JournalLock } from '../journal/lock.ts'
import { readMarksOf } from '../journal/marks.ts'
import { newestSpans } from './batches.ts'
import type { Clock } from './clock.ts'
import { isComplete, isDelivered, isReadable, saveAccount, sayAccount, type EndingOptions } from './ending.ts'
import { GroupCommit } from './group-commit.ts'
import { Orphans } from './orphans.ts'
import { Retention } from './retention.ts'
import { DeliveredRun, lockOf, wantJournal } from './run.ts'
import { JournalWriter, MEMORY_JOURNAL_BYTES, type JournalMessage } from './writer.ts'

/** How often the end looks whether there was progress. */
const WATCH_MS = 50
/** A run of which nothing comes any more, and whose delivery does not get on, is left to those who deliver what is left over. */
const LEAVE_PATIENCE_MS = 20_000

export interface ThreadOptions {
  settings: Settings
  stateDir: string
  /** How users call us, for the words of the account. */
  command: string
  /** New exporters for a run: they keep what they know of it. `trackerRun`: the one that its sender has named. */
  createExporters: (trackerRun: string | null) => Exporter[]
  /** Hears of those that spans come through. */
  onVia: (via: string) => void
  post: (message: FromDelivery, transfer?: ArrayBuffer[]) => void
  clock: Clock
}

/** A run that is being written and delivered; while it is being opened, what is said of it waits. */
interface Slot {
  identity: string | null
  writer: JournalWriter | null
  run: DeliveredRun | null
  queue: Extract<ToDelivery, { run: number }>[]
  /** Nothing comes of it any more. */
  isLeft: boolean
}

/** The delivery thread: takes what comes from the channel, commits it to the journals of the runs, and delivers it. */
export class DeliveryThread {
  readonly #options: ThreadOptions
  readonly #clock: Clock
  readonly #slots = new Map<number, Slot>()
  readonly #identities: Identities
  readonly #commits: GroupCommit
  #orphans: Orphans | null = null
  #retention: Retention | null = null
  #inMemory = false
  /** One journal was named: what others have left, and the limits of all, are no matter of ours. */
  #isAlone = false
  #limitMs: number | null = null
  /** When the end began, or null while there is input. */
  #drainedFrom: number | null = null
  #stopping = false

  constructor(options: ThreadOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#identities = new Identities(options.stateDir)
    this.#commits = new GroupCommit({ clock: options.clock, runs: this.#slots, post: options.post })
  }

  take(message: ToDelivery): void {
    switch (message.kind) {
      case 'open':
        this.#ready()
        return
      case 'begin':
        this.#commits.begin()
        return
      case 'complete':
        this.#commits.complete()
        return
      case 'barrier':
        this.#commits.barrier(message)
        return
      case 'via':
        this.#options.onVia(message.via)
        return
      case 'finish':
        this.#limitMs = message.limitMs
        this.#drainedFrom ??= this.#drain()
        return
      case 'stop':
        void this.#stop()
        return
      default:
        this.#takeOfRun(message)
    }
  }

  /** Takes up one journal to deliver what is left of it. @throws when it is none, or another process holds it */
  async open(path: string): Promise<void> {
    this.#isAlone = true
    const { journal, lock } = await wantJournal(path, this.#clock)
    try {
      if (journal.readEnd() === null) journal.closeByTakeOver()
      const slot = this.#slot(0, null)
      this.#use(0, slot, journal, lock, { reopen: false })
    } catch (error) {
      journal.close()
      lock.release()
      throw error
    }
  }

  #takeOfRun(message: Extract<ToDelivery, { run: number }>): void {
    if (message.kind === 'run') {
      this.#begin(message.run, message.start, message.resume)
      return
    }
    const slot = this.#slots.get(message.run)
    if (slot === undefined) return
    if (slot.writer === null) slot.queue.push(message)
    else if (message.kind === 'leave') this.#leave(message.run, slot)
    else this.#store(slot.writer, message)
  }

  #slot(number: number, identity: string | null): Slot {
    const slot: Slot = { identity, writer: null, run: null, queue: [], isLeft: false }
    this.#slots.set(number, slot)
    return slot
  }

  #begin(number: number, start: RunStart, resume: string | null): void {
    const slot = this.#slot(number, start.identity)
    const earlier = start.identity === null ? undefined : this.#leftSlotOf(start.identity, number)
    const path = resume ?? earlier?.[1].writer?.journal.path ?? this.#journalOf(start.identity)
    if (path === null) this.#make(number, slot, start)
    else void this.#resume({ number, slot, start, path, earlier: earlier ?? null })
  }

  /** A run of ours of which nothing came any more, and which begins again. */
  #leftSlotOf(identity: string, number: number): [number, Slot] | undefined {
    return [...this.#slots].find(([other, slot]) => other !== number && slot.isLeft && slot.identity === identity)
  }

  /** The journal of the newest run of an identity, if it may go on. */
  #journalOf(identity: string | null): string | null {
    const status = identity === null ? null : this.#identities.newest(identity)
    if (status === null) return null
    const isRecent = this.#clock.date() - (status.lastAt ?? 0) < this.#options.settings['runs.idle']
    return status.endedAt === null || isRecent ? status.journal : null
  }

  #make(number: number, slot: Slot, start: RunStart): void {
    const marks = this.#marksBefore(start)
    const [journal, lock] = this.#create(start)
    this.#use(number, slot, journal, lock, { reopen: false, marks })
  }

  /** How far the run before it has read the same files. */
  #marksBefore({ source, identity }: RunStart): Mark[] {
    const before = source === 'file' && identity !== null ? this.#identities.newest(identity) : null
    return before === null ? [] : readMarksOf(before.journal)
  }

  /** Goes on with an earlier run, or begins a new one when that cannot be had. What comes meanwhile waits. */
  async #resume({ number, slot, start, path, earlier }: Resumption): Promise<void> {
    try {
      if (earlier !== null) await this.#letGo(...earlier)
      const { journal, lock } = await wantJournal(path, this.#clock)
      journal.reopen()
      journal.addParams(start.params)
      const { name, run } = journal.readStart()
      this.#say(
        `going on with the run ${name} (${run}): ${journal.points.toLocaleString('en-US')} points are in its journal`,
      )
      this.#use(number, slot, journal, lock, { reopen: true, marks: journal.readMarks() })
    } catch (error) {
      const why = isBusy(error) ? 'another spanbridge is running it' : (error as Error).message
      this.#say(`${path} cannot be resumed (${why}); a new run begins instead`)
      this.#make(number, slot, start)
    }
    for (const message of slot.queue.splice(0)) this.#takeOfRun(message)
    if (this.#drainedFrom !== null && !slot.isLeft) this.#drainSlot(slot)
  }

  /** The run is there: its own work goes on, and that of others begins. */
  #use(
    number: number,
    slot: Slot,
    journal: RunJournal,
    lock: JournalLock | null,
    { reopen, marks = [] }: { reopen: boolean; marks?: readonly Mark[] },
  ): void {
    const { settings } = this.#options
    const say = (text: string): void => this.#say(text)
    slot.writer = new JournalWriter({ journal, clock: this.#clock, say, maxBytes: settings['journal.maxRunBytes'] })
    slot.run = this.#deliver(slot.writer, lock, reopen)
    const opened = { ...nothingOpened(number, journal.readStart().run), marks }
    if (reopen) {
      const { spans, transfer } = newestSpans(journal)
      this.#options.post({ ...opened, spans, waiting: journal.readWaiting() }, transfer)
    } else this.#options.post(opened)
    this.#ready()
  }

  /** Runs are written and delivered from now on, and what others have left. */
  #ready(): void {
    if (this.#orphans !== null) return
    this.#options.post({ kind: 'ready' })
    if (this.#inMemory || this.#isAlone) return
    const { stateDir, createExporters, settings } = this.#options
    this.#orphans = new Orphans({
      stateDir,
      createExporters: () => createExporters(null),
      idleMs: settings['runs.idle'],
      clock: this.#clock,
      say: (text) => this.#say(text),
    })
    this.#retention = new Retention({
      stateDir,
      maxBytes: settings['journal.maxBytes'],
      maxAgeMs: settings['journal.maxAge'],
      clock: this.#clock,
      say: (text) => this.#say(text),
    })
  }

  #deliver(writer: JournalWriter, lock: JournalLock | null, reopen: boolean): DeliveredRun {
    const say = (text: string): void => this.#say(text)
    const { journal } = writer
    const { trackerRun } = journal.readStart()
    const options = { journal, lock, isOrphan: false, reopen, clock: this.#clock, say }
    try {
      return new DeliveredRun({ ...options, exporters: this.#createExporters(trackerRun) })
    } catch (error) {
      // The first rows of the destinations do not fit on the disk.
      writer.overflow(error as Error)
      return new DeliveredRun({ ...options, exporters: this.#createExporters(trackerRun) })
    }
  }

  /** A destination that cannot be set up must not take the journal with it. */
  #createExporters(trackerRun: string | null): Exporter[] {
    try {
      return this.#options.createExporters(trackerRun)
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

  #store(writer: JournalWriter, message: JournalMessage): void {
    writer.store(message)
    this.#commits.stored(writer)
  }

  /** Nothing comes of a run any more, while others go on. */
  #leave(number: number, slot: Slot): void {
    slot.isLeft = true
    this.#commits.commit()
    slot.run!.drain()
    const from = this.#clock.now()
    const watch = (): void => {
      if (this.#stopping || this.#slots.get(number) !== slot) return
      const { run, writer } = slot
      run!.wake()
      const progressAt = Math.max(from, ...run!.deliveries.map((delivery) => delivery.progressAt))
      if (isComplete(run!, writer!) || this.#clock.now() - progressAt >= LEAVE_PATIENCE_MS)
        void this.#letGo(number, slot)
      else this.#clock.after(WATCH_MS, watch)
    }
    watch()
  }

  /** Lets go of a run that is left; what is not delivered of it is for those who deliver what is left over. */
  async #letGo(number: number, slot: Slot): Promise<void> {
    if (this.#slots.get(number) !== slot) return
    this.#slots.delete(number)
    await slot.run!.stop()
    sayAccount(slot.writer!, this.#words)
    slot.run!.close()
  }

  /** Begins the end: commits, lets every delivery drain, and watches for as long as there is progress. */
  #drain(): number {
    this.#commits.commit()
    for (const slot of this.#slots.values()) if (!slot.isLeft) this.#drainSlot(slot)
    this.#watch()
    return this.#clock.now()
  }

  #drainSlot({ run }: Slot): void {
    this.#commits.commit()
    run?.drain()
  }

  #watch(): void {
    if (this.#stopping) return
    for (const { run } of this.#slots.values()) run?.wake()
    if (this.#isComplete || !this.#mayGoOn()) void this.#stop()
    else this.#clock.after(WATCH_MS, () => this.#watch())
  }

  #mayGoOn(): boolean {
    const { settings } = this.#options
    const now = this.#clock.now()
    const from = this.#drainedFrom ?? now
    if (this.#limitMs !== null) return now - from < this.#limitMs
    if (settings.wait) return true
    const deliveries = [...this.#slots.values()].flatMap(({ run }) => run?.deliveries ?? [])
    const progressAt = Math.max(from, ...deliveries.map((delivery) => delivery.progressAt))
    return now - progressAt < settings['shutdown.deadline']
  }

  get #isComplete(): boolean {
    return [...this.#slots.values()].every(({ run, writer }) => run !== null && isComplete(run, writer!))
  }

  /** Commits, ends what is under way, says the account, and lets go of the journals. */
  async #stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    this.#commits.commit(true)
    const slots = [...this.#slots.values()].filter(({ run }) => run !== null)
    let complete = this.#isComplete && slots.every(({ writer }) => this.#inMemory || isThere(writer!.journal.path))
    if (slots.some(({ run }) => run!.deliveries.some(({ hasLost }) => hasLost))) complete = false
    await Promise.all([...slots.map(({ run }) => run!.stop()), this.#orphans?.stop(), this.#retention?.stop()])
    for (const { writer, run } of slots) {
      const { journal } = writer!
      const isLost = sayAccount(writer!, this.#words)
      if (isDelivered(run!)) saveAccount(journal)
      run!.close()
      if (!isLost) complete = isReadable(journal.path, this.#words.say) && complete
    }
    this.#finished({ complete, inMemory: this.#inMemory })
  }

  /** How accounts are told. */
  get #words(): EndingOptions {
    const { settings, command } = this.#options
    return { settings, command, say: (text) => this.#say(text) }
  }

  #finished(outcome: Outcome): void {
    this.#options.post({ kind: 'finished', outcome })
  }

  #say(text: string): void {
    this.#options.post({ kind: 'say', text })
  }
}

/** What is needed to go on with an earlier run; `earlier`: where it stands here still, of those that are left. */
interface Resumption {
  number: number
  slot: Slot
  start: RunStart
  path: string
  earlier: [number, Slot] | null
}
