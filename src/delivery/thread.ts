import { join } from 'node:path'
import { nothingOpened, type FromDelivery, type Outcome, type RunStart, type ToDelivery } from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import type { Exporter } from '../exporters/exporter.ts'
import { isThere, makeDirectory } from '../journal/directory.ts'
import { Identities } from '../journal/identities.ts'
import { RunJournal } from '../journal/journal.ts'
import { isBusy, JournalLock } from '../journal/lock.ts'
import { readJournal } from '../journal/status.ts'
import { newestSpans } from './batches.ts'
import type { Clock } from './clock.ts'
import { Orphans } from './orphans.ts'
import { Retention } from './retention.ts'
import { DeliveredRun, lockOf, wantJournal } from './run.ts'
import { accountLines } from './summary.ts'
import { COMMIT_RETRY_MS, JournalWriter, MEMORY_JOURNAL_BYTES, type JournalMessage } from './writer.ts'

/** A group commit is due this long after the first thing that waits for it, ... */
const COMMIT_MS = 50
/** ... or at once when this much waits. */
const COMMIT_BYTES = 4 << 20
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
  #orphans: Orphans | null = null
  #retention: Retention | null = null
  #inMemory = false
  #cancelCommit: (() => void) | null = null
  /** What comes is committed together or not at all: no commit before all of it is here. */
  #isWhole = false
  /** Those who want to hear of the next commit. */
  #barriers: { id: number; runs: readonly number[] }[] = []
  #limitMs: number | null = null
  /** When the end began, or null while there is input. */
  #drainedFrom: number | null = null
  #stopping = false

  constructor(options: ThreadOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#identities = new Identities(options.stateDir)
  }

  take(message: ToDelivery): void {
    switch (message.kind) {
      case 'open':
        this.#ready()
        return
      case 'begin':
        this.#isWhole = true
        return
      case 'complete':
        this.#isWhole = false
        this.#scheduleCommit()
        return
      case 'barrier':
        this.#barriers.push(message)
        this.#scheduleCommit()
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
    const { journal, lock } = await wantJournal(path, this.#clock)
    try {
      if (journal.readEnd() === null) journal.closeByTakeOver()
      const slot = this.#slot(0, null)
      this.#use(0, slot, journal, lock, false)
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
    const [journal, lock] = this.#create(start)
    this.#use(number, slot, journal, lock, false)
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
      this.#use(number, slot, journal, lock, true)
    } catch (error) {
      const why = isBusy(error) ? 'another spanbridge is running it' : (error as Error).message
      this.#say(`${path} cannot be resumed (${why}); a new run begins instead`)
      this.#make(number, slot, start)
    }
    for (const message of slot.queue.splice(0)) this.#takeOfRun(message)
    if (this.#drainedFrom !== null && !slot.isLeft) this.#drainSlot(slot)
  }

  /** The run is there: its own work goes on, and that of others begins. */
  #use(number: number, slot: Slot, journal: RunJournal, lock: JournalLock | null, reopen: boolean): void {
    const { settings } = this.#options
    const say = (text: string): void => this.#say(text)
    slot.writer = new JournalWriter({ journal, clock: this.#clock, say, maxBytes: settings['journal.maxRunBytes'] })
    slot.run = this.#deliver(slot.writer, lock, reopen)
    const opened = nothingOpened(number, journal.readStart().run)
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
    if (this.#inMemory) return
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
    if (writer.journal.pendingBytes >= COMMIT_BYTES && !this.#isWhole) this.#commit()
    else this.#scheduleCommit()
  }

  #scheduleCommit(): void {
    this.#cancelCommit ??= this.#clock.after(COMMIT_MS, () => this.#commit())
  }

  /** Writes what waits, of all runs; `isLast`: no other commit follows. */
  #commit(isLast = false): void {
    this.#cancelCommit?.()
    this.#cancelCommit = null
    // The rest is on the port already.
    if (this.#isWhole && !isLast) {
      this.#scheduleCommit()
      return
    }
    for (const { writer, run } of this.#slots.values()) {
      if (writer === null || run === null || !(writer.journal.isDirty || writer.journal.isOverflowing)) continue
      const buffers = writer.commit(isLast)
      if (buffers.length > 0) this.#options.post({ kind: 'empty', buffers }, buffers)
      run.wake()
    }
    this.#passBarriers()
    if (isLast) return
    if ([...this.#slots.values()].some(({ writer }) => writer?.journal.isOverflowing === true))
      this.#cancelCommit ??= this.#clock.after(COMMIT_RETRY_MS, () => this.#commit())
  }

  /** Everything that came before is committed, but for what waits for its run to be opened. */
  #passBarriers(): void {
    if ([...this.#slots.values()].some(({ writer }) => writer === null)) {
      if (this.#barriers.length > 0) this.#scheduleCommit()
      return
    }
    for (const { id, runs } of this.#barriers.splice(0)) {
      const durable = runs.every((number) => this.#slots.get(number)?.writer?.isDurable ?? true)
      this.#options.post({ kind: 'committed', id, durable })
    }
  }

  /** Nothing comes of a run any more, while others go on. */
  #leave(number: number, slot: Slot): void {
    slot.isLeft = true
    this.#commit()
    slot.run!.drain()
    const from = this.#clock.now()
    const watch = (): void => {
      if (this.#stopping || this.#slots.get(number) !== slot) return
      const { run, writer } = slot
      run!.wake()
      const progressAt = Math.max(from, ...run!.deliveries.map((delivery) => delivery.progressAt))
      const isDone = isComplete(run!) && !writer!.journal.isOverflowing
      if (isDone || this.#clock.now() - progressAt >= LEAVE_PATIENCE_MS) void this.#letGo(number, slot)
      else this.#clock.after(WATCH_MS, watch)
    }
    watch()
  }

  /** Lets go of a run that is left; what is not delivered of it is for those who deliver what is left over. */
  async #letGo(number: number, slot: Slot): Promise<void> {
    if (this.#slots.get(number) !== slot) return
    this.#slots.delete(number)
    await slot.run!.stop()
    this.#sayAccount(slot)
    slot.run!.close()
  }

  /** Begins the end: commits, lets every delivery drain, and watches for as long as there is progress. */
  #drain(): number {
    this.#commit()
    for (const slot of this.#slots.values()) if (!slot.isLeft) this.#drainSlot(slot)
    this.#watch()
    return this.#clock.now()
  }

  #drainSlot({ run }: Slot): void {
    this.#commit()
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
    return [...this.#slots.values()].every(
      ({ run, writer }) => run !== null && isComplete(run) && !writer!.journal.isOverflowing,
    )
  }

  /** Commits, ends what is under way, says the account, and lets go of the journals. */
  async #stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    this.#commit(true)
    const slots = [...this.#slots.values()].filter(({ run }) => run !== null)
    let complete = this.#isComplete && slots.every(({ writer }) => this.#inMemory || isThere(writer!.journal.path))
    if (slots.some(({ run }) => run!.deliveries.some(({ hasLost }) => hasLost))) complete = false
    await Promise.all([...slots.map(({ run }) => run!.stop()), this.#orphans?.stop(), this.#retention?.stop()])
    for (const slot of slots) {
      const isLost = this.#sayAccount(slot)
      if (isComplete(slot.run!)) this.#saveAccount(slot.writer!.journal)
      slot.run!.close()
      if (!isLost) complete = this.#isReadable(slot.writer!.journal.path) && complete
    }
    this.#finished({ complete, inMemory: this.#inMemory })
  }

  /** Says the account of a run. @returns whether what is not delivered of it is in no file that outlives us */
  #sayAccount({ writer }: Slot): boolean {
    const { journal } = writer!
    const isLost = !writer!.isDurable || !isThere(journal.path)
    try {
      for (const line of accountLines(journal, { ...this.#options, isLost })) this.#say(line)
    } catch (error) {
      this.#say(`the account of the run in ${journal.path} cannot be read (${(error as Error).message})`)
    }
    return isLost
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

/** What is needed to go on with an earlier run; `earlier`: where it stands here still, of those that are left. */
interface Resumption {
  number: number
  slot: Slot
  start: RunStart
  path: string
  earlier: [number, Slot] | null
}

function isComplete(run: DeliveredRun): boolean {
  try {
    return run.isComplete
  } catch {
    return false // the journal cannot be read: its delivery says so
  }
}
