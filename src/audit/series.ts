import type { RunReader } from '../exporters/exporter.ts'
import { ask } from './ask.ts'
import { PointColumns, STATE } from './columns.ts'
import type { AuditRow } from './counts.ts'
import type { AuditedJournal, Progress } from './journal.ts'
import { comparePoints } from './points.ts'

/** Points that are looked at in one go through the journal; a series with more goes alone. */
const POINTS_AT_ONCE = 1_000_000

export interface SeriesAudit {
  journal: AuditedJournal
  progress: Progress
  reader: RunReader
  runId: string
  /** The tracker's name of a metric key. */
  keyAt: (key: string) => string
  /** Metrics that the tracker has. */
  storedKeys: readonly string[]
  /** Whether points that are only at the tracker are a difference. */
  tellsAdded: boolean
}

/** Series that are one metric at the tracker. */
interface Metric {
  key: string
  series: number[]
}

/**
 * Compares metric by metric, as many at once as a bound on memory allows. The tracker is read before the journal: a
 * point is in the journal before it is sent, so that none of a run that goes on looks added. `delivered` gets the keys
 * that the tracker must know.
 */
export async function* auditSeries(audit: SeriesAudit, delivered: Set<string>): AsyncGenerator<AuditRow> {
  const keys = audit.journal.keys()
  for (const metrics of groupsOf(audit, keys)) {
    const stored: PointColumns[] = []
    for (const { key } of metrics) stored.push(await readStored(audit, key))
    const kept = gather(audit, metrics, { keys, delivered })
    for (const [i, { key }] of metrics.entries()) yield rowOf(key, kept[i]!, stored[i]!, audit.tellsAdded)
  }
  if (!audit.tellsAdded) return
  const known = new Set(audit.journal.keys().map(audit.keyAt))
  for (const key of audit.storedKeys)
    if (!known.has(key)) yield rowOf(key, new PointColumns(), await readStored(audit, key), true)
}

function rowOf(key: string, ours: PointColumns, theirs: PointColumns, tellsAdded: boolean): AuditRow {
  const { counts, first } = comparePoints(ours, theirs, tellsAdded)
  return { kind: 'metric', key, ...counts, first }
}

/** Metrics in groups of up to `POINTS_AT_ONCE` points of the journal. */
function groupsOf({ journal, keyAt }: SeriesAudit, keys: readonly string[]): Metric[][] {
  const counts = new Float64Array(keys.length)
  for (const { series, count } of journal.blocks())
    for (let i = 0; i < count; i += 1) if (series[i]! < counts.length) counts[series[i]!]! += 1
  const metrics = new Map<string, Metric & { count: number }>()
  for (const [id, key] of keys.entries()) {
    const metric = metrics.get(keyAt(key)) ?? { key: keyAt(key), series: [], count: 0 }
    metric.series.push(id)
    metric.count += counts[id]!
    metrics.set(metric.key, metric)
  }
  const groups: Metric[][] = []
  let room = 0
  for (const metric of metrics.values()) {
    if (metric.count > room) {
      groups.push([])
      room = POINTS_AT_ONCE
    }
    groups.at(-1)!.push(metric)
    room -= metric.count
  }
  return groups
}

/** All points of a metric that the tracker holds, page by page. */
async function readStored({ reader, runId }: SeriesAudit, key: string): Promise<PointColumns> {
  const points = new PointColumns()
  for (let token: string | null = null; ;) {
    const page = await ask((abort) => reader.points(runId, key, token, abort))
    for (let i = 0; i < page.count; i += 1) points.push(page.time[i]!, page.step[i]!, page.value[i]!)
    token = page.next
    if (token === null) return points
  }
}

/** The points of some metrics in the journal, as the tracker should have them. */
function gather(
  { journal, progress, reader }: SeriesAudit,
  metrics: readonly Metric[],
  { keys, delivered }: { keys: readonly string[]; delivered: Set<string> },
): PointColumns[] {
  const found = metrics.map(() => new PointColumns())
  const bySeries: PointColumns[] = []
  for (const [i, { series }] of metrics.entries()) for (const id of series) bySeries[id] = found[i]!
  for (const { first, count, series, time, step, value } of journal.blocks()) {
    for (let i = 0; i < count; i += 1) {
      const points = bySeries[series[i]!]
      if (points === undefined) continue
      const state = progress.stateOf(first + i)
      if (state === STATE.delivered) delivered.add(keys[series[i]!]!)
      points.push(time[i]!, step[i]!, reader.kept(value[i]!), state)
    }
  }
  return found
}

/** How many of the numbers 1 to `last` no block holds: they were dropped to make room. */
export function notKept(journal: AuditedJournal, last: number): number {
  let held = 0
  for (const { first, count } of journal.blocks()) held += Math.max(0, Math.min(last, first + count - 1) - first + 1)
  return Math.max(0, last - held)
}
