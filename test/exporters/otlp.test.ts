import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { createOtlp } from '../../src/exporters/otlp/index.ts'
import type { SpanBatch } from '../../src/exporters/exporter.ts'
import { framed } from '../../src/otlp/span-blocks.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { Via } from '../../src/otlp/via.ts'
import { certificate } from '../support/certificate.ts'
import { traceOf } from '../support/otlp-daemon.ts'
import { runToOpen } from '../support/run-to-open.ts'

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

const batchOf = (...traces: number[]): SpanBatch => {
  const rows = traces.flatMap((trace) => readTraces(traceOf(trace, [[1, 0, { step: 1 }]]).sent))
  const blocks = rows.map((row) => ({ ...row, count: 1, bytes: framed(row.bytes) }))
  return { kind: 'spans', first: 1, count: rows.length, blocks }
}

/** Opens the run `r` and sends a batch, with settings from the environment; what came of it. */
async function send(env: Record<string, string>, batch: SpanBatch): Promise<string> {
  const { settings, problems } = loadSettings(readFlags([], false), env)
  expect(problems).toEqual([])
  const exporter = createOtlp({ settings, via: new Via('own') })
  const { signal } = new AbortController()
  const run = { ...runToOpen, target: {}, peer: { runId: 'r', group: '7' } }
  await exporter.openRun(run, signal)
  const result = await exporter.send('r', batch, signal)
  await exporter.close()
  return result.kind === 'ok' ? 'ok' : `${result.kind}: ${result.error.message}`
}

/** MLflow of a version, as far as spans go. */
async function mlflowOf(version: string, link: (response: ServerResponse) => void = (response) => response.end('{}')) {
  const asked: { path: string; run: unknown; body: string }[] = []
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const path = request.url!
      if (path === '/version') response.end(version)
      else {
        asked.push({ path, run: request.headers['x-mlflow-run-id'], body: Buffer.concat(chunks).toString() })
        if (path.endsWith('/link-to-run')) link(response)
        else response.end()
      }
    })
  })
  return { asked, env: { MLFLOW_TRACKING_URI: `http://127.0.0.1:${await listen(server)}` } }
}

describe('an answer that does not end', () => {
  it('is read no further than its first MiB, and counts for what its status says', async () => {
    let sent = 0
    const closed = Promise.withResolvers<void>()
    const server = createServer((request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/plain' })
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 << 10))) sent += 64 << 10
        if (!response.destroyed) response.once('drain', more)
      }
      response.on('close', closed.resolve)
      more()
    })
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await listen(server)}` }
    expect(await send(env, batchOf(1))).toBe('ok')
    await closed.promise
    expect(sent).toBeLessThan(32 << 20)
  })
})

describe('spans for MLflow', () => {
  it('are linked to the run by a header, and one by one where the server does not know it', async () => {
    const recent = await mlflowOf('3.17.2')
    expect(await send(recent.env, batchOf(1, 2))).toBe('ok')
    expect(recent.asked).toMatchObject([{ path: '/v1/traces', run: 'r' }])
    const old = await mlflowOf('3.12.0')
    expect(await send(old.env, batchOf(1, 2, 1))).toBe('ok')
    expect(old.asked.map(({ path }) => path)).toEqual(['/v1/traces', '/api/2.0/mlflow/traces/link-to-run'])
    expect(JSON.parse(old.asked[1]!.body)).toEqual({
      run_id: 'r',
      trace_ids: [`tr-${'1'.padStart(32, '0')}`, `tr-${'2'.padStart(32, '0')}`],
    })
  })

  it('go again when the link could not be set, and stay when it is refused', async () => {
    const away = await mlflowOf('3.12.0', (response) => response.writeHead(503).end())
    expect(await send(away.env, batchOf(1))).toMatch(/^retry: /)
    const against = await mlflowOf('3.12.0', (response) =>
      response.writeHead(400).end('{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}'),
    )
    expect(await send(against.env, batchOf(1))).toBe('ok')
  })
})

describe('a destination of spans', () => {
  it('with a certificate of its own is trusted by the variables of OpenTelemetry, and may ask for ours', async () => {
    const { cert, key, pem } = certificate()
    const options = { cert, key, ca: cert, requestCert: true, rejectUnauthorized: true }
    const server = createTlsServer(options, (_request, response) => void response.end())
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `https://127.0.0.1:${await listen(server)}` }
    expect(await send(env, batchOf(1))).toContain('OTEL_EXPORTER_OTLP_CERTIFICATE')
    const trusted = { ...env, OTEL_EXPORTER_OTLP_CERTIFICATE: pem }
    expect(await send(trusted, batchOf(1))).not.toBe('ok')
    const known = {
      ...trusted,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: pem,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: pem.replace('cert.pem', 'key.pem'),
    }
    expect(await send(known, batchOf(1))).toBe('ok')
  })

  it('has the time that the variables of OpenTelemetry give it, in milliseconds', () => {
    const timeoutOf = (env: Record<string, string>): number | undefined => {
      const { settings } = loadSettings(readFlags([], false), {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1',
        ...env,
      })
      return createOtlp({ settings, via: new Via('own') }).timeoutMs
    }
    expect(timeoutOf({})).toBe(3000)
    expect(timeoutOf({ OTEL_EXPORTER_OTLP_TIMEOUT: '1500' })).toBe(1500)
    expect(timeoutOf({ OTEL_EXPORTER_OTLP_TIMEOUT: '1500', OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '700' })).toBe(700)
  })
})
