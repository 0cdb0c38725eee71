import type { Batch, BatchKind, PointBatch, SpanBatch, TextBatch } from '../exporters/exporter.ts'
import { DamagedJournal, textIn } from '../journal/damage.ts'
import type { RunJournal } from '../journal/journal.ts'
import { wrapBlocks } from '../otlp/rewrap.ts'
import { partsOf, spansIn } from '../otlp/span-blocks.ts'
import { spanName } from '../otlp/traces.ts'

/** Most bytes of spans in one request: a collector takes 20 MiB, gateways less. */
const MAX_SPAN_BYTES = 4 << 20

/** The next items of a kind behind sequence number `after`, or null when there are none. @throws DamagedJournal */
export function nextBatch(journal: RunJournal, kind: BatchKind, after: number, limit: number): Batch | null {
  if (kind === 'points') {
    const points = journal.read(after, limit)
    if (points === null) return null
    const unknown = points.series.find((series) => series >= journal.keys.length)
    if (unknown !== undefined) throw new DamagedJournal(journal.path, `points of series ${unknown}, which has no key`)
    return { kind, keyOf: (series) => journal.keys[series]!, ...points }
  }
  if (kind === 'spans') return nextSpans(journal, after, limit)
  // Known without asking the database, for this is looked at before each batch.
  if (after >= journal.lastText(kind)) return null
  const rows = journal.all(
    `SELECT sequence, name, value FROM ${kind} WHERE sequence > ? ORDER BY sequence LIMIT ?`,
    after,
    limit,
  )
  if (rows.length === 0) return null
  const entries = rows.map(
    ({ name, value }) =>
      [textIn(journal.path, `a name of ${kind}`, name), textIn(journal.path, `a value of ${kind}`, value)] as const,
  )
  return { kind, first: Number(rows[0]!['sequence']), count: rows.length, entries }
}

function nextSpans(journal: RunJournal, after: number, limit: number): SpanBatch | null {
  const blocks = journal.readSpans(after, limit, MAX_SPAN_BYTES)
  if (blocks.length === 0) return null
  const all = { kind: 'spans', first: blocks[0]!.first, count: countIn(blocks), blocks } as const
  if (blocks.reduce((sum, { bytes }) => sum + bytes.length, 0) <= MAX_SPAN_BYTES) return all
  let bytes = 0
  let count = 0
  for (const span of blocks.flatMap((block) => [...spansIn(block.bytes)])) {
    if ((bytes += span.length) > MAX_SPAN_BYTES) break
    count += 1
  }
  return slice(all, 0, Math.max(1, count)) as SpanBatch
}

const countIn = (blocks: readonly { count: number }[]): number => blocks.reduce((sum, { count }) => sum + count, 0)

/** Newest spans that are told to whoever goes on with a run, ... */
const MAX_TOLD = 100_000
/** ... as requests of this many. */
const TOLD_TOGETHER = 1000

/** The newest spans of a run as OTLP requests, oldest first, to be handed to another thread. */
export function newestSpans(journal: RunJournal): { spans: Uint8Array[]; transfer: ArrayBuffer[] } {
  const spans: Uint8Array[] = []
  for (
    let after = Math.max(journal.firstKept.spans - 1, journal.spans - MAX_TOLD);
    after < journal.spans;
    after += TOLD_TOGETHER
  )
    // Copies: what is written may be a view of something larger.
    spans.push(new Uint8Array(wrapBlocks(journal.readSpans(after, TOLD_TOGETHER))))
  return { spans, transfer: spans.map(({ buffer }) => buffer as ArrayBuffer) }
}

const noSpans: SpanBatch = { kind: 'spans', first: 0, count: 0, blocks: [] }

/** Asks a run whether it takes anything: a refusal of nothing is no fault of what was sent. */
export const emptyBatch = (journal: RunJournal, kind: 'points' | 'spans'): PointBatch | SpanBatch =>
  kind === 'spans' ? noSpans : noPoints(journal)

const noPoints = (journal: RunJournal): PointBatch => ({
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
  return [slice(batch, 0, middle), slice(batch, middle, batch.count)]
}

/** Items `from` up to but without `to` of a batch. */
export function slice(batch: Batch, from: number, to: number): Batch {
  const at = { first: batch.first + from, count: to - from }
  if (batch.kind === 'spans') return { ...batch, ...at, blocks: partsOf(batch.blocks, from, to) }
  if (batch.kind !== 'points') return { ...batch, ...at, entries: batch.entries.slice(from, to) } satisfies TextBatch
  return {
    kind: 'points',
    keyOf: batch.keyOf,
    ...at,
    ...(batch.sequences === undefined ? {} : { sequences: batch.sequences.subarray(from, to) }),
    value: batch.value.subarray(from, to),
    step: batch.step.subarray(from, to),
    time: batch.time.subarray(from, to),
    series: batch.series.subarray(from, to),
  }
}

/** The points of a batch at the places for which `keep` holds, and the places of the others. */
export function sift(batch: PointBatch, keep: (place: number) => boolean): { kept: PointBatch; others: number[] } {
  const places = Array.from({ length: batch.count }, (_, i) => i)
  const kept = places.filter(keep)
  if (kept.length === batch.count) return { kept: batch, others: [] }
  return {
    kept: {
      kind: 'points',
      keyOf: batch.keyOf,
      first: batch.first,
      count: kept.length,
      sequences: Float64Array.from(kept, (i) => sequenceOf(batch, i)),
      value: Float64Array.from(kept, (i) => batch.value[i]!),
      step: Float64Array.from(kept, (i) => batch.step[i]!),
      time: Float64Array.from(kept, (i) => batch.time[i]!),
      series: Uint32Array.from(kept, (i) => batch.series[i]!),
    },
    others: places.filter((i) => !keep(i)),
  }
}

/** Sequence number of item `i`. */
export const sequenceOf = (batch: Batch, i: number): number =>
  (batch.kind === 'points' ? batch.sequences?.[i] : undefined) ?? batch.first + i

/** Sequence number of the last item. */
export const lastOf = (batch: Batch): number => sequenceOf(batch, batch.count - 1)

/** Item `i` as a rejected row shows it. */
export function itemOf(
  batch: Batch,
  i: number,
): { name: string; step?: number; time?: number; value: number | string } {
  if (batch.kind === 'spans') {
    const [span] = spansIn(partsOf(batch.blocks, i, i + 1)[0]!.bytes)
    return { name: spanName(span!), value: Buffer.from(span!).toString('base64') }
  }
  if (batch.kind !== 'points') return { name: batch.entries[i]![0], value: batch.entries[i]![1] }
  return { name: batch.keyOf(batch.series[i]!), step: batch.step[i]!, time: batch.time[i]!, value: batch.value[i]! }
}

/** The beginning of a batch up to its first NaN, or that NaN alone. */
export function untilNaN(batch: PointBatch): Batch {
  const at = batch.value.findIndex(Number.isNaN)
  return at < 0 ? batch : slice(batch, 0, Math.max(1, at))
}
