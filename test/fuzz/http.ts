import { Readable } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { deflateSync, gzipSync } from 'node:zlib'
import { BodyBudget, readBody, Refusal } from '../../src/receivers/otlp-http/body.ts'
import { listenOtlpHttp, type OtlpHttpServer } from '../../src/receivers/otlp-http/server.ts'
import { hostile, hostileBytes, recorded } from '../otlp/bodies.ts'
import { mutate } from './mutate.ts'
import { law, type Target } from './target.ts'

/** Memory that the bodies share here; a body of 64 MiB has no room in it. */
const BUDGET_BYTES = 8 << 20

const plain = recorded.map(({ body }) => Buffer.from(body)).slice(0, 20)
const compressed = [
  ...plain.flatMap((body) => [gzipSync(body), deflateSync(body)]),
  ...hostile.filter(({ data }) => data.includes('gz')).map(({ data }) => hostileBytes(data)),
  gzipSync(Buffer.alloc(4 << 20)),
]

const ENCODINGS = ['gzip', 'deflate', 'identity', ' GZIP ', '', 'br', '__proto__', 'constructor']

/** The first byte of an input says under which encoding it comes, and in how many pieces. */
const bodies: Target = {
  name: 'bodies',
  share: 120,
  make: (random) => {
    const body = random.of(compressed)
    const changed = random.chance(0.9) ? mutate(body, random, random.of(compressed)) : body
    const kind = random.chance(0.8) ? Number(changed[0] !== 0x1f) : random.whole(0, 255)
    return Buffer.concat([Buffer.from([kind]), changed])
  },
  read: async (input) => {
    const kind = input[0] ?? 0
    const body = input.subarray(1)
    const middle = Math.floor((body.length * kind) / 256)
    const headers = { 'content-encoding': ENCODINGS[kind % ENCODINGS.length]! }
    const request = Object.assign(Readable.from([body.subarray(0, middle), body.subarray(middle)]), { headers })
    const budget = new BodyBudget(BUDGET_BYTES)
    const isWhole = (): boolean => budget.take(BUDGET_BYTES)
    try {
      const held = await readBody(request as unknown as IncomingMessage, budget)
      law(held.body.length <= BUDGET_BYTES, 'a body is within its memory')
      held.release()
      law(isWhole(), 'all memory comes back')
      return 'read'
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      law([400, 413, 415, 503].includes(error.status), 'a refusal has its status')
      law(isWhole(), 'all memory comes back')
      return 'refused'
    }
  },
}

const head = (path: string, ...lines: string[]): string =>
  [`POST ${path} HTTP/1.1`, 'host: localhost', ...lines, '', ''].join('\r\n')

const requests = [
  head('/v1/traces', 'content-type: application/x-protobuf', 'content-length: 4') + '\n\x02\n\x00',
  head('/v1/logs?a=b', 'content-type: application/json; charset=utf-8', 'content-length: 2') + '{}',
  head('/v1/metrics', 'content-type: application/json', 'transfer-encoding: chunked') + '2\r\n{}\r\n0\r\n\r\n',
  head(
    '/v1/traces',
    'spanbridge-via: a,b',
    'authorization: Bearer t',
    'content-encoding: gzip',
    'expect: 100-continue',
    'content-length: 0',
  ),
  head(
    '/v1/traces',
    'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'tracestate: a=b',
    'content-length: 0',
  ),
].map((text) => Buffer.from(text, 'latin1'))

let server: OtlpHttpServer | null = null
const faults: Error[] = []

/** One for all inputs; it does not keep the process. */
async function listening(): Promise<OtlpHttpServer> {
  server ??= await listenOtlpHttp({
    host: '127.0.0.1',
    port: 0,
    token: null,
    take: async () => null,
    hasComeBack: (via) => via.includes('own'),
    onFault: (error) => faults.push(error),
  })
  return server
}

/** What comes back for the bytes of a connection. */
async function answerTo(bytes: Buffer): Promise<string> {
  const { address } = await listening()
  const [host, port] = address.split(':') as [string, string]
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), host)
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => {}) // closed before it had sent all
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.end(bytes)
  })
}

const requestHeads: Target = {
  name: 'request',
  share: 15,
  make: (random) => mutate(random.of(requests), random, random.of(requests)),
  read: async (input) => {
    const answer = await answerTo(input)
    const [fault] = faults.splice(0)
    if (fault !== undefined) throw fault
    law(answer === '' || /^HTTP\/1\.1 [1-5]\d\d /.test(answer), 'an answer is HTTP')
    return / 200 /.test(answer.slice(0, 20)) ? 'read' : 'refused'
  },
}

/** Ends what was begun for the inputs. */
export async function closeHttp(): Promise<void> {
  await server?.close()
  server = null
}

export const HTTP_TARGETS: readonly Target[] = [bodies, requestHeads]
