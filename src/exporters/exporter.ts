import type { EndStatus } from '../channel/messages.ts'

/** Points of one run for one request, as columns; `first` is the sequence number of the first. */
export interface PointBatch {
  readonly kind: 'points'
  readonly first: number
  readonly count: number
  readonly value: Float64Array
  readonly step: Float64Array
  /** UTC milliseconds. */
  readonly time: Float64Array
  readonly series: Uint32Array
  /** The metric key of a series. */
  readonly keyOf: (series: number) => string
}

/** Params or tags of one run for one request, no name twice. */
export interface TextBatch {
  readonly kind: 'params' | 'tags'
  readonly first: number
  readonly count: number
  readonly entries: readonly (readonly [name: string, value: string])[]
}

export type Batch = PointBatch | TextBatch
export type BatchKind = Batch['kind']

/** What became of a request. `error.message` names the hop, the cause and the way out: users read it. */
export type SendResult =
  | { kind: 'ok' }
  /** Not stored; the same may go well later, not before `afterMs`. */
  | { kind: 'retry'; error: Error; afterMs?: number }
  /** Sent, and no answer came: it may be stored or not. */
  | { kind: 'unanswered'; error: Error }
  /** Refused: the same would be refused again. */
  | { kind: 'drop'; error: Error }

/** A run as a tracker needs to know it. */
export interface RunToOpen {
  /** ULID, the idempotency tag. */
  readonly run: string
  readonly name: string
  readonly startedAt: number
  readonly source: string
  readonly command: readonly string[]
  readonly directory: string
  readonly tags: readonly (readonly [name: string, value: string])[]
  /** The tracker's run as an earlier process knew it. */
  readonly knownId: string | null
  /** An earlier attempt may have made the run without our learning its id. */
  readonly mayExist: boolean
}

/** `made`: by us, now or earlier; such a run is also ended by us. `page`: where a person looks at it. */
export type OpenResult =
  | { kind: 'ok'; runId: string; made: boolean; page: string }
  | Exclude<SendResult, { kind: 'ok' }>

/**
 * Encodes a batch for one backend and sends it, and nothing else: queues, retries, time-outs and counts are in
 * `src/delivery`. Every call settles soon after `abort` fires and resolves with what happened; a throw is a bug.
 */
export interface Exporter {
  readonly name: string
  /** What is shown of the destination; no secrets. */
  readonly address: string
  /** Kinds it takes, with the most items of one request. */
  readonly accepts: Readonly<Partial<Record<BatchKind, number>>>
  /** Finds or makes the tracker's run; until it has, nothing is sent. */
  openRun(run: RunToOpen, abort: AbortSignal): Promise<OpenResult>
  /** An empty batch asks whether the run takes anything at all. */
  send(runId: string, batch: Batch, abort: AbortSignal): Promise<SendResult>
  closeRun(
    runId: string,
    end: { status: EndStatus; time: number; made: boolean },
    abort: AbortSignal,
  ): Promise<SendResult>
  close(): Promise<void>
}
