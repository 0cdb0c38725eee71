import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isThere } from '../journal/directory.ts'
import { isBusy } from '../journal/lock.ts'
import { filesOf, sizeOf } from '../journal/room.ts'
import { isOwed, readJournal, type RunStatus } from '../journal/status.ts'
import { points as pointsOf } from '../telemetry/words.ts'
import type { Clock } from './clock.ts'
import { lockOf, takeJournal } from './run.ts'

/** How often the journals of a state directory are looked at. */
const LOOK_MS = 60_000
/** What is dropped of a journal, and given back to the file system, at a time; ... */
const STEP_BYTES = 8 << 20
const STEP_PAGES = 1024
/** ... with this pause in between, in which points are written and delivered. */
const PAUSE_MS = 20

export interface RetentionOptions {
  stateDir: string
  /** Size of all journals together; null: no limit. */
  maxBytes: number | null
  /** Age at which delivered runs are deleted; null: never. */
  maxAgeMs: number | null
  clock: Clock
  say: (text: string) => void
}

/** An emptied journal takes 100 kB; one that is larger has pages that can be given back. */
const EMPTY_BYTES = 1 << 20

/** A journal that nobody holds, with its size. */
interface Found {
  status: RunStatus
  bytes: number
  /** It has points or spans. */
  hasRows: boolean
}

/**
 * Keeps the journals of a state directory within their limits. Those that are too old are deleted, if all of them is
 * delivered; where there are too many bytes, journals are emptied but for their accounts, the oldest first: of runs that
 * are delivered, then of those that are in no tracker, and at last of those that are still owed to one.
 */
export class Retention {
  readonly #options: RetentionOptions
  #stopped = false
  #isLimitSaid = false
  #cancel: () => void = () => {}
  #working: Promise<void> = Promise.resolve()

  constructor(options: RetentionOptions) {
    this.#options = options
    if (options.maxBytes !== null || options.maxAgeMs !== null) this.#schedule(0)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#working
  }

  #schedule(ms: number): void {
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#working = this.#look()
    })
  }

  async #look(): Promise<void> {
    await this.#keepWithin()
    if (!this.#stopped) this.#schedule(LOOK_MS)
  }

  async #keepWithin(): Promise<void> {
    try {
      await this.#deleteOld()
      await this.#shrink()
    } catch (error) {
      this.#options.say(`${this.#options.stateDir} cannot be kept within its limits (${(error as Error).message})`)
    }
  }

  async #deleteOld(): Promise<void> {
    const { maxAgeMs, clock, say } = this.#options
    if (maxAgeMs === null) return
    const before = clock.date() - maxAgeMs
    // A file that was written since is not that old, whatever is in it.
    const old = this.#journals().filter((path) => statSync(path).mtimeMs < before)
    for (const path of old) {
      if (this.#stopped) return
      const found = this.#read(path)
      if (found === null || rankOf(found.status) !== 0 || (found.status.endedAt ?? Infinity) >= before) continue
      if (this.#delete(path)) say(`the run ${found.status.name} (${found.status.run}) is deleted: see journal.maxAge`)
      await this.#pause()
    }
  }

  #delete(path: string): boolean {
    const taken = this.#take(path)
    if (taken === null) return false
    taken.journal.close()
    // The lock's file goes last: while it is there nobody else takes the journal.
    for (const file of filesOf(path)) rmSync(file, { force: true })
    rmSync(lockOf(path), { force: true })
    taken.lock.release()
    return true
  }

  async #shrink(): Promise<void> {
    const { maxBytes, stateDir, say } = this.#options
    if (maxBytes === null) return
    const paths = this.#journals()
    let total = paths.map(sizeOf).reduce((a, b) => a + b, 0)
    if (total <= maxBytes) {
      this.#isLimitSaid = false
      return
    }
    const found = paths.map((path) => this.#read(path)).filter((each) => each !== null)
    const byRank = [0, 1, 2].flatMap((rank) => found.filter(({ status }) => rankOf(status) === rank))
    for (const each of byRank) {
      if (total <= maxBytes || this.#stopped) return
      total -= await this.#empty(each)
    }
    if (total > maxBytes && !this.#isLimitSaid)
      say(
        `the journals in ${stateDir} take ${megabytes(total)}, journal.maxBytes is ${megabytes(maxBytes)}, and none is left that could be emptied`,
      )
    this.#isLimitSaid = total > maxBytes
  }

  /** Drops the points, spans and events of a journal, a piece at a time. @returns the bytes that it has given back */
  async #empty({ status, bytes, hasRows: isNews }: Found): Promise<number> {
    if (!isNews && bytes < EMPTY_BYTES) return 0
    const taken = this.#take(status.journal)
    if (taken === null) return 0
    const { journal, lock } = taken
    try {
      while (!this.#stopped && isKept(journal.firstKept, journal)) {
        journal.drop(STEP_BYTES)
        await this.#pause()
      }
      if (!this.#stopped) journal.forgetEvents()
      while (!this.#stopped && journal.vacuum(STEP_PAGES) > 0) await this.#pause()
    } finally {
      journal.close()
      lock.release()
    }
    if (isNews) this.#tell(status)
    return bytes - sizeOf(status.journal)
  }

  #tell(status: RunStatus): void {
    const { say } = this.#options
    const run = `${status.name} (${status.run})`
    const pending = status.destinations.reduce((sum, { points }) => sum + points.pending, 0)
    const loss =
      rankOf(status) === 0
        ? 'all of them are delivered'
        : rankOf(status) === 1
          ? 'no tracker has them'
          : `${pointsOf(pending)} of them were not delivered`
    say(`the journals have reached journal.maxBytes: the points and spans of the run ${run} are dropped; ${loss}`)
  }

  /** A journal that nobody holds, or null. */
  #read(path: string): Found | null {
    try {
      // As it was counted in all: looking into a journal leaves a file of shared memory beside it.
      const bytes = sizeOf(path)
      const status = readJournal(path)
      const { journaled, notKept } = status
      const hasRows = journaled.points > notKept.points || journaled.spans > notKept.spans
      return status.isHeld ? null : { status, bytes, hasRows }
    } catch {
      return null // whoever delivers what is left tells of it
    }
  }

  #take(path: string): ReturnType<typeof takeJournal> | null {
    try {
      return takeJournal(path)
    } catch (error) {
      if (isBusy(error)) return null
      throw error
    }
  }

  /** Oldest first: names begin with the time. */
  #journals(): string[] {
    const { stateDir } = this.#options
    if (!isThere(stateDir)) return []
    return readdirSync(stateDir, { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.sqlite'))
      .map(({ name }) => join(stateDir, name))
      .sort()
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(PAUSE_MS, resolve))
  }
}

/** Who is to go first: 0 a run that is delivered, 1 one that is in no tracker, 2 one that is still owed to one, or goes on. */
function rankOf(status: RunStatus): 0 | 1 | 2 {
  const wanted = status.destinations.filter(({ state }) => state !== 'disabled')
  if (status.endedAt === null || wanted.some(isOwed)) return 2
  return wanted.length > 0 ? 0 : 1
}

const isKept = (first: { points: number; spans: number }, all: { points: number; spans: number }): boolean =>
  first.points <= all.points || first.spans <= all.spans

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6).toLocaleString('en-US')} MB`
