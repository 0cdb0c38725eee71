import { isFields } from '../../layer/event.ts'
import type { ReadResult } from '../exporter.ts'
import type { MlflowClient } from '../mlflow/client.ts'

/** The spans that MLflow holds of some traces. It has no read that leaves out what is in the spans, so ask for few. */
export async function readSpans(
  client: MlflowClient,
  traceIds: readonly string[],
  abort: AbortSignal,
): Promise<ReadResult<ReadonlyMap<string, ReadonlySet<string>>>> {
  const answer = await client.getTraces(
    traceIds.map((id) => `tr-${id}`),
    abort,
  )
  if (answer.kind !== 'ok') return answer
  const found = new Map<string, Set<string>>()
  for (const trace of listOf(answer.json['traces'])) {
    for (const span of listOf(isFields(trace) ? trace['spans'] : undefined)) {
      if (!isFields(span)) continue
      const traceId = hex(span['trace_id'])
      found.set(traceId, (found.get(traceId) ?? new Set()).add(hex(span['span_id'])))
    }
  }
  return { kind: 'ok', value: found }
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : [])

/** Ids are bytes in protobuf, and so base64 in its JSON. */
const hex = (id: unknown): string => (typeof id === 'string' ? Buffer.from(id, 'base64').toString('hex') : '')
