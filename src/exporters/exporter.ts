import type { Dispatcher } from 'undici'
import type { EndStatus } from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import type { SpanBlock } from '../otlp/span-blocks.ts'
import type { Via } from '../otlp/via.ts'

/** What an exporter is made with; `dispatcher`: connections in the place of its own. */
export interface ExporterOptions {
  settings: Settings
  /** Whom spans have come through. */
  via: Via
  dispatcher?: Dispatcher
}

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
  /** Sequence number of each point, where some in between were left out. */
  readonly sequences?: Float64Array
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

/** Spans of one run for one request. */
export interface SpanBatch {
  readonly kind: 'spans'
  readonly first: number
  readonly count: number
  /** In order, with `count` spans in all. */
  readonly blocks: readonly SpanBlock[]
}

export type Batch = PointBatch | TextBatch | SpanBatch
export type BatchKind = Batch['kind']

/** Why a request did not do its work. `error.message` names the hop, the cause and the way out: users read it. */
export type Failure =
  /** Not stored; the same may go well later, not before `afterMs`. `absent`: nobody listens there. */
  | { kind: 'retry'; error: Error; afterMs?: number; absent?: boolean }
  /** Sent, and no answer came: it may be stored or not. `absent`: closed before a byte of an answer. */
  | { kind: 'unanswered'; error: Error; absent?: boolean }
  /**
   * Refused: the same would be refused again. `forKey`: for the name of a metric, whatever its points are. `noSuchRun`:
   * there is no run of that id.
   */
  | { kind: 'drop'; error: Error; forKey?: boolean; noSuchRun?: boolean }

/** `refused`: taken but for some that nobody can name, with the words why. */
export type SendResult = { kind: 'ok'; refused?: { rejected: number; message: string } } | Failure

/** What is known of a batch whose answer was lost; `unknown`: the backend cannot tell. */
export type Confirmation =
  | { kind: 'stored' }
  | { kind: 'missing' }
  | { kind: 'unknown' }
  | Exclude<Failure, { kind: 'drop' }>

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
  /** That run was made by us. */
  readonly knownMade: boolean
  /** The run goes on after an end that is set there already. */
  readonly reopen: boolean
  /** The run was known at another address: a tunnel on another port, or another server. */
  readonly isMoved: boolean
  /** An earlier process may have made the tracker's run without having been able to note it. */
  readonly mayExist: boolean
  /** UTC ms of an earlier request to make the run that was never answered: the run may exist. */
  readonly makingSince: number | null
  /** Notes, before it leaves, that a request to make the run is under way; null: that it came to nothing. */
  readonly making: (since: number | null) => void
  /** The run of the exporter that this one goes `after`. */
  readonly peer: PeerRun | null
  /** Where the run was to go when it began, as `Exporter.target` said then. */
  readonly target: Readonly<Record<string, string | null>>
}

/** A tracker's run that another destination belongs to. */
export interface PeerRun {
  readonly runId: string
  /** What the tracker keeps it in: the id of an experiment. */
  readonly group: string | null
}

/** What a destination held when we came, as the highest step per metric key of the tracker. */
export type Heights = ReadonlyMap<string, number>

/**
 * `made`: by us, now or earlier; such a run is also ended by us. `page`: where a person looks at it, if there is such a
 * place. `heights`: of a run that others made. `group`: what the tracker keeps it in. `splitsNaN`: a NaN must be sent alone, since the backend knows no stored NaN again.
 */
export type OpenResult =
  | {
      kind: 'ok'
      runId: string
      made: boolean
      page: string | null
      heights?: Heights
      splitsNaN?: boolean
      group?: string
    }
  | Failure

/** What a tracker answers when it is asked for what it holds. */
export type ReadResult<T> = { kind: 'ok'; value: T } | Failure

/** A run as its tracker holds it; `keys` are those of its metrics. */
export interface StoredRun {
  readonly status: string
  readonly endTime: number | null
  readonly keys: readonly string[]
  readonly params: ReadonlyMap<string, string>
  readonly tags: ReadonlyMap<string, string>
}

/** Stored points of one metric, as columns; `next` asks for the page behind them, null: there is none. */
export type StoredPage = Pick<PointBatch, 'count' | 'step' | 'time' | 'value'> & { next: string | null }

/** Reads back what a tracker holds of a run, and says what it makes of what we send. */
export interface RunReader {
  run(runId: string, abort: AbortSignal): Promise<ReadResult<StoredRun>>
  points(runId: string, key: string, page: string | null, abort: AbortSignal): Promise<ReadResult<StoredPage>>
  /** A value, a param or a tag as it is kept there. */
  kept(value: number): number
  keptText(kind: TextBatch['kind'], name: string, value: string): readonly [name: string, value: string]
  /** Tags that the exporter adds to a run (its ULID) with points of these metric keys. */
  ownTags(run: string, made: boolean, keys: readonly string[]): (readonly [name: string, value: string])[]
  /** Whether the end of such a run is ours to set. */
  sets(made: boolean): boolean
}

/** The ids of the spans that are stored of these traces. */
export type ReadSpans = (
  traceIds: readonly string[],
  abort: AbortSignal,
) => Promise<ReadResult<ReadonlyMap<string, ReadonlySet<string>>>>

/**
 * Encodes a batch for one backend and sends it, and nothing else: queues, retries, time-outs and counts are in
 * `src/delivery`. Every call settles soon after `abort` fires and resolves with what happened; a throw is a bug.
 */
export interface Exporter {
  readonly name: string
  /** What is shown of the destination; no secrets. */
  readonly address: string
  /** What decides where a run goes (an experiment, say), kept in the journal for whoever delivers it later. */
  readonly target: Readonly<Record<string, string | null>>
  /** Kinds it takes, with the most items of one request. */
  readonly accepts: Readonly<Partial<Record<BatchKind, number>>>
  /** Time for one attempt, from connecting to the last byte; default 3 s. */
  readonly timeoutMs?: number
  /** Name of an exporter whose run has to be there first. */
  readonly after?: string
  /** Encodes a batch that will probably be sent next, while the answer to another one is awaited. It need not do anything. */
  prepare?(runId: string, batch: Batch): void
  /** Finds or makes the tracker's run; until it has, nothing is sent. */
  openRun(run: RunToOpen, abort: AbortSignal): Promise<OpenResult>
  /** An empty batch asks whether the run takes anything at all. */
  send(runId: string, batch: Batch, abort: AbortSignal): Promise<SendResult>
  /**
   * Asks, with one cheap read, whether a batch whose answer was lost is stored. `heightOf` gives the highest step of a
   * series that was there before the batch: a point beyond it can only have come with the batch.
   */
  confirm?(
    runId: string,
    batch: PointBatch,
    heightOf: (series: number) => number,
    abort: AbortSignal,
  ): Promise<Confirmation>
  /** The tracker's name of a metric key, as `Heights` has it. */
  keyAt?(key: string): string
  /** What is delivered can be read back, by `audit`. */
  readonly readBack?: { readonly run?: RunReader; readonly spans?: ReadSpans }
  closeRun(
    runId: string,
    end: { status: EndStatus; time: number; made: boolean },
    abort: AbortSignal,
  ): Promise<SendResult>
  close(): Promise<void>
}
