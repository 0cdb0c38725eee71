import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Another version can be tested by naming its `mlflow` in TEST_MLFLOW. */
const MLFLOW = process.env['TEST_MLFLOW'] ?? fileURLToPath(new URL('../../.venv/bin/mlflow', import.meta.url))

/** A port that was free a moment ago. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

export interface MlflowServer {
  url: string
  process: ChildProcess
  stop(): Promise<void>
}

/** Starts a real MLflow server with a database of its own, and waits until it answers. */
export async function startMlflow(
  directory = mkdtempSync(join(tmpdir(), 'mlflow-')),
  port?: number,
  { args: more = [], env: extra = {} }: { args?: readonly string[]; env?: Record<string, string> } = {},
): Promise<MlflowServer> {
  const at = port ?? (await freePort())
  const args = [
    'server',
    '--workers',
    '1',
    '--host',
    '127.0.0.1',
    '--port',
    String(at),
    '--backend-store-uri',
    `sqlite:///${directory}/mlflow.db`,
    '--default-artifact-root',
    `${directory}/artifacts`,
    ...more,
  ]
  const env = {
    ...process.env,
    ...extra,
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
    MLFLOW_DISABLE_TELEMETRY: 'true',
  }
  const child = spawn(MLFLOW, args, { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let log = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-5000)))
  const url = `http://127.0.0.1:${at}`
  for (const until = Date.now() + 90_000; ;) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`MLflow did not start: ${log}`)
    const answer = await fetch(`${url}/version`).catch(() => null)
    // With authentication even the version is not told.
    if (answer?.ok === true || answer?.status === 401) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return {
    url,
    process: child,
    stop: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch {
        return // it has gone by itself
      }
      await gone
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Reads a tracking server back through its own API. */
export class MlflowApi {
  readonly #base: string

  constructor(url: string) {
    this.#base = `${url}/api/2.0/mlflow`
  }

  async get(path: string, query: Record<string, string>): Promise<any> {
    const answer = await fetch(`${this.#base}/${path}?${new URLSearchParams(query).toString()}`)
    return this.#read(path, answer)
  }

  async post(path: string, body: object): Promise<any> {
    const answer = await fetch(`${this.#base}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return this.#read(path, answer)
  }

  async #read(path: string, answer: Response): Promise<any> {
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`)
    return JSON.parse(text)
  }

  run = async (runId: string): Promise<any> => (await this.get('runs/get', { run_id: runId })).run

  /** Every stored row of one metric. */
  async history(runId: string, key: string): Promise<{ step: number; timestamp: number; value: number }[]> {
    const rows: { step: number; timestamp: number; value: number }[] = []
    for (let token = ''; ;) {
      const page = await this.get('metrics/get-history', {
        run_id: runId,
        metric_key: key,
        max_results: '25000',
        ...(token === '' ? {} : { page_token: token }),
      })
      for (const metric of page.metrics ?? [])
        rows.push({ step: Number(metric.step ?? 0), timestamp: Number(metric.timestamp), value: Number(metric.value) })
      token = page.next_page_token ?? ''
      if (token === '') return rows
    }
  }

  /** Traces that are linked to a run, with their spans. */
  async traces(runId: string): Promise<{ id: string; spans: Record<string, any>[] }[]> {
    const v3 = this.#base.replace('/api/2.0/', '/api/3.0/')
    const answer = await fetch(`${v3}/traces/search`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        locations: [{ type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id: '0' } }],
        filter: `attributes.run_id = '${runId}'`,
        max_results: 100,
      }),
    })
    const { traces = [] } = await this.#read('traces/search', answer)
    const found = []
    for (const { trace_id: id } of traces as { trace_id: string }[]) {
      const got = await fetch(`${v3}/traces/get?${new URLSearchParams({ trace_id: id }).toString()}`)
      const { trace } = await this.#read('traces/get', got)
      found.push({ id, spans: trace.spans ?? [] })
    }
    return found
  }

  /** How many traces are linked to a run. */
  async countTraces(runId: string): Promise<number> {
    let count = 0
    for (let token = ''; ;) {
      const answer = await fetch(`${this.#base.replace('/api/2.0/', '/api/3.0/')}/traces/search`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          locations: [{ type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id: '0' } }],
          filter: `attributes.run_id = '${runId}'`,
          max_results: 100,
          ...(token === '' ? {} : { page_token: token }),
        }),
      })
      const page = await this.#read('traces/search', answer)
      count += (page.traces ?? []).length
      token = page.next_page_token ?? ''
      if (token === '') return count
    }
  }

  /** Every row of every metric of a run. */
  async points(runId: string): Promise<{ key: string; step: number; time: number; value: number }[]> {
    const keys: string[] = ((await this.run(runId)).data.metrics ?? []).map((metric: { key: string }) => metric.key)
    const all = []
    for (const key of keys)
      for (const { step, timestamp, value } of await this.history(runId, key))
        all.push({ key, step, time: timestamp, value })
    return all
  }
}
