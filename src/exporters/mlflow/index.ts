import type { Settings } from '../../config/settings.ts'
import type { Batch, Exporter, PointBatch, SendResult } from '../exporter.ts'
import { MlflowClient } from './client.ts'
import { encodeTexts, MetricEncoder, refusedPoint } from './encode.ts'
import { originalKeyTag } from './keys.ts'
import { closeRun, openRun } from './run.ts'

/** MLflow's own limits of one `runs/log-batch` (mlflow/utils/validation.py). */
const MAX_METRICS = 1000
const MAX_PARAMS = 100
const MAX_TAGS = 100

export const isMlflowConfigured = (settings: Settings): boolean => settings['mlflow.trackingUri'] !== null

/** Sends the points, params and tags of one run to an MLflow tracking server. @throws when a certificate file cannot be read */
export function createMlflow(settings: Settings): Exporter {
  const client = new MlflowClient({
    trackingUri: settings['mlflow.trackingUri']!,
    username: settings['mlflow.username'],
    password: settings['mlflow.password'],
    token: settings['mlflow.token'],
    insecureTls: settings['mlflow.insecureTls'],
    serverCertPath: settings['mlflow.serverCertPath'],
    clientCertPath: settings['mlflow.clientCertPath'],
    proxy: { http: settings['proxy.http'], https: settings['proxy.https'], none: settings['proxy.none'] },
  })
  const options = {
    runId: settings['mlflow.runId'],
    experimentId: settings['mlflow.experimentId'],
    experimentName: settings['mlflow.experimentName'],
  }
  const encoder = new MetricEncoder()
  const logBatch = async (body: string, abort: AbortSignal): Promise<SendResult> => {
    const answer = await client.post('runs/log-batch', body, abort)
    return answer.kind === 'ok' ? { kind: 'ok' } : answer
  }

  const sendPoints = async (runId: string, batch: PointBatch, abort: AbortSignal): Promise<SendResult> => {
    const refused = refusedPoint(batch)
    if (refused !== null) return { kind: 'drop', error: new Error(refused) }
    const body = encoder.encode(runId, batch)
    const untold = encoder.takeUntold()
    for (let i = 0; i < untold.length; i += MAX_TAGS) {
      const entries = untold.slice(i, i + MAX_TAGS).map((original) => [originalKeyTag(original), original] as const)
      const told = await logBatch(encodeTexts(runId, { kind: 'tags', first: 0, count: entries.length, entries }), abort)
      if (told.kind !== 'ok') {
        encoder.putBack(untold.slice(i))
        return told
      }
    }
    return logBatch(body, abort)
  }

  return {
    name: 'mlflow',
    address: client.address,
    accepts: { points: MAX_METRICS, params: MAX_PARAMS, tags: MAX_TAGS },
    openRun: (run, abort) => openRun(client, options, run, abort),
    send: (runId: string, batch: Batch, abort) =>
      batch.kind === 'points' ? sendPoints(runId, batch, abort) : logBatch(encodeTexts(runId, batch), abort),
    closeRun: async (runId, end, abort) =>
      end.made || settings['mlflow.endRun'] === 'always' ? closeRun(client, runId, end, abort) : { kind: 'ok' },
    close: () => client.close(),
  }
}
