import { attempts } from '../delivery/attempts.ts'
import { systemClock } from '../delivery/clock.ts'
import type { Failure, ReadResult } from '../exporters/exporter.ts'

const TRIES = 3

/** A page of a large run takes a busy server seconds. */
const READ_TIMEOUT_MS = 60_000

/** A tracker that does not say what it holds. Users read the message. */
export class NotRead extends Error {
  /** There is no run of that id. */
  readonly noSuchRun: boolean

  constructor(failure: Failure) {
    super(failure.error.message)
    this.noSuchRun = failure.kind === 'drop' && failure.noSuchRun === true
  }
}

/** What a tracker answers, after up to three tries. @throws NotRead when it does not */
export async function ask<T>(
  question: (abort: AbortSignal) => Promise<ReadResult<T>>,
  timeoutMs = READ_TIMEOUT_MS,
): Promise<T> {
  const once = (): Promise<ReadResult<T>> => question(AbortSignal.timeout(timeoutMs))
  const cut = new AbortController().signal
  const result = await attempts(once, { tries: TRIES, clock: systemClock, cut, onFailed: () => {} })
  if (result.kind === 'ok') return result.value
  throw new NotRead(result)
}
