import { POINT_BYTES, type Columns } from '../channel/chunk.ts'
import type { EventRow, Mark, PackedSpans, WaitingRow } from '../channel/messages.ts'
import { COUNTERS } from '../telemetry/counters.ts'
import type { Chunk } from './blocks.ts'
import type { RunEnd } from './tables.ts'

/** What waits for the next commit. */
export interface Pending {
  series: { id: number; key: string }[]
  chunks: Chunk[]
  points: number
  heads: { id: number; resource: Uint8Array; scope: Uint8Array }[]
  spans: PackedSpans[]
  spanBytes: number
  events: EventRow[]
  eventBytes: number
  /** By their ids; those that have ended their waiting before they were written are not here any more. */
  waiting: Map<number, WaitingRow>
  settled: number[]
  counts: Float64Array
  params: (readonly [string, string])[]
  examples: (readonly [string, string])[]
  /** The newest of each followed file, by its key. */
  marks: Map<string, Mark>
  end: RunEnd | null
  dirty: boolean
}

/** Points of one block row. */
export interface WrittenPoints {
  columns: Columns
  count: number
}

export const nothingPending = (): Pending => ({
  series: [],
  chunks: [],
  points: 0,
  heads: [],
  spans: [],
  spanBytes: 0,
  events: [],
  eventBytes: 0,
  waiting: new Map(),
  settled: [],
  counts: new Float64Array(COUNTERS.length),
  params: [],
  examples: [],
  marks: new Map(),
  end: null,
  dirty: false,
})

/** Bytes of points, spans and events. */
export const bytesOf = ({ points, spanBytes, eventBytes }: Pending): number =>
  points * POINT_BYTES + spanBytes + eventBytes
