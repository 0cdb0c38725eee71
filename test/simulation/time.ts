import type { Clock } from '../../src/delivery/clock.ts'
import type { Random } from './random.ts'

/** A process that is simulated; nothing happens in it any more once it is dead. */
export interface Life {
  alive: boolean
}

interface Event {
  at: number
  /** Decides between events of the same moment. */
  order: number
  life: Life | null
  run: () => void
}

/** UTC ms at the beginning. */
const EPOCH = 1_790_000_000_000

// oxlint-disable typescript/unbound-method -- what is put back in its place needs no `this`
const real = {
  setImmediate,
  setTimeout,
  clearTimeout,
  clearImmediate,
  random: Math.random,
  date: Date.now,
  now: performance.now,
  timeout: AbortSignal.timeout,
  any: AbortSignal.any,
}

/** Resolves when nothing is left to do at this moment: all promises, and what Node has put off to the next turn. */
const settled = (): Promise<void> => new Promise((resolve) => real.setImmediate(resolve))

/**
 * Virtual time: events in the order of their moments, those of one moment in an order that the seed decides. While it
 * is installed, the timers, clocks and random numbers of this process are those of the simulation.
 */
export class Time {
  now = 0
  /** How far the wall clock is off. */
  offset = 0
  /** The process whose code runs. */
  life: Life | null = null
  /** Hears of every event before it runs. */
  onEvent: () => void = () => {}
  readonly #random: Random
  readonly #heap: Event[] = []

  constructor(random: Random) {
    this.#random = random
  }

  get waiting(): number {
    return this.#heap.length
  }

  date(): number {
    return EPOCH + Math.round(this.now) + this.offset
  }

  /** Runs `run` after `ms`; the result takes it back. `life` null: outside of all processes. */
  after(ms: number, run: () => void, life: Life | null = this.life): () => void {
    const event = { at: this.now + Math.max(0, ms), order: this.#random.next(), life, run }
    push(this.#heap, event)
    return () => (event.run = nothing)
  }

  clockOf(life: Life): Clock {
    return {
      now: () => this.now,
      date: () => this.date(),
      after: (ms, then) => this.after(timerMs(ms), then, life),
    }
  }

  /** Runs what is due until `until` holds, or time has come to `limit`. @returns whether `until` holds */
  async run(until: () => boolean, limit: number): Promise<boolean> {
    while (!until()) {
      const event = pop(this.#heap)
      if (event === undefined) return until()
      if (event.run === nothing || event.life?.alive === false) continue
      if (event.at > limit) {
        push(this.#heap, event)
        this.now = Math.max(this.now, limit)
        return until()
      }
      this.now = Math.max(this.now, event.at)
      await this.enter(event.life, () => {
        this.onEvent()
        event.run()
      })
    }
    return true
  }

  /** Runs code of a process with all that follows from it at once. */
  async enter(life: Life | null, code: () => void): Promise<void> {
    this.life = life
    try {
      if (life?.alive !== false) code()
    } catch (error) {
      // Whatever the dying code says of it.
      if (life?.alive !== false) throw error
    }
    await settled()
    this.life = null
  }

  install(): void {
    const after = (run: (...values: unknown[]) => void, ms = 0, ...values: unknown[]): object => {
      const cancel = this.after(timerMs(ms), () => run(...values))
      const timer = { cancel, ref: () => timer, unref: () => timer, hasRef: () => true }
      return timer
    }
    const cancel = (timer: { cancel?: () => void } | undefined): void => timer?.cancel?.()
    Object.assign(globalThis, {
      setTimeout: after,
      clearTimeout: cancel,
      setImmediate: (run: () => void, ...values: unknown[]) => after(run, 0, ...values),
      clearImmediate: cancel,
    })
    Math.random = this.#random.next
    Date.now = () => this.date()
    performance.now = () => this.now
    AbortSignal.timeout = (ms) => {
      const controller = new AbortController()
      this.after(ms, () => controller.abort(new DOMException('timed out', 'TimeoutError')))
      return controller.signal
    }
    // Node keeps its own as long as somebody listens, which those do for ever whose process has died.
    AbortSignal.any = (signals) => {
      const controller = new AbortController()
      const pass = (reason: unknown): void => controller.abort(reason)
      for (const signal of signals) {
        if (signal.aborted) pass(signal.reason)
        signal.addEventListener('abort', () => pass(signal.reason), { once: true })
      }
      return controller.signal
    }
  }

  uninstall(): void {
    const { setTimeout, clearTimeout, setImmediate, clearImmediate } = real
    Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate, clearImmediate })
    Math.random = real.random
    Date.now = real.date
    performance.now = real.now
    AbortSignal.timeout = real.timeout
    AbortSignal.any = real.any
  }
}

/** What code of a process meets where the process dies. */
export class Crash extends Error {
  constructor() {
    super('the process has died')
  }
}

const nothing = (): void => {}

/** What Node makes of a timer's time: whole milliseconds, one at least. */
const timerMs = (ms: number): number => Math.max(1, Math.trunc(ms))

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

function push(heap: Event[], event: Event): void {
  let at = heap.length
  heap.push(event)
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(event, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = event
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (first === undefined || last === undefined || heap.length === 0) return first
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
    if (!isBefore(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
  return first
}
