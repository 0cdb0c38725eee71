import type { Exporter } from '../exporters/exporter.ts'
import { isBusy } from '../journal/lock.ts'
import { lacksSomething, readStateDir, type DestinationStatus, type RunStatus } from '../journal/status.ts'
import { counted, points } from '../telemetry/words.ts'
import type { Clock } from './clock.ts'
import { DeliveredRun, removeEmpty, setAside, takeJournal } from './run.ts'

/** How often it is looked whether an orphan is done or wanted. */
const WATCH_MS = 100
/** An orphan without progress for this long makes room for the next one; ... */
const PATIENCE_MS = 20_000
/** ... and all that are left, or held by others, are looked at again after this long. */
const AGAIN_MS = 10_000

export interface OrphanOptions {
  stateDir: string
  createExporters: () => Exporter[]
  /** A run that senders know by an identity ends when nothing has come for this long. */
  idleMs: number
  clock: Clock
  say: (text: string) => void
}

/**
 * Delivers, one after the other and beside the new run, what earlier processes left behind in the state directory: to
 * destinations that are configured now, at the address that they had. A run whose process died without a word is
 * closed. What is not done when the new run ends waits for the next start.
 */
export class Orphans {
  readonly #options: OrphanOptions
  readonly #said = new Set<string>()
  /** Journals that need nothing more. */
  readonly #done = new Set<string>()
  #stopped = false
  #wake: () => void = () => {}
  readonly #loop: Promise<void>

  constructor(options: OrphanOptions) {
    this.#options = options
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wake()
    await this.#loop
  }

  async #run(): Promise<void> {
    // The new run goes first: its own beginning must not wait for many files.
    await this.#pause(0)
    while (!this.#stopped) {
      await this.#passOver()
      if (!this.#stopped) await this.#pause(AGAIN_MS)
    }
  }

  /** Takes up every orphan once. What other processes hold is looked at again: they may die too. */
  async #passOver(): Promise<void> {
    const { stateDir, say } = this.#options
    try {
      const { runs, unreadable, empty } = readStateDir(stateDir, (journal) => this.#done.has(journal))
      for (const journal of empty) removeEmpty(journal)
      for (const each of unreadable) {
        this.#done.add(each.journal)
        const aside = each.isDamaged ? setAside(each.journal) : null
        say(
          aside === null
            ? `${each.journal} cannot be read (${each.error}): nothing is delivered of it`
            : `the journal ${each.journal} is damaged (${each.error}): it is set aside as ${aside}, and nothing more is delivered of it. 'sqlite3 ${aside} .recover' gets out of it what can be read`,
        )
      }
      for (const status of runs) {
        if (this.#stopped) return
        if (!status.isHeld && (await this.#take(status))) this.#done.add(status.journal)
      }
    } catch (error) {
      say(`${stateDir}: what earlier runs left there cannot be read (${(error as Error).message})`)
    }
  }

  /** @returns whether nothing more is to be done about the run */
  async #take(status: RunStatus): Promise<boolean> {
    const isAwaited = this.#isAwaited(status)
    const exporters = this.#exportersFor(status, isAwaited)
    if (exporters.length === 0 && (status.status !== 'interrupted' || isAwaited)) return !isAwaited
    try {
      const isDelivered = await this.#deliver(status, exporters, isAwaited)
      return isDelivered && !isAwaited
    } catch (error) {
      if (isBusy(error)) return false // another process has it for now
      this.#options.say(`${status.journal} cannot be taken up: ${(error as Error).message}`)
      return true
    }
  }

  /** Its senders may come again, and then it goes on: its end is not ours to set yet. */
  #isAwaited({ status, identity, lastAt }: RunStatus): boolean {
    const { clock, idleMs } = this.#options
    // A time that lies ahead is as good as none: the clock has been set back.
    const age = clock.date() - (lastAt ?? 0)
    return status === 'interrupted' && identity !== null && age >= 0 && age < idleMs
  }

  /** Those that still lack something of the run, at the address that it was to go to. */
  #exportersFor(status: RunStatus, isAwaited: boolean): Exporter[] {
    const lacks = (destination: DestinationStatus): boolean =>
      lacksSomething(isAwaited ? { ...destination, ended: true } : destination)
    const isFor = (exporter: Exporter) => (destination: DestinationStatus) =>
      destination.exporter === exporter.name && destination.address === exporter.address && lacks(destination)
    return this.#options.createExporters().filter((exporter) => status.destinations.some(isFor(exporter)))
  }

  async #deliver(status: RunStatus, exporters: Exporter[], isAwaited: boolean): Promise<boolean> {
    const { clock, say } = this.#options
    const taken = takeJournal(status.journal)
    let run: DeliveredRun | null = null
    try {
      if (taken.journal.readEnd() === null && !isAwaited)
        taken.journal.closeByTakeOver(status.identity === null ? 'KILLED' : 'FINISHED')
      const options = { ...taken, exporters, isOrphan: true, reopen: false, clock, say: () => {} }
      run = new DeliveredRun(options)
      const isNews = exporters.length > 0 && !this.#said.has(status.run)
      this.#said.add(status.run)
      const pending = status.destinations.reduce((sum, destination) => sum + destination.points.pending, 0)
      const spans = status.destinations.reduce((sum, destination) => sum + (destination.spans?.pending ?? 0), 0)
      const what = [pending > 0 || spans === 0 ? points(pending) : '', spans > 0 ? counted(spans, 'span') : '']
      if (isNews)
        say(
          `taking up the run ${status.name} (${status.run}) that an earlier process left: ${what.filter((text) => text !== '').join(' and ')} to deliver`,
        )
      run.drain()
      const from = clock.now()
      const progressAt = (): number => Math.max(from, ...run!.deliveries.map((delivery) => delivery.progressAt))
      while (!this.#stopped && !run.isComplete && !run.isWanted && clock.now() - progressAt() < PATIENCE_MS) {
        await this.#pause(WATCH_MS)
        run.wake()
      }
      const isComplete = run.isComplete
      if (isComplete && exporters.length > 0)
        say(`the run ${status.name} (${status.run}) of the earlier process is delivered`)
      return isComplete
    } finally {
      await run?.stop()
      taken.journal.close()
      taken.lock.release()
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}
