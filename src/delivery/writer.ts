import type { RunMessage } from '../channel/messages.ts'
import type { RunJournal } from '../journal/journal.ts'
import type { Clock } from './clock.ts'

/** A commit that failed (a full disk) is tried again after this long. */
export const COMMIT_RETRY_MS = 1000
/** What a journal in memory may hold, when there is no directory to write to. */
export const MEMORY_JOURNAL_BYTES = 64 << 20

export type JournalMessage = Exclude<RunMessage, { kind: 'run' | 'leave' }>

/** Writes what is said of a run to its journal; what the disk cannot take goes into memory, and back when it can. */
export class JournalWriter {
  readonly journal: RunJournal
  readonly #clock: Clock
  readonly #say: (text: string) => void
  #triedDiskAt = 0

  constructor(journal: RunJournal, clock: Clock, say: (text: string) => void) {
    this.journal = journal
    this.#clock = clock
    this.#say = say
  }

  /** What is committed survives us. */
  get isDurable(): boolean {
    return !this.journal.isOverflowing && !this.journal.isInMemory
  }

  store(message: JournalMessage): void {
    const { journal } = this
    switch (message.kind) {
      case 'points':
        return journal.addPoints(message.buffer, message.count, message.counts)
      case 'series':
        return journal.addSeries(message.id, message.key)
      case 'counts':
        return journal.addCounts(message.counts)
      case 'head':
        return journal.addHead(message.id, message.resource, message.scope)
      case 'spans':
        return journal.addSpans(message.spans)
      case 'waiting':
        return journal.addWaiting(message.rows)
      case 'settled':
        return journal.settle(message.ids)
      case 'params':
        return journal.addParams(message.params)
      case 'example':
        return journal.addExample(message.reason, message.line)
      default:
        return journal.setEnd(message.status, message.time)
    }
  }

  /** Writes what waits, and gives back the buffers of the points. `isLast`: the disk is tried whenever it was tried last. */
  commit(isLast: boolean): ArrayBuffer[] {
    if (this.journal.isOverflowing) this.#tryDisk(isLast)
    if (!this.journal.isDirty) return []
    try {
      return this.journal.commit(this.#clock.date())
    } catch (error) {
      this.overflow(error as Error)
      return this.journal.commit(this.#clock.date())
    }
  }

  /** The disk cannot take what must be written: from now on memory does. */
  overflow({ message }: Error): void {
    const { path } = this.journal
    const words = /malformed|not a database/.test(message)
      ? `is damaged (${message}): has somebody written into it, or is the disk failing? What comes now is kept in memory, up to 64 MB of points`
      : `cannot be written (${message}); up to 64 MB of points are kept in memory meanwhile, and senders of OTLP are told to come again. Is the disk full? It is tried again each second.`
    this.#say(`the journal ${path} ${words}`)
    this.journal.overflow(MEMORY_JOURNAL_BYTES)
    this.#triedDiskAt = this.#clock.now()
  }

  #tryDisk(isLast: boolean): void {
    if (!isLast && this.#clock.now() - this.#triedDiskAt < COMMIT_RETRY_MS) return
    this.#triedDiskAt = this.#clock.now()
    try {
      this.journal.drainOverflow()
      this.#say(`the journal ${this.journal.path} can be written again; what memory held is in it`)
    } catch {
      // Said once when it began; it is tried again.
    }
  }
}
