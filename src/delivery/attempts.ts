import pRetry from 'p-retry'
import type { Clock } from './clock.ts'

/** Tries of one flush before its destination is suspended. */
const ATTEMPTS = 3
/** The first pause; each next one is twice as long, and jitter makes every one up to twice as long. */
const FIRST_PAUSE_MS = 200
/** A server that asks for more patience than this gets it from the suspension instead. */
const LONGEST_RETRY_AFTER_MS = 60_000

/** From connecting to the last byte of the answer. */
export const ATTEMPT_TIMEOUT_MS = 3000

/** What an attempt came to; `ok` and `drop` are answers, the others are worth another try. */
interface Outcome {
  kind: string
  error?: Error
  afterMs?: number
}

class Failed extends Error {
  readonly outcome: Outcome
  constructor(outcome: Outcome) {
    super(outcome.error?.message ?? outcome.kind)
    this.outcome = outcome
  }
}

/**
 * Tries up to three times, with pauses of 200 and 400 ms and jitter, or as `Retry-After` asks. A throw of `send` is a
 * bug of the exporter: it counts as an attempt that failed. `cut` ends pauses and attempts at once.
 */
export async function attempts<T extends Outcome>(
  send: (abort: AbortSignal) => Promise<T>,
  clock: Clock,
  cut: AbortSignal,
): Promise<T | { kind: 'retry'; error: Error }> {
  try {
    return await pRetry(
      async () => {
        const outcome = await attempt(send, ATTEMPT_TIMEOUT_MS, clock, cut)
        if (outcome.kind === 'retry' || outcome.kind === 'unanswered') throw new Failed(outcome)
        return outcome
      },
      {
        retries: ATTEMPTS - 1,
        minTimeout: FIRST_PAUSE_MS,
        factor: 2,
        randomize: true,
        signal: cut,
        shouldRetry: ({ error }) => error instanceof Failed && (error.outcome.afterMs ?? 0) <= LONGEST_RETRY_AFTER_MS,
        onFailedAttempt: async ({ error, retriesLeft, retryDelay }) => {
          const wanted = error instanceof Failed ? (error.outcome.afterMs ?? 0) : 0
          if (retriesLeft > 0 && wanted > retryDelay && wanted <= LONGEST_RETRY_AFTER_MS)
            await pause(wanted - retryDelay, clock, cut)
        },
      },
    )
  } catch (error) {
    if (error instanceof Failed) return error.outcome as T
    return { kind: 'retry', error: error instanceof Error ? error : new Error(String(error)) }
  }
}

/** One attempt under a time-out. A throw of `send` is turned into `retry`. */
export async function attempt<T extends Outcome>(
  send: (abort: AbortSignal) => Promise<T>,
  timeoutMs: number,
  clock: Clock,
  cut: AbortSignal,
): Promise<T | { kind: 'retry'; error: Error }> {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  // When our own thread was blocked, the answer may be in and not read yet: the loop polls once before we give up.
  const cancel = clock.after(timeoutMs, () => setImmediate(abort))
  cut.addEventListener('abort', abort, { once: true })
  try {
    return await send(controller.signal)
  } catch (error) {
    return { kind: 'retry', error: new Error(`a fault in the exporter: ${(error as Error).message}`, { cause: error }) }
  } finally {
    cancel()
    cut.removeEventListener('abort', abort)
  }
}

/** Waits, unless `cut` fires before. */
export const pause = (ms: number, clock: Clock, cut: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      cancel()
      cut.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(ms, end)
    if (cut.aborted) end()
    else cut.addEventListener('abort', end, { once: true })
  })
