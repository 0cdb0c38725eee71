import { readdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { takeJournal, lockOf } from '../delivery/run.ts'
import { DamagedJournal } from '../journal/damage.ts'
import { isThere } from '../journal/directory.ts'
import { isBusy } from '../journal/lock.ts'
import { filesOf } from '../journal/room.ts'
import { isEmpty, readJournal, type RunStatus } from '../journal/status.ts'
import type { RunChange, RunSummary, SeriesSummary } from '../web/api.ts'
import { Annotations, type Annotation } from './annotations.ts'
import { highlightsOf } from './highlights.ts'
import { RunHistory, type ReadSettings } from './history.ts'

/** Histories whose files stay open; those that were used longest ago are closed. */
const MAX_OPEN = 64

/** Processes that die leave no mark in the file: journals that are held are read anew this often, whatever it shows. */
const HELD_MS = 1000
/**
 * A commit is in the log before it counts, for as long as the disk takes, and two within one tick of the file system's clock
 * leave the same mark: what was read so soon after a change may be of before it.
 */
const SETTLED_MS = 500

/** Time that one `refresh` may spend on numbers of runs that nobody looks at, for the list. */
const BACKGROUND_MS = 20

export interface StoreOptions extends ReadSettings {
  stateDir: string
  /** One journal file instead of all in the directory. */
  only?: string | null
}

/** A run that is not there (any more). */
export class UnknownRun extends Error {
  constructor(run: string, why = 'there is none with this id') {
    super(`run ${run}: ${why}`)
  }
}

interface Known {
  path: string
  /** Size and time of file and log when it was read, and since when they have been so (`performance.now()`). */
  mark: string
  since: number
  status: RunStatus
  shown: Shown | null
  /** Why its numbers could not be read at the last look. `isDamaged`: they will not be at the next one either. */
  problem: { error: string; isDamaged: boolean } | null
}

/** What a list shows beside the account. */
interface Shown {
  upTo: number
  firstStep: number | null
  lastStep: number | null
  lastTime: number | null
  highlights: SeriesSummary[]
}

const NOTHING_SHOWN: Shown = { upTo: 0, firstStep: null, lastStep: null, lastTime: null, highlights: [] }

/** All runs of a state directory, read only, each as of its last commit. */
export class Store {
  readonly #options: StoreOptions
  readonly #annotations: Annotations
  readonly #known = new Map<string, Known>()
  readonly #runOf = new Map<string, string>()
  readonly #open = new Map<string, RunHistory>()
  /** What the list needs of runs that are still written and are too many to be held open. */
  readonly #short = new Map<string, RunHistory>()
  /** A run that nobody looks at, being read for the list. */
  #background: RunHistory | null = null
  #annotated = new Map<string, Annotation>()
  #unreadable: { journal: string; error: string; mark: string; copyOf?: string }[] = []
  #heldAt = -Infinity

  constructor(options: StoreOptions) {
    this.#options = options
    this.#annotations = new Annotations(options.stateDir)
  }

  /** Looks at every journal that has changed since. @returns runs whose account changed, and those that are gone */
  refresh(): { changed: string[]; gone: string[] } {
    const changed = new Set<string>()
    const paths = this.#paths()
    const readsHeld = performance.now() - this.#heldAt >= HELD_MS
    if (readsHeld) this.#heldAt = performance.now()
    for (const path of paths) {
      const run = this.#look(path, readsHeld)
      if (run !== null) changed.add(run)
    }
    for (const run of this.#annotate()) changed.add(run)
    const there = new Set(paths)
    this.#unreadable = this.#unreadable.filter(({ journal }) => there.has(journal))
    const isGone = (run: string, path: string): boolean => !there.has(path) || this.#runOf.get(path) !== run
    const gone = [...this.#known].filter(([run, { path }]) => isGone(run, path)).map(([run]) => run)
    for (const run of gone) this.#forget(run)
    for (const run of this.#showNext()) changed.add(run)
    return { changed: [...changed], gone }
  }

  /** Newest first. */
  runs(): RunSummary[] {
    return [...this.#known.keys()]
      .map((run) => this.summary(run))
      .sort((a, b) => b.startedAt - a.startedAt || (a.run < b.run ? 1 : -1))
  }

  /** @throws UnknownRun */
  summary(run: string): RunSummary {
    const { status, shown } = this.#get(run)
    const { title, archived } = this.#annotated.get(run) ?? { title: null, archived: false }
    const { firstStep, lastStep, lastTime, highlights } = shown ?? NOTHING_SHOWN
    return { ...status, title: title ?? status.name, archived, firstStep, lastStep, lastTime, highlights }
  }

  unreadable(): { journal: string; error: string }[] {
    const numbers = [...this.#known.values()].flatMap(({ path, problem }) =>
      problem === null ? [] : [{ journal: path, error: problem.error }],
    )
    return [...this.#unreadable.map(({ journal, error }) => ({ journal, error })), ...numbers]
  }

  /** @throws UnknownRun, and DamagedJournal where the file holds what none of ours writes */
  run(run: string): RunHistory {
    const { path } = this.#get(run)
    const open = this.#open.get(run)
    if (open !== undefined) {
      // Those that are used stay at the end.
      this.#open.delete(run)
      this.#open.set(run, open)
      return open
    }
    const history = new RunHistory(run, path, this.#options)
    this.#open.set(run, history)
    while (this.#open.size > MAX_OPEN) {
      const [oldest, used] = [...this.#open][0]!
      used.close()
      this.#open.delete(oldest)
    }
    return history
  }

  /** Gives a run another title, or puts it away. @throws UnknownRun, or what keeps `page.json` from being written */
  change(run: string, change: RunChange): void {
    this.#get(run)
    this.#annotations.change(run, change)
  }

  /** Deletes a run with its journal. @throws UnknownRun, and with words when a process holds it */
  delete(run: string): void {
    const { path, status } = this.#get(run)
    this.#shut(run)
    let taken: ReturnType<typeof takeJournal>
    try {
      taken = takeJournal(path)
    } catch (error) {
      if (!isBusy(error)) throw error
      throw new Error(`the run ${status.name} is still written or delivered by process ${status.pid ?? 'unknown'}`, {
        cause: error,
      })
    }
    taken.journal.close()
    // The lock's file goes last: while it is there nobody else takes the journal.
    for (const file of filesOf(path)) rmSync(file, { force: true })
    rmSync(lockOf(path), { force: true })
    taken.lock.release()
    this.#annotations.forget(run)
    this.#forget(run)
  }

  close(): void {
    for (const run of [...this.#open.keys(), ...this.#short.keys()]) this.#shut(run)
    this.#background?.close()
  }

  #get(run: string): Known {
    const known = this.#known.get(run)
    if (known === undefined) throw new UnknownRun(run)
    return known
  }

  #paths(): string[] {
    const { stateDir, only } = this.#options
    if (only !== undefined && only !== null) return isThere(only) ? [only] : []
    try {
      return readdirSync(stateDir, { withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith('.sqlite'))
        .map(({ name }) => join(stateDir, name))
    } catch {
      return [] // the first run makes it
    }
  }

  /** Reads a journal anew where it may have changed. @returns its run, if it has */
  #look(path: string, readsHeld: boolean): string | null {
    const mark = markOf(path)
    const known = this.#known.get(this.#runOf.get(path) ?? '')
    const isSame = known?.mark === mark
    if (isSame && performance.now() - known.since >= SETTLED_MS && !(readsHeld && known.status.isHeld)) return null
    const bad = this.#unreadable.findIndex(({ journal }) => journal === path)
    const { mark: badMark, copyOf } = this.#unreadable[bad] ?? {}
    if (badMark === mark && (copyOf === undefined || isThere(copyOf))) return null
    if (bad >= 0) this.#unreadable.splice(bad, 1)
    try {
      const status = readJournal(path)
      if (status.run === '') return null
      const other = this.#known.get(status.run)?.path ?? path
      if (other !== path && isThere(other)) {
        this.#unreadable.push({ journal: path, error: `it is a copy of ${other}, which is shown`, mark, copyOf: other })
        return null
      }
      // Another file in its place: what was read of the one before is of no use.
      const isReplaced = known !== undefined && inodeOf(known.mark) !== inodeOf(mark)
      if (isReplaced) this.#shut(known.status.run)
      const shown = isReplaced ? null : (known?.shown ?? null)
      const problem = isReplaced ? null : (known?.problem ?? null)
      // One that nobody writes when it is met will not be changing.
      const isAtRest = known === undefined && !status.isHeld
      const since = isAtRest ? -Infinity : isSame ? known.since : performance.now()
      this.#known.set(status.run, { path, mark, since, status, shown, problem })
      this.#runOf.set(path, status.run)
      return isSame && JSON.stringify(status) === JSON.stringify(known.status) ? null : status.run
    } catch (error) {
      if (!isEmpty(path)) this.#unreadable.push({ journal: path, error: (error as Error).message, mark })
      return null
    }
  }

  /** @returns the runs of which a user said something new */
  #annotate(): string[] {
    const before = this.#annotated
    this.#annotated = this.#annotations.read()
    const runs = new Set([...before.keys(), ...this.#annotated.keys()])
    return [...runs].filter((run) => {
      const [a, b] = [before.get(run), this.#annotated.get(run)]
      return this.#known.has(run) && (a?.title !== b?.title || a?.archived !== b?.archived)
    })
  }

  /** Brings what the list shows up to date, of the newest runs first, for a while. @returns those of which it has */
  #showNext(): string[] {
    const deadline = performance.now() + BACKGROUND_MS
    const stale = [...this.#known]
      .filter(([, { status, shown }]) => shown === null || shown.upTo < status.journaled.points)
      .filter(([, { problem }]) => problem?.isDamaged !== true)
      .sort(([, a], [, b]) => b.status.startedAt - a.status.startedAt)
    const done: string[] = []
    for (const [run, known] of stale) {
      const left = deadline - performance.now()
      if (left <= 0) break
      try {
        const history = this.#listed(run, known)
        const isAll = history.refresh(left)
        // Half of it would be told as the whole.
        if (!isAll) continue
        known.shown = shownOf(history, known.status.journaled.points)
        known.problem = null
        done.push(run)
      } catch (error) {
        // The account stands. Some of a block may have been taken already: it is read from the beginning the next time.
        this.#shut(run)
        known.problem = { error: (error as Error).message, isDamaged: isDamage(error) }
      }
    }
    this.#letGo()
    return done
  }

  /** What the list reads a run with. */
  #listed(run: string, { path, status }: Known): RunHistory {
    const open = this.#open.get(run)
    // Whoever is on the list has not been used: the runs that somebody looks at stay open longer.
    if (open !== undefined) return open
    if (!status.isHeld) return this.#inBackground(run, path)
    if (this.#open.size < MAX_OPEN) return this.run(run)
    const short = this.#short.get(run) ?? new RunHistory(run, path, this.#options, { isShort: true })
    this.#short.set(run, short)
    return short
  }

  /** Of runs on the list alone no more files stay open than of others; what was read of them stays. */
  #letGo(): void {
    for (const [run, short] of this.#short) {
      if (this.#open.has(run) || this.#known.get(run)?.status.isHeld !== true) {
        short.close()
        this.#short.delete(run)
      } else if (this.#short.size > MAX_OPEN) short.close()
    }
  }

  /** One at a time: a long one goes on with the next call. */
  #inBackground(run: string, path: string): RunHistory {
    if (this.#background?.run === run) return this.#background
    this.#background?.close()
    this.#background = new RunHistory(run, path, this.#options, { isShort: true })
    return this.#background
  }

  #forget(run: string): void {
    this.#shut(run)
    const { path = '' } = this.#known.get(run) ?? {}
    if (this.#runOf.get(path) === run) this.#runOf.delete(path)
    this.#known.delete(run)
  }

  #shut(run: string): void {
    if (this.#background?.run === run) {
      this.#background.close()
      this.#background = null
    }
    for (const histories of [this.#open, this.#short]) {
      histories.get(run)?.close()
      histories.delete(run)
    }
  }
}

/** SQLite's codes for a file that holds nonsense, and for one that is no database. */
const SQLITE_DAMAGE: ReadonlySet<number | undefined> = new Set([11, 26])

const isDamage = (error: unknown): boolean =>
  error instanceof DamagedJournal || SQLITE_DAMAGE.has((error as { errcode?: number }).errcode)

function shownOf(history: RunHistory, upTo: number): Shown {
  const series = history.series()
  const least = (values: number[]): number | null =>
    values.length === 0 ? null : values.reduce((a, b) => Math.min(a, b))
  const greatest = (values: number[]): number | null =>
    values.length === 0 ? null : values.reduce((a, b) => Math.max(a, b))
  return {
    upTo,
    firstStep: least(series.map(({ first }) => first.step)),
    lastStep: greatest(series.map(({ last }) => last.step)),
    lastTime: greatest(series.map(({ last }) => last.time)),
    highlights: highlightsOf(series),
  }
}

/** Changes with every commit: size and time of the file and of its log. */
function markOf(path: string): string {
  return filesOf(path)
    .slice(0, 2)
    .map((file) => {
      const stat = statSync(file, { throwIfNoEntry: false, bigint: true })
      return stat === undefined ? '-' : `${stat.size}:${stat.mtimeNs}:${stat.ino}`
    })
    .join(' ')
}

const inodeOf = (mark: string): string => mark.split(' ')[0]!.split(':')[2] ?? ''

/** A state directory, or the one that a single journal lies in. */
export const storeOf = (path: string, settings: ReadSettings): Store =>
  basename(path).endsWith('.sqlite')
    ? new Store({ ...settings, stateDir: dirname(path), only: path })
    : new Store({ ...settings, stateDir: path })
