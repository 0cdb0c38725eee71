import { request } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Refusal } from '../../src/receivers/otlp-http/body.ts'
import { listenOtlpHttp, type OtlpHttpOptions } from '../../src/receivers/otlp-http/server.ts'

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

/** A receiver that notes what it takes. */
async function receiver(options: Partial<OtlpHttpOptions> = {}) {
  const taken: { path: string; body: Buffer; encoding: string }[] = []
  const server = await listenOtlpHttp({
    host: '127.0.0.1',
    port: 0,
    token: null,
    take: async (path, body, encoding) => {
      taken.push({ path, body, encoding })
      return null
    },
    hasComeBack: () => false,
    onFault: () => {},
    ...options,
  })
  onTestFinished(() => server.close())
  const [host, port] = server.address.split(':')
  const ask = (
    path: string,
    {
      method = 'POST',
      headers = {},
      body = Buffer.alloc(0),
      chunked = false,
    }: { method?: string; headers?: Record<string, string>; body?: Buffer; chunked?: boolean } = {},
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const length: Record<string, number> = chunked ? {} : { 'content-length': body.length }
      const asked = request(
        { host, port, path, method, headers: { 'content-type': 'application/x-protobuf', ...length, ...headers } },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () =>
            resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
          )
        },
      )
      asked.on('error', reject)
      asked.end(body)
    })
  return { server, taken, ask, host: host!, port: Number(port) }
}

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }

describe('a request', () => {
  it('is taken with a length or chunked, plain or gzip, in protobuf or JSON, and answered in its own type', async () => {
    const { ask, taken } = await receiver()
    const body = Buffer.from('spans')
    const answers = [
      await ask('/v1/traces', { body }),
      await ask('/v1/logs', { body, chunked: true }),
      await ask('/v1/traces', { body: gzipSync(body), headers: { 'content-encoding': 'gzip' } }),
      await ask('/v1/traces?x=1', { body, headers: JSON_TYPE }),
    ]
    expect(
      answers.map(({ status, headers, body: answer }) => [status, headers['content-type'], answer.toString()]),
    ).toEqual([
      [200, 'application/x-protobuf', ''],
      [200, 'application/x-protobuf', ''],
      [200, 'application/x-protobuf', ''],
      [200, 'application/json', '{}'],
    ])
    expect(taken.map(({ path, body: got, encoding }) => [path, got.toString(), encoding])).toEqual([
      ['/v1/traces', 'spans', 'protobuf'],
      ['/v1/logs', 'spans', 'protobuf'],
      ['/v1/traces', 'spans', 'protobuf'],
      ['/v1/traces', 'spans', 'json'],
    ])
  })

  it('that cannot be taken is refused with the status of the specification and words in a Status', async () => {
    const { ask, taken } = await receiver()
    const refused = async (status: number, words: string, ...asked: Parameters<typeof ask>): Promise<void> => {
      const answer = await ask(...asked)
      expect([answer.status, answer.body.toString()]).toEqual([status, expect.stringContaining(words)])
    }
    await refused(404, '/v1/traces, /v1/logs', '/v1/spans')
    await refused(405, 'expected POST, got GET', '/v1/traces', { method: 'GET' })
    await refused(415, "got 'text/plain'", '/v1/traces', { headers: { 'content-type': 'text/plain' } })
    await refused(415, "got 'zstd'", '/v1/traces', { headers: { 'content-encoding': 'zstd' } })
    await refused(400, 'the body is no gzip', '/v1/traces', {
      headers: { 'content-encoding': 'gzip' },
      body: Buffer.from('x'),
    })
    await refused(403, 'Host header', '/v1/traces', { headers: { host: 'evil.example:4318' } })
    const json = await ask('/v1/spans', { headers: JSON_TYPE })
    expect(JSON.parse(json.body.toString())).toMatchObject({ code: 5 })
    expect((await ask('/v1/traces', { method: 'GET' })).headers['allow']).toBe('POST')
    expect(taken).toEqual([])
  })

  it('that is too large is refused, before and after decompression, with a length or without', async () => {
    const { ask, taken } = await receiver()
    const bomb = gzipSync(Buffer.alloc(80 << 20))
    expect(bomb.length).toBeLessThan(100_000)
    expect((await ask('/v1/traces', { body: bomb, headers: { 'content-encoding': 'gzip' } })).status).toBe(413)
    const large = Buffer.alloc((64 << 20) + 1)
    // The connection is closed behind the answer: what is left of the body is not read.
    for (const chunked of [false, true]) {
      const answer = await ask('/v1/traces', { body: large, chunked }).catch(
        (error: NodeJS.ErrnoException) => error.code,
      )
      expect(typeof answer === 'string' ? 413 : answer?.status).toBe(413)
    }
    expect(taken).toEqual([])
  })

  it('that has to come again is told when', async () => {
    const { ask } = await receiver({
      take: async () => {
        throw new Refusal(503, 'full')
      },
    })
    const answer = await ask('/v1/traces')
    expect([answer.status, answer.headers['retry-after'], answer.body.toString()]).toEqual([
      503,
      '1',
      expect.stringContaining('full'),
    ])
  })

  it('needs the token where there is one, and is refused where it comes from ourselves', async () => {
    const { ask, taken } = await receiver({ token: 's3cr3t', hasComeBack: (via) => via === '01OWN' })
    const headers = { authorization: 'Bearer s3cr3t' }
    expect((await ask('/v1/traces')).status).toBe(401)
    expect((await ask('/v1/traces', { headers })).status).toBe(200)
    const circle = await ask('/v1/traces', { headers: { ...headers, 'spanbridge-via': '01OWN' } })
    expect([circle.status, circle.body.toString()]).toEqual([508, expect.stringContaining('leads back here')])
    expect((await ask('/v1/traces', { headers: { ...headers, 'spanbridge-via': '01OTHER' } })).status).toBe(200)
    expect(taken.length).toBe(2)
  })

  it('of a fault of ours is told to come again, and the fault is told', async () => {
    const faults: string[] = []
    const { ask } = await receiver({
      take: async () => {
        throw new Error('a fault')
      },
      onFault: (error) => faults.push(error.message),
    })
    expect([(await ask('/v1/traces')).status, faults]).toEqual([503, ['a fault']])
  })

  it('to another host name is a page that a browser was lured to, and refused', async () => {
    const { ask, host, port } = await receiver()
    const statusOf = async (name: string): Promise<number> =>
      (await ask('/v1/traces', { headers: { host: name } })).status
    expect(await Promise.all(['LocalHost:4318', '127.0.0.1', '[::1]:1'].map(statusOf))).toEqual([200, 200, 200])
    expect(await Promise.all(['evil.test', 'localhost.evil.test'].map(statusOf))).toEqual([403, 403])
    const several = await rawly(
      host,
      port,
      'POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
    )
    expect(several).toMatch(/^HTTP\/1.1 400 /)
  })

  it('that is here when the receiver closes is answered, and the last one of its connection', async () => {
    const { promise, resolve } = Promise.withResolvers<null>()
    const came = Promise.withResolvers<void>()
    const { server, host, port } = await receiver({
      take: () => {
        came.resolve()
        return promise
      },
    })
    const head =
      'POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1\r\n\r\n'
    const answered = rawly(host, port, `${head}x`)
    await came.promise
    const closed = server.close()
    resolve(null)
    await closed
    expect(await answered).toMatch(/^HTTP\/1.1 200 [^]*connection: close/i)
  })
})

/** What a connection answers to bytes, until it is closed. */
function rawly(host: string, port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => socket.write(bytes))
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
}

it('a sender that stops in the middle, and hundreds that only connect, keep nobody else waiting', async () => {
  const { ask, host, port } = await receiver()
  const sockets = Array.from({ length: 500 }, () => connect(port, host))
  for (const socket of sockets) socket.on('error', () => {})
  sockets[0]!.write(
    'POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 1000\r\n\r\nabc',
  )
  expect((await ask('/v1/traces', { body: Buffer.from('x') })).status).toBe(200)
  for (const socket of sockets) socket.destroy()
})
