import { randomUUID } from 'node:crypto'
import { isFields } from '../layer/event.ts'
import { runsOf, textAt } from '../exporters/mlflow/run.ts'
import { refusal } from './answers.ts'
import { broken, ok, patience, serverOf, warning } from './findings.ts'
import type { Finding, Hop, Scene } from './hop.ts'

/** Tag, metric and param of a run that is made only to be looked at. */
const KEY = 'spanbridge.doctor'

/** A signal that nobody aborts: what was made is deleted also when the user leaves. */
const NEVER = new AbortController().signal

/** What became of the request to make the run. */
interface Made {
  runId: string | null
  /** No answer came: it may be there all the same. */
  isLost: boolean
  failure: Finding | null
}

/** Makes a run, writes a metric and a param, reads them back, and deletes it again, whatever happens. */
export const probeRun: Hop = {
  name: 'probe run',
  needs: () => ['experiment'],
  look: async (scene) => {
    const probe = randomUUID()
    const made = await make(scene, probe)
    let finding: Finding
    let left: string | null = null
    try {
      finding = made.runId === null ? made.failure! : await writeAndRead(scene, made.runId, probe)
    } finally {
      left = await remove(scene, made, probe)
    }
    return left === null ? finding : withLeftover(finding, left)
  },
}

async function make(scene: Scene, probe: string): Promise<Made> {
  const { id, isNew } = scene.experiment!
  const server = serverOf(scene)
  // The experiment first and whole numbers only: a field that does not parse loses all that follow it.
  const body = {
    experiment_id: id,
    start_time: Date.now(),
    run_name: 'spanbridge doctor',
    tags: [{ key: KEY, value: probe }],
  }
  const answer = await server.client.post('runs/create', body, patience(scene.stop))
  if (answer.kind !== 'ok') {
    const failure = refusal(answer, server, 'the making of a run')
    const isLost = answer.kind === 'unanswered'
    return { runId: null, isLost, failure: isNew ? untried(failure) : failure }
  }
  const runId = textAt(answer.json, 'run', 'info', 'run_id')
  const failure = broken('MLflow answers runs/create without a run', 'is it MLflow, and of a version since 2.0?')
  return { runId, isLost: runId === null, failure: runId === null ? failure : null }
}

/** What another experiment refuses, the one that is not there yet may take. */
const untried = ({ detail, cure }: Finding): Finding =>
  warning(
    `could not be tried, since the experiment is not there yet and the default one refuses: ${detail}`,
    cure ?? '',
  )

async function writeAndRead(scene: Scene, runId: string, probe: string): Promise<Finding> {
  const server = serverOf(scene)
  const body = {
    run_id: runId,
    metrics: [{ key: KEY, value: 1, timestamp: Date.now(), step: 1 }],
    params: [{ key: KEY, value: probe }],
  }
  const written = await server.client.post('runs/log-batch', body, patience(scene.stop))
  if (written.kind !== 'ok') return refusal(written, server, 'a write to a run')
  const answer = await server.client.get('runs/get', { run_id: runId }, patience(scene.stop))
  if (answer.kind !== 'ok') return refusal(answer, server, 'the reading of a run')
  const missing = ['metrics', 'params'].filter((kind) => !isIn(answer.json, kind))
  if (missing.length > 0)
    return broken(
      `MLflow has taken ${missing.join(' and ')} with 200, and does not show them when asked`,
      'look whether several servers with databases of their own, or a copy that lags behind, share this address; and at the output of MLflow',
    )
  const where = scene.experiment!.isNew ? ' (in the default experiment)' : ''
  return ok(`made, written, read back and deleted${where}`)
}

function isIn(json: Record<string, unknown>, kind: string): boolean {
  const data = isFields(json['run']) ? json['run']['data'] : undefined
  const rows = isFields(data) ? data[kind] : undefined
  return Array.isArray(rows) && rows.some((row) => textAt(row, 'key') === KEY)
}

/** Deletes what was made. @returns what could not be deleted, in words */
async function remove(scene: Scene, { runId, isLost }: Made, probe: string): Promise<string | null> {
  const { client } = serverOf(scene)
  const ids = runId !== null ? [runId] : isLost ? await findLost(scene, probe) : []
  // It is not waited for: who asks wants to know now.
  if (isLost && ids.length === 0) return 'the request may be carried out later, and leave a probe run'
  for (const run_id of ids) {
    // Once more: the same request does no harm, and a run that stays looks like somebody's.
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const answer = await client.post('runs/delete', { run_id }, patience(NEVER))
      if (answer.kind === 'ok' || answer.code === 'RESOURCE_DOES_NOT_EXIST') break
      if (attempt === 2) return `the probe run ${run_id} could not be deleted`
    }
  }
  return null
}

/** Runs that a request without an answer has made. */
async function findLost(scene: Scene, probe: string): Promise<string[]> {
  const filter = `tags.\`${KEY}\` = '${probe}'`
  const body = { experiment_ids: [scene.experiment!.id], filter, max_results: 10 }
  const answer = await serverOf(scene).client.post('runs/search', body, patience(NEVER))
  if (answer.kind !== 'ok') return []
  return runsOf(answer.json).flatMap((run) => textAt(run, 'info', 'run_id') ?? [])
}

const withLeftover = (finding: Finding, left: string): Finding =>
  finding.state === 'broken'
    ? { ...finding, detail: `${finding.detail}; ${left}` }
    : warning(
        `${finding.detail.replace(' and deleted', '')}; ${left}`,
        "delete it in MLflow: its name is 'spanbridge doctor'",
      )
