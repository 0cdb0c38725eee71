import type { Batch, Confirmation, Exporter, PointBatch, SendResult } from '../exporters/exporter.ts'
import { attempt, attempts } from './attempts.ts'
import type { Clock } from './clock.ts'

/** Tries of one flush before its destination is suspended; while it is, one at a time. */
const TRIES = 3
/** From connecting to the last byte of the answer. */
const ATTEMPT_TIMEOUT_MS = 3000
/** For what costs the server nothing to keep waiting: a read that asks, a piece that may be there already. */
const LONG_TIMEOUT_MS = 30_000

/**
 * What is not known of the batch under way: nothing, whether it is stored, that and nobody can be asked, or that and
 * sending it once more does no harm (spans have ids).
 */
export type Doubt = 'none' | 'ask' | 'pieces' | 'resend'

export interface SenderOptions {
  exporter: Exporter
  clock: Clock
  cut: AbortSignal
  /** Hears of every attempt that failed, at once. */
  onFailed: (failure: { kind: string; error?: Error }) => void
  /** Whether a batch is stored whole or not at all, so that one point tells. */
  isWhole: boolean
  /** Highest delivered step of a series, by the destination's name of its key. */
  heightOf: (key: string) => number
  /** That many items, which may be stored, are sent once more. */
  onResent: (count: number) => void
}

/**
 * Sends batches of one run, one at a time. A batch whose answer was lost may be stored, and sending it again costs a
 * large run seconds: the destination is asked first, and only what it does not have goes again.
 */
export class Sender {
  readonly #options: SenderOptions
  #doubt: Doubt = 'none'
  #doubtEnd = 0
  /** Where the batch ends that goes in pieces. */
  #piecesEnd = 0

  constructor(options: SenderOptions) {
    this.#options = options
  }

  get doubt(): Doubt {
    return this.#doubt
  }

  /** Sequence number up to which something may be stored, while there is a doubt. */
  get doubtEnd(): number {
    return this.#doubtEnd
  }

  /** What follows, up to `end`, may be stored already. */
  doubtUpTo(doubt: Doubt, end: number): void {
    this.#doubt = doubt
    this.#doubtEnd = end
  }

  /** Everything up to `position` is known. */
  passed(position: number): void {
    if (position >= this.#doubtEnd) this.#doubt = 'none'
    // What follows a batch that could not be asked for may well be.
    else if (this.#doubt === 'pieces' && position >= this.#piecesEnd && this.#options.exporter.confirm !== undefined)
      this.#doubt = 'ask'
  }

  /**
   * Sends a batch that ends at `end` (with what was left out of it) with up to three attempts, or one where `isProbe`.
   * `'pieces'`: it has to go in pieces, see `sendPiece`.
   */
  async send(runId: string, batch: Batch, end: number, isProbe: boolean): Promise<SendResult | { kind: 'pieces' }> {
    const { clock, cut, exporter, onFailed, onResent } = this.#options
    // An empty batch, params and tags are repeated without harm.
    const isDoubtful = batch.kind === 'points' && batch.count > 0
    const timeoutMs = exporter.timeoutMs ?? ATTEMPT_TIMEOUT_MS
    const result = await attempts<SendResult | { kind: 'pieces' }>(
      async () => {
        if (this.#doubt === 'ask' && isDoubtful) {
          const known = await this.#ask(runId, batch, isProbe)
          // Those that were to follow it may be stored as well.
          if (known.kind === 'stored') return { kind: 'ok' }
          if (known.kind === 'unknown') return { kind: 'pieces' }
          if (known.kind !== 'missing') return known
          // They go one after the other: where one is missing, none has followed.
          this.#doubt = 'none'
        }
        const isSpans = batch.kind === 'spans' && batch.count > 0
        if (isSpans && this.#doubt === 'resend') onResent(batch.count)
        const result = await attempt((abort) => exporter.send(runId, batch, abort), timeoutMs, clock, cut)
        if (isSpans) this.doubtUpTo(result.kind === 'unanswered' ? 'resend' : 'none', end)
        if (result.kind === 'unanswered' && isDoubtful) {
          if (exporter.confirm === undefined) return { kind: 'pieces' }
          this.doubtUpTo('ask', end)
        }
        return result
      },
      { tries: isProbe ? 1 : TRIES, clock, cut, onFailed },
    )
    if (isDoubtful && result.kind === 'pieces') {
      this.#piecesEnd = end
      this.doubtUpTo('pieces', Math.max(end, this.#doubt === 'none' ? 0 : this.#doubtEnd))
    }
    return result
  }

  /** Sends a few points that may be stored already, with the patience that costs a large run. */
  async sendPiece(runId: string, piece: Batch, isProbe: boolean): Promise<SendResult> {
    const { clock, cut, exporter, onFailed } = this.#options
    const once = (): Promise<SendResult> =>
      attempt((abort) => exporter.send(runId, piece, abort), LONG_TIMEOUT_MS, clock, cut)
    return attempts(once, { tries: isProbe ? 1 : TRIES, clock, cut, onFailed })
  }

  /** While a destination is suspended the question is its probe, and stays open until a server that hangs goes on. */
  async #ask(runId: string, batch: PointBatch, isProbe: boolean): Promise<Confirmation> {
    const { clock, cut, exporter, heightOf, isWhole } = this.#options
    if (!isWhole) return { kind: 'unknown' }
    const height = (series: number): number => heightOf(exporter.keyAt?.(batch.keyOf(series)) ?? batch.keyOf(series))
    const timeout = isProbe ? LONG_TIMEOUT_MS : ATTEMPT_TIMEOUT_MS
    return attempt((abort) => exporter.confirm!(runId, batch, height, abort), timeout, clock, cut)
  }
}
