import { isFields, type Fields } from '../../layer/event.ts'
import type { ReadResult, RunReader, StoredPage, StoredRun } from '../exporter.ts'
import type { MlflowClient } from './client.ts'
import { encodeText } from './encode.ts'
import { mlflowKey, originalKeyTag } from './keys.ts'
import { numberIn, odd, RUN_TAG, textAt } from './run.ts'

/** Rows of one page, as MLflow's own client asks for; ... */
const MAX_ROWS = 25_000
/** ... fewer where keys are so long that the answer would be longer than is read. A row has at most this beside its key. */
const ROW_BYTES = 200
const PAGE_BYTES = 6 << 20

/** Reads runs of an MLflow back by its REST protocol. `sets`: whether the end of a run is ours to set. */
export const runReader = (client: MlflowClient, sets: (made: boolean) => boolean): RunReader => ({
  run: (runId, abort) => readRun(client, runId, abort),
  points: (runId, key, page, abort) => readPoints(client, runId, { key, page }, abort),
  kept,
  keptText: encodeText,
  ownTags: (run, made, keys) => [
    ...(made ? [[RUN_TAG, run] as const] : []),
    ...keys.filter((key) => mlflowKey(key) !== key).map((key) => encodeText('tags', originalKeyTag(key), key)),
  ],
  sets,
})

/** SQL has no infinities, so MLflow keeps the largest doubles in their place; minus zero comes back as zero. */
const kept = (value: number): number =>
  value === Infinity ? Number.MAX_VALUE : value === -Infinity ? -Number.MAX_VALUE : value + 0

async function readRun(client: MlflowClient, runId: string, abort: AbortSignal): Promise<ReadResult<StoredRun>> {
  const answer = await client.get('runs/get', { run_id: runId }, abort)
  if (answer.kind === 'drop') return { ...answer, noSuchRun: answer.code === 'RESOURCE_DOES_NOT_EXIST' }
  if (answer.kind !== 'ok') return answer
  const run = answer.json['run']
  const info = isFields(run) ? run['info'] : undefined
  const status = textAt(info, 'status')
  if (!isFields(run) || !isFields(info) || status === null) return odd(client, 'runs/get')
  if (info['lifecycle_stage'] === 'deleted')
    return {
      kind: 'drop',
      error: new Error(`MLflow at ${client.address}: the run ${runId} is deleted; restore it there`),
    }
  const data = isFields(run['data']) ? run['data'] : {}
  const texts = (name: string): Map<string, string> =>
    new Map(listOf(data[name]).map((row) => [textAt(row, 'key') ?? '', textAt(row, 'value') ?? '']))
  return {
    kind: 'ok',
    value: {
      status,
      endTime: info['end_time'] === undefined ? null : numberIn(info['end_time']),
      keys: [...texts('metrics').keys()],
      params: texts('params'),
      tags: texts('tags'),
    },
  }
}

const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? (value as unknown[]).filter(isFields) : [])

/** One page. `max_results` is always sent: without it, servers from 3.4 to 3.13 answer with nothing, for ever. */
async function readPoints(
  client: MlflowClient,
  runId: string,
  { key, page }: { key: string; page: string | null },
  abort: AbortSignal,
): Promise<ReadResult<StoredPage>> {
  // Python writes what is not ASCII as `\uXXXX`.
  const rows = Math.min(MAX_ROWS, Math.floor(PAGE_BYTES / (ROW_BYTES + 6 * key.length)))
  const query = { run_id: runId, metric_key: key, max_results: String(rows) }
  const answer = await client.get('metrics/get-history', page === null ? query : { ...query, page_token: page }, abort)
  if (answer.kind !== 'ok') return answer
  const metrics = listOf(answer.json['metrics'])
  const column = (name: string): Float64Array => Float64Array.from(metrics, (metric) => numberIn(metric[name] ?? 0))
  const token = textAt(answer.json, 'next_page_token')
  // A page without rows is the last one, whatever it says.
  const next = metrics.length === 0 || token === '' ? null : token
  const value = column('value').map(kept)
  return { kind: 'ok', value: { count: metrics.length, step: column('step'), time: column('timestamp'), value, next } }
}
