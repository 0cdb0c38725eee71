import type { Channel } from './channel.ts'

/** Faster than any trainer writes: 10,000 lines a second are 3 of these. A file that is poured into a pipe comes with 200. */
const BYTES_PER_MS = 16_000

/** How much of the pool may be in use before it matters how fast the input comes. */
const FREE_SHARE = 0.5

/**
 * Reads no more than 16 MB a second while half of the channel's pool is in use, so that whoever pours a whole log into a
 * pipe waits for the journal instead of losing points. A trainer does not write that fast, and never waits for it.
 */
export class Pace {
  readonly #channel: Channel
  readonly #now: () => number
  /** When what has been read is due, in ms of `now`. */
  #due = 0
  #timer: NodeJS.Timeout | null = null

  constructor(channel: Channel, now: () => number = () => performance.now()) {
    this.#channel = channel
    this.#now = now
  }

  /** So many bytes have been read. */
  read(bytes: number): void {
    if (this.#channel.used < FREE_SHARE) this.#due = 0
    else this.#due = Math.max(this.#due, this.#now()) + bytes / BYTES_PER_MS
  }

  /** Milliseconds to wait before more is read. */
  get wait(): number {
    return this.#channel.isClosed ? 0 : Math.max(0, this.#due - this.#now())
  }

  /** Whether so little is due that it is not worth a timer. */
  get isFree(): boolean {
    return this.wait < 1
  }

  /** Calls `then` once, when more may be read; asked again before that, still once. */
  whenFree(then: () => void): void {
    if (this.#timer !== null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      then()
    }, this.wait)
  }
}
