import { isFields } from '../../layer/event.ts'
import type { Confirmation, PointBatch } from '../exporter.ts'
import type { MlflowClient } from './client.ts'
import { mlflowKey } from './keys.ts'
import { numberIn } from './run.ts'

/** MLflow's most rows of one answer of this path. */
const MAX_ROWS = 2500

/**
 * MLflow stores a batch whole or not at all, so that one of its points tells for all of them: a finite one whose step
 * lies beyond everything that its series held before. A read of one step costs 6 ms on any run; sending 1,000 stored
 * points again costs seconds on a large one.
 *
 * The last such point of a few series is asked for, and the first of all: what a process delivered whose memory has died
 * with it is known to nobody. If it was the beginning of this batch, the last points are missing; if rows of one series come
 * again as they were, those of others; if all do, the first.
 */
export async function confirmBatch(
  client: MlflowClient,
  runId: string,
  batch: PointBatch,
  heightOf: (series: number) => number,
  abort: AbortSignal,
): Promise<Confirmation> {
  const telling = tellingPoints(batch, heightOf)
  let known: Confirmation = { kind: 'unknown' }
  for (const at of telling) {
    known = await askFor(client, runId, batch, at, abort)
    if (known.kind !== 'stored') return known
  }
  return known
}

/** Is point `at` of the batch there? */
async function askFor(
  client: MlflowClient,
  runId: string,
  batch: PointBatch,
  at: number,
  abort: AbortSignal,
): Promise<Confirmation> {
  const step = batch.step[at]!
  const rows = countAt(batch, at) + 1
  if (rows > MAX_ROWS) return { kind: 'unknown' }
  const query = {
    run_ids: runId,
    metric_key: mlflowKey(batch.keyOf(batch.series[at]!)),
    start_step: String(step),
    end_step: String(step),
    max_results: String(rows),
  }
  const answer = await client.get('metrics/get-history-bulk-interval', query, abort)
  // Servers without this path cannot tell; whether the run is there, the batch itself will find out.
  if (answer.kind === 'drop' || (answer.kind === 'retry' && answer.status === 404)) return { kind: 'unknown' }
  if (answer.kind !== 'ok') return answer
  const metrics = answer.json['metrics'] ?? []
  if (!Array.isArray(metrics)) return { kind: 'unknown' }
  const isThere = metrics.some(
    (row) =>
      isFields(row) &&
      numberIn(row['value']) === batch.value[at] &&
      numberIn(row['timestamp']) === batch.time[at] &&
      numberIn(row['step'] ?? 0) === step,
  )
  if (isThere) return { kind: 'stored' }
  // A full answer may have been thinned out.
  return metrics.length >= rows ? { kind: 'unknown' } : { kind: 'missing' }
}

/** Series whose last point is asked for. */
const MOST_SERIES = 4

/** Places of finite points beyond the heights of their series: the last ones of some series and the first of all, each once. */
function tellingPoints(batch: PointBatch, heightOf: (series: number) => number): number[] {
  const isTelling = (i: number): boolean =>
    Number.isFinite(batch.value[i]!) && batch.step[i]! > heightOf(batch.series[i]!)
  const lastOf = new Map<number, number>()
  for (let i = batch.count - 1; i >= 0 && lastOf.size < MOST_SERIES; i -= 1)
    if (!lastOf.has(batch.series[i]!) && isTelling(i)) lastOf.set(batch.series[i]!, i)
  if (lastOf.size === 0) return []
  let first = 0
  while (!isTelling(first)) first += 1
  return [...new Set([...lastOf.values(), first])]
}

/** How many points of the batch have the series and step of point `at`. */
function countAt(batch: PointBatch, at: number): number {
  let count = 0
  for (let i = 0; i < batch.count; i += 1) {
    if (batch.series[i] === batch.series[at] && batch.step[i] === batch.step[at]) count += 1
  }
  return count
}
