import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnv, hasEnded, until, willEnd } from '../harness/processes.ts'
import { freePort } from '../../test/support/mlflow.ts'

/** An OpenTelemetry Collector that runs. */
export interface Collector {
  readonly pid: number
  readonly url: string
  stop: () => Promise<void>
}

export interface CollectorOptions {
  /** The binary. */
  command: string
  work: string
  /** Where it delivers to. */
  sink: string
  /** Its queue is on disk (file_storage), or in memory. */
  queue: 'disk' | 'memory'
  /** A file of JSON lines to read from its beginning, in place of OTLP. */
  file?: string
}

/**
 * Starts it as its documentation says, at its cheapest: no batch processor, no compression, no telemetry of its own. Its
 * queue waits when it is full, for else it would drop; retries never end.
 */
export async function startCollector({ command, work, sink, queue, file }: CollectorOptions): Promise<Collector> {
  const port = await freePort()
  const storage = join(work, 'storage')
  mkdirSync(storage, { recursive: true })
  const receiver =
    file === undefined
      ? { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } }
      : {
          filelog: {
            include: [file],
            start_at: 'beginning',
            operators: [
              {
                type: 'json_parser',
                timestamp: { parse_from: 'attributes.timestamp', layout: '%Y-%m-%dT%H:%M:%S.%fZ' },
              },
            ],
            ...(queue === 'disk' ? { storage: 'file_storage' } : {}),
          },
        }
  const onDisk = queue === 'disk'
  const config = {
    ...(onDisk ? { extensions: { file_storage: { directory: storage } } } : {}),
    receivers: receiver,
    exporters: {
      otlp_http: {
        endpoint: sink,
        compression: 'none',
        retry_on_failure: { max_elapsed_time: 0 },
        sending_queue: { block_on_overflow: true, ...(onDisk ? { storage: 'file_storage' } : {}) },
      },
    },
    service: {
      ...(onDisk ? { extensions: ['file_storage'] } : {}),
      pipelines: {
        [file === undefined ? 'traces' : 'logs']: { receivers: Object.keys(receiver), exporters: ['otlp_http'] },
      },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'error' } },
    },
  }
  const path = join(work, 'collector.yaml')
  writeFileSync(path, JSON.stringify(config)) // JSON is YAML
  const child = spawn(command, ['--config', path], { env: cleanEnv(), stdio: ['ignore', 'ignore', 'pipe'] })
  willEnd(child.pid!)
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-2000)))
  const ended = once(child, 'close')
  const url = `http://127.0.0.1:${port}`
  if (file === undefined)
    await until('start of the Collector', async () => {
      if (child.exitCode !== null) throw new Error(`the Collector ended: ${log}`)
      return fetch(`${url}/v1/traces`, { method: 'POST' }).then(
        () => true,
        () => false,
      )
    })
  return {
    pid: child.pid!,
    url,
    stop: async () => {
      if (child.exitCode !== null) throw new Error(`the Collector ended: ${log}`)
      child.kill('SIGTERM')
      await ended
      hasEnded(child.pid!)
    },
  }
}
