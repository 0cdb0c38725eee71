import type { Clock } from '../../src/delivery/clock.ts'

/** Resolves when nothing is left to do at this moment. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A clock that stands still until it is turned; what is due then runs in order, each with all that follows from it. */
export class ManualClock implements Clock {
  #now = 0
  #events: { at: number; run: () => void }[] = []
  /** UTC ms at the beginning. */
  static readonly EPOCH = 1_790_000_000_000

  now(): number {
    return this.#now
  }

  date(): number {
    return ManualClock.EPOCH + this.#now
  }

  after(ms: number, run: () => void): () => void {
    const event = { at: this.#now + ms, run }
    this.#events.push(event)
    return () => (this.#events = this.#events.filter((other) => other !== event))
  }

  /** How many are waiting for their time. */
  get waiting(): number {
    return this.#events.length
  }

  async turn(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settled()
      const next = this.#events.reduce<number>((earliest, { at }) => Math.min(earliest, at), Infinity)
      if (next > end) break
      const at = this.#events.findIndex((event) => event.at === next)
      const [event] = this.#events.splice(at, 1)
      this.#now = Math.max(this.#now, next)
      event!.run()
    }
    this.#now = end
  }
}
