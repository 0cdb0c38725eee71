import { CHUNK_POINTS, columnsOf, POINT_BYTES } from '../../src/channel/chunk.ts'
import { COUNTERS, NUMBERS, POINTS } from '../../src/telemetry/counters.ts'

/** A point as tests write it. */
export interface Point {
  series: number
  step: number
  time: number
  value: number
}

/** A chunk as the channel sends it. */
export function chunkOf(points: readonly Point[]): ArrayBuffer {
  const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
  const columns = columnsOf(buffer, CHUNK_POINTS)
  for (const [i, point] of points.entries())
    for (const name of ['series', 'step', 'time', 'value'] as const) columns[name][i] = point[name]
  return buffer
}

/** `count` points of series 0 whose steps follow each other, from `first` on; no column is like another. */
export const pointsFrom = (first: number, count: number): Point[] =>
  Array.from({ length: count }, (_, i) => {
    const step = first + i
    return { series: 0, step, time: 10_000 + step, value: step / 2 }
  })

/** What is counted of numbers that all became points. */
export const countsOf = (points: number): Float64Array =>
  Float64Array.from(COUNTERS, (_, i) => (i === POINTS || i === NUMBERS ? points : 0))
