/**
 * The one port between the ingest thread and the delivery thread, and so the one order between all that travels on it.
 * Chunk buffers are transferred and come back empty; everything else is small and copied.
 */

/** Status of a run at its end, in MLflow's words. */
export type EndStatus = 'FINISHED' | 'FAILED' | 'KILLED'

/** What is known of a run when it begins. */
export interface RunStart {
  /** ULID; also the idempotency tag on the tracker's run. */
  run: string
  name: string
  /** `stdin`, `exec`, `network` or `library`. */
  source: string
  /** What is bridged: the command under `exec`, else empty. */
  command: readonly string[]
  directory: string
  /** UTC milliseconds. */
  startedAt: number
  params: readonly (readonly [name: string, value: string])[]
  tags: readonly (readonly [name: string, value: string])[]
}

/** Spans as they came, one after the other in `bytes`. */
export interface PackedSpans {
  bytes: Uint8Array
  /** Where each Span message ends. */
  ends: Uint32Array
  /** What each stands under, as `head` messages number it. */
  heads: Uint32Array
}

export type ToDelivery =
  /** A run begins; `resume`: the journal of an earlier one that goes on instead. */
  | { kind: 'run'; start: RunStart; resume: string | null }
  | { kind: 'series'; id: number; key: string }
  /** Points of the run as columns (`chunk.ts`), with the counts since the last message that had some. */
  | { kind: 'points'; buffer: ArrayBuffer; count: number; counts: Float64Array | null }
  | { kind: 'counts'; counts: Float64Array }
  /** What spans stand under: the fields of ResourceSpans and ScopeSpans around them, as they came. */
  | { kind: 'head'; id: number; resource: Uint8Array; scope: Uint8Array }
  | { kind: 'spans'; spans: PackedSpans }
  /** Wants to hear when everything before it is committed. */
  | { kind: 'barrier'; id: number }
  | { kind: 'params'; params: readonly (readonly [name: string, value: string])[] }
  /** The first line of the run that something was skipped of for a reason. */
  | { kind: 'example'; reason: string; line: string }
  | { kind: 'end'; status: EndStatus; time: number }
  /** No input comes any more: drain, deliver, set the end. `limitMs`: no longer than this; a later message may set it. */
  | { kind: 'finish'; limitMs: number | null }
  /** Commit and end now. */
  | { kind: 'stop' }

export type FromDelivery =
  /** The run has its journal. */
  | { kind: 'ready' }
  /** Buffers whose points are committed to the journal. */
  | { kind: 'empty'; buffers: ArrayBuffer[] }
  /** Everything before a barrier is committed; `durable` false: to memory only, for the disk cannot take it. */
  | { kind: 'committed'; id: number; durable: boolean }
  /** A line for standard error. */
  | { kind: 'say'; text: string }
  | { kind: 'finished'; outcome: Outcome }

/** How the delivery ended. */
export interface Outcome {
  /** Everything is delivered to every destination, rejected rows apart. */
  complete: boolean
  /** The state directory could not be used and the journal was kept in memory. */
  inMemory: boolean
}
