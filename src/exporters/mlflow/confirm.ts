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
 */
export async function confirmBatch(
  client: MlflowClient,
  runId: string,
  batch: PointBatch,
  heightOf: (series: number) => number,
  abort: AbortSignal,
): Promise<Confirmation> {
  const at = tellingPoint(batch, heightOf)
  if (at < 0) return { kind: 'unknown' }
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

/** Index of a finite point beyond the height of its series, or -1. */
function tellingPoint(batch: PointBatch, heightOf: (series: number) => number): number {
  for (let i = batch.count - 1; i >= 0; i -= 1) {
    if (Number.isFinite(batch.value[i]!) && batch.step[i]! > heightOf(batch.series[i]!)) return i
  }
  return -1
}

/** How many points of the batch have the series and step of point `at`. */
function countAt(batch: PointBatch, at: number): number {
  let count = 0
  for (let i = 0; i < batch.count; i += 1) {
    if (batch.series[i] === batch.series[at] && batch.step[i] === batch.step[at]) count += 1
  }
  return count
}
