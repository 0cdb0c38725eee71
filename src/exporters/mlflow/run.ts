import { execFile } from 'node:child_process'
import { userInfo } from 'node:os'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { isFields } from '../../layer/event.ts'
import type { OpenResult, RunToOpen, SendResult } from '../exporter.ts'
import type { Answer, MlflowClient } from './client.ts'

/** Tag that finds the run again when the answer to its making was lost. */
const RUN_TAG = 'spanbridge.run'

const GIT_PATIENCE_MS = 2000

export interface RunOptions {
  runId: string | null
  experimentId: string | null
  experimentName: string | null
}

/** The run that was given, else the one found by its tag, else a new one. */
export async function openRun(
  client: MlflowClient,
  options: RunOptions,
  run: RunToOpen,
  abort: AbortSignal,
): Promise<OpenResult> {
  const known = options.runId ?? run.knownId
  if (known !== null) return existingRun(client, known, options.runId === null, abort)
  const experiment = await experimentId(client, options, abort)
  if (typeof experiment !== 'string') return experiment
  if (run.mayExist) {
    const found = await findByTag(client, experiment, run.run, abort)
    if (found.kind !== 'none')
      return found.kind === 'found' ? opened(client, experiment, found.runId, true) : found.failure
  }
  const answer = await client.post('runs/create', await newRun(experiment, run), abort)
  if (answer.kind !== 'ok') return answer
  const runId = textAt(answer.json, 'run', 'info', 'run_id')
  return runId === null ? odd(client, 'runs/create') : opened(client, experiment, runId, true)
}

async function existingRun(
  client: MlflowClient,
  runId: string,
  made: boolean,
  abort: AbortSignal,
): Promise<OpenResult> {
  const answer = await client.get('runs/get', { run_id: runId }, abort)
  if (answer.kind !== 'ok') return answer
  const experiment = textAt(answer.json, 'run', 'info', 'experiment_id')
  if (textAt(answer.json, 'run', 'info', 'lifecycle_stage') === 'deleted') {
    return {
      kind: 'retry',
      error: new Error(
        `MLflow at ${client.address}: the run ${runId} is deleted; restore it there and delivery goes on`,
      ),
    }
  }
  return experiment === null ? odd(client, 'runs/get') : opened(client, experiment, runId, made)
}

const opened = (client: MlflowClient, experiment: string, runId: string, made: boolean): OpenResult => ({
  kind: 'ok',
  runId,
  made,
  page: `${client.base}/#/experiments/${experiment}/runs/${runId}/model-metrics`,
})

const odd = (client: MlflowClient, path: string): { kind: 'retry'; error: Error } => ({
  kind: 'retry',
  error: new Error(`MLflow at ${client.address} answers ${path} without what it should hold: is it MLflow?`),
})

async function experimentId(
  client: MlflowClient,
  options: RunOptions,
  abort: AbortSignal,
): Promise<string | Exclude<OpenResult, { kind: 'ok' }>> {
  if (options.experimentId !== null) return options.experimentId
  const name = options.experimentName
  if (name === null) return '0'
  const answer = await client.get('experiments/get-by-name', { experiment_name: name }, abort)
  if (answer.kind === 'ok') {
    const id = textAt(answer.json, 'experiment', 'experiment_id')
    if (textAt(answer.json, 'experiment', 'lifecycle_stage') === 'deleted') {
      return {
        kind: 'retry',
        error: new Error(
          `MLflow at ${client.address}: the experiment '${name}' is deleted; restore it there, or set another name`,
        ),
      }
    }
    return id ?? odd(client, 'experiments/get-by-name')
  }
  if (answer.kind !== 'drop' || answer.code !== 'RESOURCE_DOES_NOT_EXIST') return answer
  const made = await client.post('experiments/create', { name }, abort)
  if (made.kind === 'ok') return textAt(made.json, 'experiment_id') ?? odd(client, 'experiments/create')
  // Somebody else has made it in between: the next attempt finds it.
  return made.kind === 'drop' && made.code === 'RESOURCE_ALREADY_EXISTS' ? { kind: 'retry', error: made.error } : made
}

type Found =
  | { kind: 'found'; runId: string }
  | { kind: 'none' }
  | { kind: 'failed'; failure: Exclude<Answer, { kind: 'ok' }> }

async function findByTag(client: MlflowClient, experiment: string, run: string, abort: AbortSignal): Promise<Found> {
  const filter = `tags.\`${RUN_TAG}\` = '${run}'`
  const answer = await client.post(
    'runs/search',
    { experiment_ids: [experiment], filter, max_results: 10, order_by: ['attributes.start_time ASC'] },
    abort,
  )
  if (answer.kind !== 'ok') return { kind: 'failed', failure: answer }
  const runs = answer.json['runs']
  const runId = Array.isArray(runs) ? textAt(runs[0], 'info', 'run_id') : null
  return runId === null ? { kind: 'none' } : { kind: 'found', runId }
}

/** `experiment_id` first and whole numbers only: a field that does not parse silently loses all that follow it. */
async function newRun(experiment: string, run: RunToOpen): Promise<object> {
  const commit = await gitCommit(run.directory)
  const tags: (readonly [string, string])[] = [
    [RUN_TAG, run.run],
    ['mlflow.user', userName()],
    ['mlflow.source.name', run.command.length > 0 ? sourceName(run.command) : run.source],
    ['mlflow.source.type', 'LOCAL'],
    ...(commit === null ? [] : [['mlflow.source.git.commit', commit] as const]),
    ...run.tags.filter(([name]) => name !== 'mlflow.runName'),
  ]
  return {
    experiment_id: experiment,
    start_time: Math.trunc(run.startedAt),
    run_name: run.name,
    tags: tags.map(([key, value]) => ({ key, value })),
  }
}

/** The script of an interpreter, else the program. Arguments stay out: they may hold secrets. */
const sourceName = (command: readonly string[]): string =>
  command.find((word) => /\.(?:py|js|mjs|ts|sh)$/.test(word) && !word.startsWith('-')) ?? basename(command[0]!)

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return 'unknown' // a user id without an entry, as containers have
  }
}

async function gitCommit(directory: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('git', ['-C', directory, 'rev-parse', 'HEAD'], {
      timeout: GIT_PATIENCE_MS,
    })
    return /^[0-9a-f]{40,64}$/.test(stdout.trim()) ? stdout.trim() : null
  } catch {
    return null // no git, or no repository
  }
}

/** Sets the end, and believes it only when the answer shows it: a status that MLflow does not know is ignored with 200. */
export async function closeRun(
  client: MlflowClient,
  runId: string,
  end: { status: string; time: number },
  abort: AbortSignal,
): Promise<SendResult> {
  const body = { run_id: runId, status: end.status, end_time: Math.trunc(end.time) }
  const answer = await client.post('runs/update', body, abort)
  if (answer.kind !== 'ok') return answer
  return textAt(answer.json, 'run_info', 'status') === end.status ? { kind: 'ok' } : odd(client, 'runs/update')
}

function textAt(value: unknown, ...path: string[]): string | null {
  let at = value
  for (const name of path) at = isFields(at) ? at[name] : undefined
  return typeof at === 'string' ? at : null
}
