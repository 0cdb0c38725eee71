import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { expect, onTestFinished } from 'vitest'
import { decode, encode, flat, TraceRequest } from '../otlp/oracle.ts'
import type { Recorded } from './otlp.ts'
import { startBridge, temporaryDirectory, type Finished, type Running } from './spanbridge.ts'

/** A collector that notes every request; what it answers is the test's to say. */
export async function collector(answer: (n: number) => number = () => 200) {
  const requests: { body: Buffer; headers: IncomingMessage['headers'] }[] = []
  const found = {
    url: '',
    requests,
    answer,
    port: 0,
    spans: () => requests.flatMap(({ body }) => flat(decode(TraceRequest, body))),
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const sent = Buffer.concat(chunks)
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
      const status = found.answer(requests.length)
      if (status === 200) requests.push({ body, headers: request.headers })
      if (status === 0) request.socket.destroy()
      else response.writeHead(status, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  found.port = (server.address() as AddressInfo).port
  found.url = `http://127.0.0.1:${found.port}`
  return found
}

/** A daemon that takes OTLP only, and its receiver. */
export async function daemon(
  args: readonly string[],
  stateDir = temporaryDirectory(),
  env: Record<string, string> = {},
) {
  const running = startBridge(
    ['--stdin', 'off', '--state-dir', stateDir, '--otlp-http-listen', '127.0.0.1:0', ...args],
    {
      env,
    },
  )
  const file = async (): Promise<string | undefined> => {
    try {
      const directory = `${stateDir}/daemons`
      const name = `${running.child.pid}.json`
      return readdirSync(directory).includes(name) ? readFileSync(`${directory}/${name}`, 'utf8') : undefined
    } catch {
      return undefined
    }
  }
  await expect.poll(file, { timeout: 20_000 }).toBeDefined()
  const { listeners } = JSON.parse((await file())!) as { listeners: Record<string, string> }
  return { running, stateDir, url: `http://${listeners['otlp-http']!}` }
}

export const post = async (
  url: string,
  { path, sent, contentType, contentEncoding }: Omit<Recorded, 'body'>,
): Promise<number> => {
  const headers = {
    'content-type': contentType,
    ...(contentEncoding === null ? {} : { 'content-encoding': contentEncoding }),
  }
  return (await fetch(url + path, { method: 'POST', headers, body: new Uint8Array(sent) })).status
}

export const ended = async ({ child, finished }: Running): Promise<Finished> => {
  child.kill('SIGTERM')
  return finished
}

const hex = (n: number, bytes: number): Buffer => Buffer.from(n.toString(16).padStart(bytes * 2, '0'), 'hex')

/** A request with spans of one trace: `[id, parent, attributes]`. */
export function traceOf(
  trace: number,
  spans: [id: number, parent: number, attributes: Record<string, number>][],
  resource: Record<string, string> = { 'service.name': 'test' },
): Omit<Recorded, 'body'> {
  const message = {
    resourceSpans: [
      {
        resource: {
          attributes: Object.entries(resource).map(([key, value]) => ({ key, value: { stringValue: value } })),
        },
        scopeSpans: [
          {
            scope: { name: 'test' },
            spans: spans.map(([id, parent, attributes]) => ({
              traceId: hex(trace, 16),
              spanId: hex(id, 8),
              ...(parent === 0 ? {} : { parentSpanId: hex(parent, 8) }),
              name: `span ${id}`,
              startTimeUnixNano: '1700000000000000000',
              endTimeUnixNano: '1700000000005000000',
              attributes: Object.entries(attributes).map(([key, value]) => ({
                key,
                value: Number.isInteger(value) ? { intValue: value } : { doubleValue: value },
              })),
            })),
          },
        ],
      },
    ],
  }
  const sent = Buffer.from(encode(TraceRequest, message))
  return { path: '/v1/traces', sent, contentType: 'application/x-protobuf', contentEncoding: null }
}
