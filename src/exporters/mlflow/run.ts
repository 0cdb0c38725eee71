import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { isFields } from '../../layer/event.ts'
import type { Failure, Heights, OpenResult, RunToOpen, SendResult } from '../exporter.ts'
import type { Answer, MlflowClient } from './client.ts'

/** Tag that finds the run again when the answer to its making was lost. */
export const RUN_TAG = 'spanbridge.run'

const GIT_PATIENCE_MS = 2000

/** A request to make a run that was not answered may still be carried out: it is sent again this much later. */
const MAKING_PATIENCE_MS = 30_000

/** A run once it is known. */
export interface OpenedRun {
  runId: string
  experiment: string
  /** The run's ULID. */
  run: string
}

type OpenedResult = (OpenResult & { kind: 'ok'; experiment: string }) | Failure

/** Where a run is to go; kept in the journal as the exporter's `target`. */
export interface RunTarget extends Record<string, string | null> {
  runId: string | null
  experimentId: string | null
  experimentName: string | null
}

/** Everything but the making of a run is quick, or not to be had. */
const READ_TIMEOUT_MS = 3000

/** The run that was given or known, else the one found by its tag, else a new one. */
export async function openRun(client: MlflowClient, run: RunToOpen, whole: AbortSignal): Promise<OpenedResult> {
  const abort = AbortSignal.any([whole, AbortSignal.timeout(READ_TIMEOUT_MS)])
  const target = run.target as RunTarget
  if (run.knownId !== null || target.runId !== null) return existingRun(client, run, target, abort)
  const experiment = await experimentId(client, target, abort)
  if (typeof experiment !== 'string') return experiment
  if (run.makingSince !== null || run.mayExist) {
    const found = await findByTag(client, experiment, run.run, abort)
    if (found.kind === 'failed') return found.failure
    if (found.kind === 'found') return opened(client, experiment, found.runId, true)
  }
  if (run.makingSince !== null) {
    // The clock may have been set back: a time that lies ahead is as good as none.
    const age = Date.now() - run.makingSince
    if (age >= 0 && age < MAKING_PATIENCE_MS) {
      return {
        kind: 'retry',
        error: new Error(
          `MLflow at ${client.address} has not answered the request to make a run; it is looked for before another one is made`,
        ),
      }
    }
  }
  return makeRun(client, experiment, run, whole)
}

async function makeRun(
  client: MlflowClient,
  experiment: string,
  run: RunToOpen,
  abort: AbortSignal,
): Promise<OpenedResult> {
  const body = await newRun(experiment, run)
  run.making(Date.now())
  const answer = await client.post('runs/create', body, abort)
  if (answer.kind === 'unanswered') return answer
  if (answer.kind !== 'ok') {
    run.making(null)
    return answer
  }
  // That it is made is noted together with its id: a crash in between finds it by its tag.
  const runId = textAt(answer.json, 'run', 'info', 'run_id')
  return runId === null ? odd(client, 'runs/create') : opened(client, experiment, runId, true)
}

async function existingRun(
  client: MlflowClient,
  run: RunToOpen,
  target: RunTarget,
  abort: AbortSignal,
): Promise<OpenedResult> {
  const runId = run.knownId ?? target.runId!
  const made = run.knownId === null ? false : run.knownMade
  const answer = await client.get('runs/get', { run_id: runId }, abort)
  if (answer.kind === 'drop') return { ...answer, noSuchRun: answer.code === 'RESOURCE_DOES_NOT_EXIST' }
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
  if (experiment === null) return odd(client, 'runs/get')
  if (run.reopen && made) {
    const reopened = await client.post('runs/update', { run_id: runId, status: 'RUNNING' }, abort)
    if (reopened.kind !== 'ok') return reopened
  }
  return { ...opened(client, experiment, runId, made), heights: heightsOf(answer.json) }
}

/**
 * The highest step of each metric of a run: its latest metric is that of the largest step. Where that cannot be read, no
 * step lies beyond it, so that no point is taken for stored.
 */
function heightsOf(json: Record<string, unknown>): Heights {
  const run = json['run']
  const data = isFields(run) ? run['data'] : undefined
  const metrics = isFields(data) && Array.isArray(data['metrics']) ? (data['metrics'] as unknown[]) : []
  return new Map(metrics.filter(isFields).map((metric) => [textAt(metric, 'key') ?? '', stepOf(metric['step'] ?? 0)]))
}

function stepOf(value: unknown): number {
  const step = numberIn(value)
  return Number.isFinite(step) ? step : Number.MAX_SAFE_INTEGER
}

/** A number of an answer, which may be its text; NaN when it is none. */
export const numberIn = (value: unknown): number =>
  typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN

const opened = (
  client: MlflowClient,
  experiment: string,
  runId: string,
  made: boolean,
): OpenedResult & { kind: 'ok' } => ({
  kind: 'ok',
  runId,
  experiment,
  made,
  page: `${client.base}/#/experiments/${experiment}/runs/${runId}/model-metrics`,
})

export const odd = (client: MlflowClient, path: string): { kind: 'retry'; error: Error } => ({
  kind: 'retry',
  error: new Error(`MLflow at ${client.address} answers ${path} without what it should hold: is it MLflow?`),
})

async function experimentId(client: MlflowClient, target: RunTarget, abort: AbortSignal): Promise<string | Failure> {
  if (target.experimentId !== null) return target.experimentId
  const name = target.experimentName
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

type Found = { kind: 'found'; runId: string } | { kind: 'none' } | { kind: 'failed'; failure: Failure }

/** The oldest run with our tag. */
async function findByTag(client: MlflowClient, experiment: string, run: string, abort: AbortSignal): Promise<Found> {
  const answer = await searchByTag(client, experiment, run, abort)
  if (answer.kind !== 'ok') return { kind: 'failed', failure: answer }
  const runId = textAt(runsOf(answer.json)[0], 'info', 'run_id')
  return runId === null ? { kind: 'none' } : { kind: 'found', runId }
}

function searchByTag(client: MlflowClient, experiment: string, run: string, abort: AbortSignal): Promise<Answer> {
  const filter = `tags.\`${RUN_TAG}\` = '${run}'`
  const order_by = ['attributes.start_time ASC']
  return client.post('runs/search', { experiment_ids: [experiment], filter, max_results: 10, order_by }, abort)
}

/** The runs of an answer to a search. */
export const runsOf = (json: Record<string, unknown>): unknown[] =>
  Array.isArray(json['runs']) ? (json['runs'] as unknown[]) : []

/**
 * Deletes twins of a run of ours: a request to make it that was answered late has made them. Only what bears our tag
 * and is empty goes; that a server refuses this is no reason not to end the run.
 */
async function deleteTwins(client: MlflowClient, run: OpenedRun, abort: AbortSignal): Promise<SendResult> {
  const answer = await searchByTag(client, run.experiment, run.run, abort)
  if (answer.kind !== 'ok') return answer.kind === 'drop' ? { kind: 'ok' } : answer
  for (const twin of runsOf(answer.json).filter(isFields)) {
    const runId = textAt(twin, 'info', 'run_id')
    const data = twin['data']
    const isEmpty = isFields(data) && data['metrics'] === undefined && data['params'] === undefined
    if (runId === null || runId === run.runId || !isEmpty) continue
    const deleted = await client.post('runs/delete', { run_id: runId }, abort)
    if (deleted.kind === 'retry' || deleted.kind === 'unanswered') return deleted
  }
  return { kind: 'ok' }
}

/**
 * The tags of our own; the user's follow in a request of their own, and may replace them. `experiment_id` first and whole numbers only: a field that does not parse silently loses all that follow it.
 */
async function newRun(experiment: string, run: RunToOpen): Promise<object> {
  const commit = await gitCommit(run.directory)
  const tags: (readonly [string, string])[] = [
    [RUN_TAG, run.run],
    ['mlflow.user', userName()],
    ['mlflow.source.name', run.command.length > 0 ? sourceName(run.command) : run.source],
    ['mlflow.source.type', 'LOCAL'],
    ...(commit === null ? [] : [['mlflow.source.git.commit', commit] as const]),
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
  if (!existsSync(directory)) return null
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
  run: OpenedRun,
  end: { status: string; time: number },
  abort: AbortSignal,
): Promise<SendResult> {
  const answer = await client.post(
    'runs/update',
    { run_id: run.runId, status: end.status, end_time: Math.trunc(end.time) },
    abort,
  )
  if (answer.kind !== 'ok') return answer
  if (textAt(answer.json, 'run_info', 'status') !== end.status) return odd(client, 'runs/update')
  return deleteTwins(client, run, abort)
}

/** The text at a path of an answer, or null. */
export function textAt(value: unknown, ...path: string[]): string | null {
  let at = value
  for (const name of path) at = isFields(at) ? at[name] : undefined
  return typeof at === 'string' ? at : null
}
