import { CHUNK_POINTS, columnsOf, POINT_BYTES } from '../../src/channel/chunk.ts'
import type { RunJournal } from '../../src/journal/journal.ts'
import { COUNTERS, NUMBERS, POINTS, SPANS } from '../../src/telemetry/counters.ts'

/** A point of a test; what is left out is 0. */
export interface Point {
  series?: number
  step?: number
  time?: number
  value?: number
}

/** Commits points, counted as the layer counts them. */
export function addPoints(journal: RunJournal, points: readonly Point[]): void {
  for (let from = 0; from < points.length; from += CHUNK_POINTS) {
    const some = points.slice(from, from + CHUNK_POINTS)
    const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
    const columns = columnsOf(buffer, CHUNK_POINTS)
    for (const [i, point] of some.entries())
      for (const name of ['value', 'step', 'time', 'series'] as const) columns[name][i] = point[name] ?? 0
    journal.addPoints(buffer, some.length, countsOf(some.length, POINTS, NUMBERS))
  }
  journal.commit()
}

/** Points with the steps `from` to `to`. */
export const stepsOf = (from: number, to: number, rest: Point = {}): Point[] =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ ...rest, step: from + i }))

/** A Span message with a name, and about `padding` bytes more. */
export function spanOf(name: string, padding = 0): Uint8Array {
  const text = Buffer.from(name)
  const state = [
    0x1a,
    (padding & 0x7f) | 0x80,
    ((padding >> 7) & 0x7f) | 0x80,
    ((padding >> 14) & 0x7f) | 0x80,
    padding >> 21,
  ]
  return Buffer.concat([
    Uint8Array.of(0x2a, text.length),
    text,
    ...(padding === 0 ? [] : [Uint8Array.from(state), Buffer.alloc(padding, 'p')]),
  ])
}

/** Commits spans, under one resource and scope. */
export function addSpans(journal: RunJournal, spans: readonly Uint8Array[]): void {
  let end = 0
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  journal.addSpans({
    bytes: new Uint8Array(Buffer.concat(spans)),
    ends: Uint32Array.from(spans, ({ byteLength }) => (end += byteLength)),
    heads: new Uint32Array(spans.length),
  })
  journal.addCounts(countsOf(spans.length, SPANS))
  journal.commit()
}

const countsOf = (n: number, ...counters: number[]): Float64Array =>
  Float64Array.from(COUNTERS, (_, i) => (counters.includes(i) ? n : 0))
