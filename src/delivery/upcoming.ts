import type { Batch, BatchKind, Exporter } from '../exporters/exporter.ts'
import type { RunJournal } from '../journal/journal.ts'
import type { Cursor } from './account.ts'
import { nextBatch, untilNaN } from './batches.ts'
import type { Progress, UnderWay } from './progress.ts'
import type { Sender } from './sender.ts'

/** Most batches of a backlog that are noted, and their delivery too, with one commit; after a crash each may have to be asked for. */
const MOST_NOTED = 16

/** How many of `waiting` items are noted together: some whole batches, or one that is not full. */
export function notedOf(waiting: number, exporter: Exporter, kind: BatchKind): number {
  const size = exporter.accepts[kind]!
  const most = Math.min(waiting, (exporter.confirm === undefined ? 1 : MOST_NOTED) * size)
  return most > size ? most - (most % size) : most
}

/**
 * Items of the next batch where `begun` more are noted: counted from their end, batches are whole, so that after a crash
 * the same ones are cut wherever the cursor stands.
 */
const cutOf = (begun: number, size: number): number => (begun > 0 ? ((begun - 1) % size) + 1 : size)

export interface UpcomingOptions {
  journal: RunJournal
  exporter: Exporter
  sender: Sender
}

/** Cuts batches off what waits: those that were noted as they were noted, the others as large as the destination takes. */
export class Upcoming {
  readonly #journal: RunJournal
  readonly #exporter: Exporter
  readonly #sender: Sender
  /** The batch that will go next, read and encoded already. */
  #ahead: Batch | null = null
  /** NaNs go alone. */
  splitsNaN = false

  constructor({ journal, exporter, sender }: UpcomingOptions) {
    this.#journal = journal
    this.#exporter = exporter
    this.#sender = sender
  }

  /** The batch of a kind that was begun, or the next one; null: there is none. */
  next(progress: Progress, kind: BatchKind, cursor: Cursor): Batch | null {
    const isInDoubt = kind === progress.main && this.#sender.doubt !== 'none'
    const begun = (isInDoubt ? this.#sender.doubtEnd : cursor.sending) - cursor.position
    const limit = cutOf(begun, this.#exporter.accepts[kind]!)
    const ahead = this.#ahead
    if (ahead?.kind === kind && ahead.first === cursor.position + 1 && ahead.count === limit) return ahead
    const batch = nextBatch(this.#journal, kind, cursor.position, limit)
    return batch?.kind === 'points' && this.splitsNaN && begun <= 0 ? untilNaN(batch) : batch
  }

  /** Where the batch of the main kind ends that was begun. */
  endOfBegun({ cursors, main }: Progress): number {
    const { position, sending } = cursors.get(main)!
    return position + cutOf(sending - position, this.#exporter.accepts[main]!)
  }

  /** Reads and encodes the batch that will follow the one under way, while the answer to that is awaited. */
  lookAhead(runId: string, { main, cursors }: Progress, { end, isPart }: UnderWay): void {
    const { sending } = cursors.get(main)!
    if (isPart === true || end >= sending || this.#exporter.prepare === undefined) return
    try {
      this.#ahead = nextBatch(this.#journal, main, end, cutOf(sending - end, this.#exporter.accepts[main]!))
      if (this.#ahead !== null) this.#exporter.prepare(runId, this.#ahead)
    } catch {
      // Whatever is wrong there is told when its turn comes.
    }
  }

  /** What is encoded is for another run. */
  forget(): void {
    this.#ahead = null
  }
}
