/** Time as the delivery sees it, so that tests can turn it. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** UTC milliseconds. */
  date(): number
  /** Calls `then` after `ms`; the result takes it back. */
  after(ms: number, then: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  },
}
