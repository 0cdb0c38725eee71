import type { Batch, BatchKind, PointBatch, TextBatch } from '../exporters/exporter.ts'
import type { RunJournal } from '../journal/journal.ts'

/** The next items of a kind behind sequence number `after`, or null when there are none. */
export function nextBatch(journal: RunJournal, kind: BatchKind, after: number, limit: number): Batch | null {
  if (kind === 'points') {
    const points = journal.read(after, limit)
    return points === null ? null : { kind, keyOf: (series) => journal.keys[series]!, ...points }
  }
  const rows = journal.all(
    `SELECT sequence, name, value FROM ${kind} WHERE sequence > ? ORDER BY sequence LIMIT ?`,
    after,
    limit,
  )
  if (rows.length === 0) return null
  const entries = rows.map((row) => [String(row['name']), String(row['value'])] as const)
  return { kind, first: Number(rows[0]!['sequence']), count: rows.length, entries }
}

/** Asks a run whether it takes anything: a refusal of nothing is no fault of the points. */
export const emptyBatch = (journal: RunJournal): PointBatch => ({
  kind: 'points',
  first: 0,
  count: 0,
  value: new Float64Array(),
  step: new Float64Array(),
  time: new Float64Array(),
  series: new Uint32Array(),
  keyOf: (series) => journal.keys[series]!,
})

/** Both halves of a batch of two or more. */
export function halves(batch: Batch): [Batch, Batch] {
  const middle = batch.count >> 1
  return [part(batch, 0, middle), part(batch, middle, batch.count)]
}

function part(batch: Batch, from: number, to: number): Batch {
  const at = { first: batch.first + from, count: to - from }
  if (batch.kind !== 'points') return { ...batch, ...at, entries: batch.entries.slice(from, to) } satisfies TextBatch
  return {
    kind: 'points',
    keyOf: batch.keyOf,
    ...at,
    value: batch.value.subarray(from, to),
    step: batch.step.subarray(from, to),
    time: batch.time.subarray(from, to),
    series: batch.series.subarray(from, to),
  }
}

/** Sequence number of the last item. */
export const lastOf = (batch: Batch): number => batch.first + batch.count - 1

/** The single item of a batch of one, as a rejected row shows it. */
export function onlyItem(batch: Batch): { name: string; step?: number; time?: number; value: number | string } {
  if (batch.kind !== 'points') return { name: batch.entries[0]![0], value: batch.entries[0]![1] }
  return { name: batch.keyOf(batch.series[0]!), step: batch.step[0]!, time: batch.time[0]!, value: batch.value[0]! }
}
