import type { RunMessage } from '../channel/messages.ts'
import type { RunJournal } from '../journal/journal.ts'
import type { Clock } from './clock.ts'

/** A commit that failed (a full disk) is tried again after this long. */
export const COMMIT_RETRY_MS = 1000
/** What a journal in memory may hold, when there is no directory to write to. */
export const MEMORY_JOURNAL_BYTES = 64 << 20

/** How often it is looked whether a journal has reached its limit, ... */
const LOOK_MS = 1000
/** ... what is dropped then, as a share of it, ... */
const DROP_SHARE = 0.02
/** ... and at most: to drop more at once would take longer than a commit may. */
const MAX_DROP_BYTES = 16 << 20

export interface WriterOptions {
  journal: RunJournal
  clock: Clock
  say: (text: string) => void
  /** Size at which the oldest rows are dropped; null: there is none. */
  maxBytes: number | null
}

export type JournalMessage = Exclude<RunMessage, { kind: 'run' | 'leave' }>

/** Writes what is said of a run to its journal; what the disk cannot take goes into memory, and back when it can. */
export class JournalWriter {
  readonly journal: RunJournal
  readonly #clock: Clock
  readonly #say: (text: string) => void
  readonly #maxBytes: number | null
  #triedDiskAt = 0
  #lookedAt = Number.NEGATIVE_INFINITY
  #isLimitSaid = false

  constructor({ journal, clock, say, maxBytes }: WriterOptions) {
    this.journal = journal
    this.#clock = clock
    this.#say = say
    this.#maxBytes = maxBytes
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
      case 'events':
        return journal.addEvents(message.events)
      case 'params':
        return journal.addParams(message.params)
      case 'example':
        return journal.addExample(message.reason, message.line)
      case 'marks':
        return journal.addMarks(message.marks)
      default:
        return journal.setEnd(message.status, message.time)
    }
  }

  /** Writes what waits, and gives back the buffers of the points. `isLast`: the disk is tried whenever it was tried last. */
  commit(isLast: boolean): ArrayBuffer[] {
    if (this.journal.isOverflowing) this.#tryDisk(isLast)
    if (!this.journal.isDirty) return []
    const buffers = this.#write()
    try {
      this.#keepWithin()
    } catch {
      // What cannot be dropped now (a full disk) is tried again; whether the disk takes points, the next commit tells.
    }
    return buffers
  }

  #write(): ArrayBuffer[] {
    try {
      return this.journal.commit(this.#clock.date())
    } catch (error) {
      this.overflow(error as Error)
      return this.journal.commit(this.#clock.date())
    }
  }

  /** At its limit a journal drops its oldest rows: those that are delivered, for delivery goes in order, and then others. */
  #keepWithin(): void {
    const max = this.#maxBytes
    const now = this.#clock.now()
    if (max === null || this.journal.isInMemory || this.journal.isOverflowing || now - this.#lookedAt < LOOK_MS) return
    const over = this.journal.usedBytes - max
    // What comes may be more than what is dropped at a time: then it is looked at with the next commit.
    if (over <= MAX_DROP_BYTES) this.#lookedAt = now
    if (over <= 0) return
    this.journal.drop(Math.min(MAX_DROP_BYTES, over + max * DROP_SHARE))
    if (!this.#isLimitSaid)
      this.#say(
        `the journal ${this.journal.path} has reached journal.maxRunBytes (${(max / 1e6).toLocaleString('en-US')} MB): its oldest points and spans are dropped from now on; those that are delivered are no loss`,
      )
    this.#isLimitSaid = true
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
