import type { FromDelivery } from '../channel/messages.ts'
import type { Clock } from './clock.ts'
import type { DeliveredRun } from './run.ts'
import { COMMIT_RETRY_MS, type JournalWriter } from './writer.ts'

/** A group commit is due this long after the first thing that waits for it, ... */
const COMMIT_MS = 50
/** ... or at once when this much waits. */
const COMMIT_BYTES = 4 << 20

/** A run that is written; null while it is being opened. */
export interface WrittenRun {
  writer: JournalWriter | null
  run: DeliveredRun | null
}

export interface GroupCommitOptions {
  clock: Clock
  /** All runs that are written, by their numbers. */
  runs: ReadonlyMap<number, WrittenRun>
  post: (message: FromDelivery, transfer?: ArrayBuffer[]) => void
}

/** Commits what waits of all runs together, soon after it came, and answers those who want to know of it. */
export class GroupCommit {
  readonly #options: GroupCommitOptions
  #cancel: (() => void) | null = null
  /** The same of the next look at a disk that could not take what came. */
  #cancelRetry: (() => void) | null = null
  /** What comes is committed together or not at all: no commit before all of it is here. */
  #isWhole = false
  /** Those who want to hear of the next commit. */
  #barriers: { id: number; runs: readonly number[] }[] = []

  constructor(options: GroupCommitOptions) {
    this.#options = options
  }

  /** What comes until `complete` belongs together. */
  begin(): void {
    this.#isWhole = true
  }

  complete(): void {
    this.#isWhole = false
    this.#schedule()
  }

  /** Answers once everything that came before is committed. */
  barrier(barrier: { id: number; runs: readonly number[] }): void {
    this.#barriers.push(barrier)
    this.#schedule()
  }

  /** Something has come of a run. */
  stored({ journal }: JournalWriter): void {
    if (journal.pendingBytes >= COMMIT_BYTES && !this.#isWhole) this.commit()
    else this.#schedule()
  }

  #schedule(): void {
    this.#cancel ??= this.#options.clock.after(COMMIT_MS, () => this.commit())
  }

  /** Writes what waits, of all runs; `isLast`: no other commit follows. */
  commit(isLast = false): void {
    this.#cancel?.()
    this.#cancelRetry?.()
    this.#cancel = this.#cancelRetry = null
    // The rest is on the port already.
    if (this.#isWhole && !isLast) {
      this.#schedule()
      return
    }
    const { runs, post, clock } = this.#options
    for (const { writer, run } of runs.values()) {
      if (writer === null || run === null || !(writer.journal.isDirty || writer.journal.isOverflowing)) continue
      const buffers = writer.commit(isLast)
      if (buffers.length > 0) post({ kind: 'empty', buffers }, buffers)
      run.wake()
    }
    this.#passBarriers()
    if (isLast) return
    if ([...runs.values()].some(({ writer }) => writer?.journal.isOverflowing === true))
      this.#cancelRetry = clock.after(COMMIT_RETRY_MS, () => this.commit())
  }

  /** Everything that came before is committed, but for what waits for its run to be opened. */
  #passBarriers(): void {
    const { runs, post } = this.#options
    if ([...runs.values()].some(({ writer }) => writer === null)) {
      if (this.#barriers.length > 0) this.#schedule()
      return
    }
    for (const { id, runs: numbers } of this.#barriers.splice(0)) {
      const durable = numbers.every((number) => runs.get(number)?.writer?.isDurable ?? true)
      post({ kind: 'committed', id, durable })
    }
  }
}
