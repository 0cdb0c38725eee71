import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { certificate } from '../support/certificate.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { collector } from '../support/otlp-daemon.ts'
import { spanbridge, startBridge, temporaryDirectory } from '../support/spanbridge.ts'

const LINE = '{"step":1,"loss":1,"span":{"name":"update"}}\n'
const REDIRECTS = [301, 302, 303, 307, 308]

interface Heard {
  url: string
  requests: IncomingMessage[]
  connections: number
}

/** A server that notes whoever comes, and answers as `answer` says. */
async function listening(answer: (n: number) => [number, Record<string, string>]): Promise<Heard> {
  const heard: Heard = { url: '', requests: [], connections: 0 }
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(...answer(heard.requests.length)).end()
    heard.requests.push(request)
  })
  server.on('connection', () => (heard.connections += 1))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  heard.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return heard
}

it('a redirect is followed by nothing: not to another port of the host, nor to the same by another name', async () => {
  const other = await listening(() => [200, {}])
  const elsewhere = (n: number): [number, Record<string, string>] => [
    REDIRECTS[n % REDIRECTS.length]!,
    { location: (n % 2 === 0 ? other.url : other.url.replace('127.0.0.1', 'localhost')) + '/api' },
  ]
  const [tracker, traces] = [await listening(elsewhere), await listening(elsewhere)]
  const running = startBridge(['--quiet', '--state-dir', temporaryDirectory(), '--shutdown-deadline', '1s'], {
    env: {
      MLFLOW_TRACKING_URI: tracker.url,
      MLFLOW_TRACKING_TOKEN: 's3cr3t',
      OTEL_EXPORTER_OTLP_ENDPOINT: traces.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-api-key=s3cr3t',
    },
  })
  running.child.stdin.write(LINE)
  await expect.poll(() => tracker.requests.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(REDIRECTS.length)
  running.child.stdin.end()
  const { stderr } = await running.finished
  expect(stderr).toContain('sends us elsewhere (30')
  expect(traces.requests.length).toBeGreaterThan(0)
  expect([...tracker.requests, ...traces.requests].some(({ url }) => url!.endsWith('/api'))).toBe(false)
  expect([other.connections, other.requests]).toEqual([0, []])
})

it('each destination gets its own credentials and those of no other', async () => {
  const [mlflow, sink] = [await FakeMlflow.start(), await collector()]
  const { code } = await spanbridge(['--quiet', '--state-dir', temporaryDirectory()], LINE, {
    env: {
      MLFLOW_TRACKING_URI: mlflow.url,
      MLFLOW_TRACKING_TOKEN: 'of-mlflow',
      OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-api-key=of-collector',
    },
  })
  expect(code).toBe(0)
  const ofMlflow = mlflow.seen.map(({ headers }) => JSON.stringify(headers))
  const ofSink = sink.requests.map(({ headers }) => JSON.stringify(headers))
  expect([ofMlflow.every((text) => text.includes('of-mlflow')), ofMlflow.join('').includes('of-collector')]).toEqual([
    true,
    false,
  ])
  expect([ofSink.every((text) => text.includes('of-collector')), ofSink.join('').includes('of-mlflow')]).toEqual([
    true,
    false,
  ])
})

it('what an earlier run left goes to the server that is set now, and nothing to the one of then', async () => {
  const [before, now] = [await FakeMlflow.start(), await FakeMlflow.start()]
  const stateDir = temporaryDirectory()
  const flags = ['--quiet', '--state-dir', stateDir]
  await before.close()
  const first = await spanbridge([...flags, '--shutdown-deadline', '1s'], LINE, {
    env: { MLFLOW_TRACKING_URI: before.url, MLFLOW_TRACKING_TOKEN: 'a' },
  })
  expect(first.code).toBe(1)
  await before.listen()
  const env = { MLFLOW_TRACKING_URI: now.url, MLFLOW_TRACKING_TOKEN: 'b' }
  // On a machine that is all in use an answer may be late: then it is to be run again, as it says.
  await expect.poll(async () => (await spanbridge(['sync', ...flags], '', { env })).code, { timeout: 60_000 }).toBe(0)
  expect([before.seen, now.points.size]).toEqual([[], 1])
})

it('the credentials of a proxy go no further, and by https those of the server do not stop there', async () => {
  const [asked, came]: IncomingMessage['headers'][][] = [[], []]
  const { cert, key, pem } = certificate()
  const server = createTlsServer({ cert, key }, (request, response) => {
    came!.push(request.headers)
    response.end('{}')
  })
  const proxy = createServer((_request, response) => response.writeHead(400).end())
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
    asked!.push(request.headers)
    const [host, port] = request.url!.split(':')
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    for (const end of [onward, socket]) end.on('error', () => end.destroy())
  })
  const [at, by] = [await portOf(server), await portOf(proxy)]
  const flags = ['--quiet', '--state-dir', temporaryDirectory(), '--shutdown-deadline', '1s']
  await spanbridge(flags, LINE, {
    env: {
      MLFLOW_TRACKING_URI: `https://127.0.0.1:${at}`,
      MLFLOW_TRACKING_SERVER_CERT_PATH: pem,
      MLFLOW_TRACKING_TOKEN: 'of-mlflow',
      https_proxy: `http://me:of-proxy@127.0.0.1:${by}`,
    },
  })
  expect(asked!.map((headers) => headers['proxy-authorization'])).toContain(`Basic ${btoa('me:of-proxy')}`)
  expect(JSON.stringify(asked)).not.toContain('of-mlflow')
  expect(came!.map(({ authorization }) => authorization)).toContain('Bearer of-mlflow')
  expect(came!.filter((headers) => 'proxy-authorization' in headers)).toEqual([])
})

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}
