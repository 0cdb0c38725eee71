import pRetry from 'p-retry'
import type { Clock } from './clock.ts'

/** The first pause; each next one is twice as long, and jitter makes every one up to twice as long. */
const FIRST_PAUSE_MS = 200
/** A server that asks for more patience than this gets it from the suspension instead. */
const LONGEST_RETRY_AFTER_MS = 60_000

/** What an attempt came to; `retry` and `unanswered` are worth another one. */
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

export interface AttemptsOptions<T> {
  tries: number
  clock: Clock
  cut: AbortSignal
  /** Hears of every attempt that failed, at once. */
  onFailed: (outcome: T) => void
}

/**
 * Tries up to `tries` times, with pauses of 200 and 400 ms and jitter, or as `Retry-After` asks. `cut` ends pauses at
 * once. Never throws: a throw of `once` is a bug and counts as an attempt that failed.
 */
export async function attempts<T extends Outcome>(
  once: () => Promise<T>,
  { tries, clock, cut, onFailed }: AttemptsOptions<T>,
): Promise<T | { kind: 'retry'; error: Error }> {
  try {
    return await pRetry(
      async () => {
        const outcome = await once()
        if (outcome.kind === 'retry' || outcome.kind === 'unanswered') throw new Failed(outcome)
        return outcome
      },
      {
        retries: tries - 1,
        minTimeout: FIRST_PAUSE_MS,
        factor: 2,
        randomize: true,
        signal: cut,
        shouldRetry: ({ error }) => error instanceof Failed && (error.outcome.afterMs ?? 0) <= LONGEST_RETRY_AFTER_MS,
        onFailedAttempt: async ({ error, retriesLeft, retryDelay }) => {
          if (error instanceof Failed) onFailed(error.outcome as T)
          const wanted = error instanceof Failed ? (error.outcome.afterMs ?? 0) : 0
          if (retriesLeft > 0 && wanted > retryDelay && wanted <= LONGEST_RETRY_AFTER_MS) {
            await pause(wanted - retryDelay, clock, cut)
          }
        },
      },
    )
  } catch (error) {
    if (error instanceof Failed) return error.outcome as T
    return { kind: 'retry', error: error instanceof Error ? error : new Error(String(error)) }
  }
}

/** One call of an exporter under a time-out, from connecting to the last byte. A throw is turned into `retry`. */
export async function attempt<T extends Outcome>(
  call: (abort: AbortSignal) => Promise<T>,
  timeoutMs: number,
  clock: Clock,
  cut: AbortSignal,
): Promise<T | { kind: 'retry'; error: Error }> {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  // When our own thread was blocked, the answer may be in and not read yet: the loop polls once before we give up.
  const cancel = clock.after(timeoutMs, () => setImmediate(abort))
  cut.addEventListener('abort', abort, { once: true })
  if (cut.aborted) abort()
  try {
    return await call(controller.signal)
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
