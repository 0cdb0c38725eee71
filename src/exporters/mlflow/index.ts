import type { Settings } from '../../config/settings.ts'
import type { Batch, Exporter, ExporterOptions, OpenResult, PointBatch, RunToOpen, SendResult } from '../exporter.ts'
import { BodyMemory } from '../body-memory.ts'
import { clientOptionsOf, MlflowClient } from './client.ts'
import { encodeTexts, MetricEncoder, refusedPoint } from './encode.ts'
import { confirmBatch } from './confirm.ts'
import { mlflowKey, originalKeyTag } from './keys.ts'
import { runReader } from './read-back.ts'
import { closeRun, openRun, type OpenedRun, type RunTarget } from './run.ts'

/** MLflow's own limits of one `runs/log-batch` (mlflow/utils/validation.py). */
const MAX_METRICS = 1000
const MAX_PARAMS = 100
const MAX_TAGS = 100

export const isMlflowConfigured = (settings: Settings): boolean => settings['mlflow.trackingUri'] !== null

/**
 * Servers before 3.16 do not know a stored NaN again: it violates their primary key when it is sent once more. A NaN
 * goes alone to them, so that this says it is there.
 */
const isKnownNaN = (batch: PointBatch, result: SendResult): boolean =>
  batch.count === 1 &&
  Number.isNaN(batch.value[0]) &&
  result.kind === 'retry' &&
  /UNIQUE constraint failed: metrics|metric_pk/.test(result.error.message)

/** Of all runs: the body under way and the next one, of some. */
const bodyMemory = new BodyMemory(16)
const takeMemory = (bytes: number): Buffer => bodyMemory.take(bytes)

/** Sends the points, params and tags of one run to an MLflow tracking server. @throws when a certificate file cannot be read */
export function createMlflow({ settings, dispatcher }: Omit<ExporterOptions, 'via'>): Exporter {
  const client = new MlflowClient(clientOptionsOf(settings), dispatcher)
  const target: RunTarget = {
    runId: settings['mlflow.runId'],
    experimentId: settings['mlflow.experimentId'],
    experimentName: settings['mlflow.experimentName'],
  }
  const encoder = new MetricEncoder()
  /** Bodies of batches that are sent, or will be; in words why MLflow would not take one. */
  const bodies = new WeakMap<PointBatch, Buffer | string>()
  const bodyOf = (runId: string, batch: PointBatch): Buffer | string => {
    let body = bodies.get(batch)
    if (body === undefined) bodies.set(batch, (body = refusedPoint(batch) ?? encoder.encode(runId, batch, takeMemory)))
    return body
  }
  const logBatch = async (body: string | Buffer, abort: AbortSignal): Promise<SendResult> => {
    const answer = await client.post('runs/log-batch', body, abort)
    return answer.kind === 'ok' ? { kind: 'ok' } : answer
  }

  const sendPoints = async (runId: string, batch: PointBatch, abort: AbortSignal): Promise<SendResult> => {
    const body = bodyOf(runId, batch)
    if (typeof body === 'string') return { kind: 'drop', error: new Error(body) }
    const untold = encoder.takeUntold()
    for (let i = 0; i < untold.length; i += MAX_TAGS) {
      const entries = untold.slice(i, i + MAX_TAGS).map((original) => [originalKeyTag(original), original] as const)
      const told = await logBatch(encodeTexts(runId, { kind: 'tags', first: 0, count: entries.length, entries }), abort)
      if (told.kind !== 'ok') {
        encoder.putBack(untold.slice(i))
        return told
      }
    }
    bodyMemory.lend(body)
    const result = await logBatch(body, abort)
    if (result.kind === 'ok') {
      // Should it have to go once more after all, it is encoded anew.
      bodies.delete(batch)
      bodyMemory.giveBack(body)
    }
    return isKnownNaN(batch, result) ? { kind: 'ok' } : result
  }

  /** Needed again when the run is closed. */
  const openedRuns = new Map<string, OpenedRun>()
  const open = async (run: RunToOpen, abort: AbortSignal): Promise<OpenResult> => {
    const result = await openRun(client, run, abort)
    if (result.kind !== 'ok') return result
    openedRuns.set(result.runId, { runId: result.runId, experiment: result.experiment, run: run.run })
    return { ...result, group: result.experiment, splitsNaN: await client.isBefore(3, 16, abort) }
  }

  /** The end of a run is ours to set. */
  const sets = (made: boolean): boolean => made || settings['mlflow.endRun'] === 'always'

  return {
    name: 'mlflow',
    address: client.address,
    target,
    accepts: { points: MAX_METRICS, params: MAX_PARAMS, tags: MAX_TAGS },
    openRun: open,
    send: async (runId: string, batch: Batch, abort) => {
      if (batch.kind === 'points') return sendPoints(runId, batch, abort)
      if (batch.kind === 'spans') return { kind: 'drop', error: new Error('spans go to MLflow by the exporter otlp') }
      return logBatch(encodeTexts(runId, batch), abort)
    },
    prepare: (runId, batch) => {
      if (batch.kind === 'points') bodyOf(runId, batch)
    },
    confirm: (runId, batch, heightOf, abort) => confirmBatch(client, runId, batch, heightOf, abort),
    keyAt: mlflowKey,
    readBack: { run: runReader(client, sets) },
    closeRun: async (runId, end, abort) => {
      const run = openedRuns.get(runId)
      return sets(end.made) && run !== undefined ? closeRun(client, run, end, abort) : { kind: 'ok' }
    },
    close: () => client.close(),
  }
}
