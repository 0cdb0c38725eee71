import { CHUNK_POINTS, columnsOf, POINT_BYTES, type Columns } from '../channel/chunk.ts'
import { countIn, DamagedJournal } from './damage.ts'
import type { Scratch } from '../channel/scratch.ts'

/** Most points of one block: 0.9 MB, so that a slow destination never reads megabytes for a thousand points. */
const MAX_BLOCK_POINTS = 32_768

/** Points as the channel sent them; `count` of the buffer's `CHUNK_POINTS` places are filled. */
export interface Chunk {
  buffer: ArrayBuffer
  count: number
}

/** Points of a run as they lie in the journal: `first` is the sequence number of the first. */
export interface StoredPoints extends Columns {
  first: number
  count: number
}

/** A row of `blocks` as points. @throws DamagedJournal when its bytes are not as many as its points need */
export function pointsOfBlock(row: Record<string, unknown>, path: string): StoredPoints {
  const { data } = row
  const first = countIn(path, 'the first point of a block', row['first'])
  const count = countIn(path, `points in the block of point ${first}`, row['count'])
  const bytes = data instanceof Uint8Array ? data.byteLength : 0
  if (!(data instanceof Uint8Array) || count === 0 || bytes !== count * POINT_BYTES)
    throw new DamagedJournal(
      path,
      `the block of point ${first} has ${bytes} bytes for ${count} points of ${POINT_BYTES}`,
    )
  // Doubles may not begin anywhere; what SQLite gives has memory of its own and begins with it.
  const { buffer, byteOffset } = data.byteOffset % 8 === 0 ? data : new Uint8Array(data)
  return { first, count, ...columnsOf(buffer, count, byteOffset) }
}

/**
 * Joins chunks with `points` points in all into blocks: `data` is what the journal stores, `columns` the view on it, both in
 * `scratch` until that is taken again.
 */
export function* joinChunks(
  chunks: readonly Chunk[],
  points: number,
  scratch: Scratch,
): Generator<{ data: Uint8Array; columns: Columns; count: number }> {
  // Blocks but for the last one end at a multiple of 8, where the columns of the next may begin.
  const buffer = scratch.take(points * POINT_BYTES)
  let at = 0
  let next = 0
  let from = 0
  for (let left = points; left > 0;) {
    const count = Math.min(left, MAX_BLOCK_POINTS)
    left -= count
    const data = new Uint8Array(buffer, at, count * POINT_BYTES)
    const columns = columnsOf(buffer, count, at)
    at += data.byteLength
    for (let filled = 0; filled < count;) {
      const chunk = chunks[next]!
      const n = Math.min(chunk.count - from, count - filled)
      copyColumns(columnsOf(chunk.buffer, CHUNK_POINTS), from, columns, filled, n)
      filled += n
      from += n
      if (from < chunk.count) continue
      next += 1
      from = 0
    }
    yield { data, columns, count }
  }
}

/** Copies `n` points from place `from` of one set of columns to place `to` of another. */
export function copyColumns(source: Columns, from: number, target: Columns, to: number, n: number): void {
  for (const column of ['value', 'step', 'time', 'series'] as const) {
    target[column].set(source[column].subarray(from, from + n), to)
  }
}
