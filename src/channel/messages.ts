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
  /** What the senders of the run say of themselves: the same goes on with the same run. Null: a run that nobody else can mean. */
  identity: string | null
  /** The tracker's run that its sender has named; null: the one of the settings, or one of our own. */
  trackerRun: string | null
  name: string
  /** `stdin`, `exec`, `file`, `network` or `library`. */
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

/** Numbers that wait for the spans around them, as the journal keeps them: what makes them anew after a crash. */
export interface WaitingRow {
  /** Unique in the run, counts up. */
  id: number
  /** UTC ms since which they wait. */
  since: number
  numbers: number
  /** The span they belong to (trace and span id as hex), empty for a log record. */
  span: string
  /** The place of an event of that span, or -1 for its own attributes. */
  part: number
  /** For a log record: a request that holds it and nothing else. */
  body: Uint8Array | null
}

/** How far a followed file has been read: a key, and what the receiver wants to know again; null: no longer. */
export type Mark = readonly [key: string, value: string | null]

export type EventLevel = 'WARN' | 'ERROR'

/** An event of level WARN or above, as the journal keeps it; its secrets are taken out. */
export interface EventRow {
  /** UTC ms. */
  time: number
  level: EventLevel
  /** What wrote it, as far as the event tells; else empty. */
  target: string
  message: string
  /** Null: it has none, or it is not known. */
  step: number | null
  /** Its other fields, as the text of a JSON object. */
  fields: string
}

/** What is said of one run. */
export type RunMessage =
  /** The run begins; `resume`: the journal of an earlier one that goes on instead. */
  | { kind: 'run'; start: RunStart; resume: string | null }
  | { kind: 'series'; id: number; key: string }
  /** Points as columns (`chunk.ts`), with the counts since the last message that had some. */
  | { kind: 'points'; buffer: ArrayBuffer; count: number; counts: Float64Array | null }
  | { kind: 'counts'; counts: Float64Array }
  /** What spans stand under: the fields of ResourceSpans and ScopeSpans around them, as they came. */
  | { kind: 'head'; id: number; resource: Uint8Array; scope: Uint8Array }
  | { kind: 'spans'; spans: PackedSpans }
  | { kind: 'waiting'; rows: readonly WaitingRow[] }
  /** These wait no longer: their points, or their counts, came before this. */
  | { kind: 'settled'; ids: readonly number[] }
  /** Events of level WARN and above: whoever takes them counts them, so that rows and counts are of one commit. */
  | { kind: 'events'; events: readonly EventRow[] }
  | { kind: 'params'; params: readonly (readonly [name: string, value: string])[] }
  /** The first line of the run that something was skipped of for a reason. */
  | { kind: 'example'; reason: string; line: string }
  /** How far followed files have been read; committed with all that came of them before this. */
  | { kind: 'marks'; marks: readonly Mark[] }
  | { kind: 'end'; status: EndStatus; time: number }
  /** Nothing comes of this run any more, while others go on. */
  | { kind: 'leave' }

export type ToDelivery =
  | (RunMessage & {
      /** Number of the run in this process, from 0. */
      run: number
    })
  /** Runs will begin: what earlier ones left is taken up meanwhile. */
  | { kind: 'open' }
  /** What comes from here to `complete` is committed together or not at all. */
  | { kind: 'begin' }
  | { kind: 'complete' }
  /** Wants to hear when everything before it is committed; `runs`: those whose disk is asked for. */
  | { kind: 'barrier'; id: number; runs: readonly number[] }
  /** Spans come through another Spanbridge, which must not get them back. */
  | { kind: 'via'; via: string }
  /** No input comes any more: drain, deliver, set the ends. `limitMs`: no longer than this; a later message may set it. */
  | { kind: 'finish'; limitMs: number | null }
  /** Commit and end now. */
  | { kind: 'stop' }

export type FromDelivery =
  /** The run has its journal, or the first of many may come. */
  | { kind: 'ready' }
  /**
   * A run goes on where an earlier process left it, or begins: with its newest spans, as OTLP requests, what waits, and how
   * far followed files have been read, by this run or the one of the same identity before it.
   */
  | { kind: 'opened'; run: number; ulid: string; spans: Uint8Array[]; waiting: WaitingRow[]; marks: readonly Mark[] }
  /** Buffers whose points are committed to the journal. */
  | { kind: 'empty'; buffers: ArrayBuffer[] }
  /** Everything before a barrier is committed; `durable` false: to memory only, for the disk cannot take it. */
  | { kind: 'committed'; id: number; durable: boolean }
  /** A line for standard error. */
  | { kind: 'say'; text: string }
  | { kind: 'finished'; outcome: Outcome }

/** What is told of a run that begins. */
export const nothingOpened = (run: number, ulid = ''): Opened => ({
  kind: 'opened',
  run,
  ulid,
  spans: [],
  waiting: [],
  marks: [],
})

export type Opened = Extract<FromDelivery, { kind: 'opened' }>

/** How the delivery ended. */
export interface Outcome {
  /** Everything is delivered to every destination, rejected rows apart. */
  complete: boolean
  /** The state directory could not be used and the journal was kept in memory. */
  inMemory: boolean
}
