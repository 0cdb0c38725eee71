import { execFileSync } from 'node:child_process'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { createMlflow } from '../../src/exporters/mlflow/index.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { runToOpen } from '../support/run-to-open.ts'
import { certificate } from '../support/certificate.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

/** Asks for the run `r`, with settings from the environment as MLflow's own client reads them; what came of it, in a word. */
async function open(env: Record<string, string>): Promise<string> {
  const { settings, problems } = loadSettings(readFlags([], false), { MLFLOW_RUN_ID: 'r', ...env })
  expect(problems).toEqual([])
  const exporter = createMlflow({ settings })
  const result = await exporter.openRun({ ...runToOpen, target: exporter.target }, new AbortController().signal)
  await exporter.close()
  return result.kind === 'ok' ? 'ok' : result.error.message
}

const answer = (_request: IncomingMessage, response: ServerResponse): void => {
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end('{"run":{"info":{"run_id":"r","experiment_id":"0"},"data":{}}}')
}

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => void sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

describe('a server with a certificate of its own', () => {
  it('is refused with the way out, trusted by its file, and by MLFLOW_TRACKING_INSECURE_TLS', async () => {
    const { cert, key, pem } = certificate()
    const uri = `https://127.0.0.1:${await listen(createTlsServer({ cert, key }, answer))}`
    const refused = await open({ MLFLOW_TRACKING_URI: uri })
    expect(refused).toContain('shows a certificate that does not hold')
    expect(refused).toContain('MLFLOW_TRACKING_SERVER_CERT_PATH')
    expect(await open({ MLFLOW_TRACKING_URI: uri, MLFLOW_TRACKING_SERVER_CERT_PATH: pem })).toBe('ok')
    expect(await open({ MLFLOW_TRACKING_URI: uri, MLFLOW_TRACKING_INSECURE_TLS: 'true' })).toBe('ok')
  })

  it('may ask for ours', async () => {
    const { cert, key, pem } = certificate()
    const both = join(temporaryDirectory(), 'client.pem')
    execFileSync('sh', ['-c', `cat "$1" "$2" > "$3"`, 'sh', pem, pem.replace('cert.pem', 'key.pem'), both])
    const server = createTlsServer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: true }, answer)
    const env = {
      MLFLOW_TRACKING_URI: `https://127.0.0.1:${await listen(server)}`,
      MLFLOW_TRACKING_SERVER_CERT_PATH: pem,
    }
    expect(await open(env)).not.toBe('ok')
    expect(await open({ ...env, MLFLOW_TRACKING_CLIENT_CERT_PATH: both })).toBe('ok')
  })

  it('that is named by a file which is not there is a problem of the settings', () => {
    const { problems } = loadSettings(readFlags([], false), {
      MLFLOW_TRACKING_URI: 'https://127.0.0.1',
      MLFLOW_TRACKING_SERVER_CERT_PATH: '/no/such.pem',
    })
    expect(problems.join()).toContain("mlflow.serverCertPath: expected a file with certificates, got '/no/such.pem'")
  })
})

/** A proxy that hands on both kinds of requests and keeps what it was asked for. */
async function proxy(): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const target = new URL(request.url!)
    const onward = httpRequest(target, { method: request.method, headers: request.headers }, (reply) => {
      response.writeHead(reply.statusCode!, reply.headers)
      reply.pipe(response)
    })
    request.pipe(onward)
  })
  server.on('connect', (request, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`)
    const [host, port] = request.url!.split(':')
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    for (const end of [onward, socket]) end.on('error', () => end.destroy())
  })
  return { url: `http://127.0.0.1:${await listen(server)}`, asked }
}

describe('a proxy', () => {
  it('is used for http and https as the environment says, with or without a scheme, and not for NO_PROXY', async () => {
    const fake = await FakeMlflow.start()
    fake.fault = (_request, response) => (
      response.writeHead(200).end('{"run":{"info":{"run_id":"r","experiment_id":"0"},"data":{}}}'),
      true
    )
    const { url, asked } = await proxy()
    expect(await open({ MLFLOW_TRACKING_URI: fake.url, HTTP_PROXY: url })).toBe('ok')
    expect(asked.some((text) => text.includes(new URL(fake.url).host))).toBe(true)

    asked.length = 0
    expect(await open({ MLFLOW_TRACKING_URI: fake.url, http_proxy: new URL(url).host })).toBe('ok')
    expect(asked.length).toBeGreaterThan(0)

    asked.length = 0
    expect(await open({ MLFLOW_TRACKING_URI: fake.url, HTTP_PROXY: url, NO_PROXY: 'localhost,127.0.0.1' })).toBe('ok')
    expect(asked).toEqual([])

    const { cert, key, pem } = certificate()
    const port = await listen(createTlsServer({ cert, key }, answer))
    expect(
      await open({
        MLFLOW_TRACKING_URI: `https://127.0.0.1:${port}`,
        HTTPS_PROXY: url,
        MLFLOW_TRACKING_SERVER_CERT_PATH: pem,
      }),
    ).toBe('ok')
    expect(asked).toContain(`CONNECT 127.0.0.1:${port}`)
  })
})
