import { request } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { daemon, ended, traceOf } from '../support/otlp-daemon.ts'
import { spanbridge, temporaryDirectory } from '../support/spanbridge.ts'

const load = (...argv: string[]) => loadSettings(readFlags(argv, false), {})
const PROTOBUF = { 'content-type': 'application/x-protobuf' }

/** The status and the headers of an answer; `fetch` lets nobody set a Host. */
const ask = (url: string, headers: Record<string, string>, body: Uint8Array = new Uint8Array(), method = 'POST') =>
  new Promise<[status: number, headers: Record<string, unknown>]>((resolve, reject) => {
    const asked = request(`${url}/v1/traces`, { method, headers }, (answer) => {
      answer.resume()
      resolve([answer.statusCode!, answer.headers])
    })
    asked.on('error', reject)
    asked.end(body)
  })

it('the receiver listens on loopback, unless another address is named', () => {
  expect(load().settings['otlpHttp.listen']!.host).toBe('127.0.0.1')
  expect(load('--otlp-http-listen', ':4318').settings['otlpHttp.listen']!.host).toBe('127.0.0.1')
})

it('an address that others can reach needs a token, whatever way it is written', () => {
  for (const host of ['0.0.0.0', '[::]', '192.168.1.7', 'gpu-host', '0', '127.0.0.1.evil.test', '[::ffff:10.0.0.1]'])
    expect(load('--otlp-http-listen', `${host}:0`).problems, host).toEqual([
      expect.stringContaining('otlpHttp.listen: expected an otlpHttp.token beside'),
    ])
  for (const host of ['127.0.0.1', 'localhost', 'LOCALHOST', '[::1]', '127.0.0.53'])
    expect(load('--otlp-http-listen', `${host}:0`).problems, host).toEqual([])
  expect(load('--otlp-http-listen', '0.0.0.0:0', '--otlp-http-token', 't').problems).toEqual([])
})

it('without one the command is not started, and a pipe is passed on', async () => {
  const open = ['--otlp-http-listen', '0.0.0.0:0', '--state-dir', temporaryDirectory()]
  const exec = await spanbridge(['exec', ...open, '--', 'echo', 'started'])
  expect([exec.code, exec.stdout.toString()]).toEqual([2, ''])
  const piped = await spanbridge(open, '{"step":1,"loss":1}\n')
  expect([piped.code, piped.stdout.toString()]).toEqual([2, '{"step":1,"loss":1}\n'])
})

it('with a token only those who show it are heard', async () => {
  const { running, url } = await daemon(['--otlp-http-listen', '0.0.0.0:0', '--otlp-http-token', 's3cr3t'])
  const at = url.replace('0.0.0.0', '127.0.0.1')
  const { sent } = traceOf(1, [[1, 0, { step: 1, loss: 1 }]])
  const statusFor = async (authorization: string): Promise<number> =>
    (await ask(at, { ...PROTOBUF, authorization }, sent))[0]
  for (const wrong of ['', 's3cr3t', 'Bearer', 'Bearer s3cr3', 'Bearer s3cr3t2', `Basic ${btoa('x:s3cr3t')}`])
    expect(await statusFor(wrong), wrong).toBe(401)
  expect(await statusFor('Bearer s3cr3t')).toBe(200)
  await ended(running)
})

it('a page in a browser of this machine can send nothing, by whatever name it calls us', async () => {
  const { running, url } = await daemon(['--otlp-http-listen', '127.0.0.2:0'])
  const { sent } = traceOf(1, [[1, 0, { step: 1, loss: 1 }]])
  for (const host of ['evil.test', 'evil.test:4318', '127.0.0.1.evil.test', '127.0.0.2.evil.test'])
    expect((await ask(url, { ...PROTOBUF, host }, sent))[0], host).toBe(403)
  // What a page may send without being asked for it is not taken, and what it has to ask for is not granted.
  const origin = 'http://evil.test'
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])
    expect((await ask(url, { 'content-type': type, origin }, sent))[0]).toBe(415)
  const asks = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
  const [status, headers] = await ask(url, asks, undefined, 'OPTIONS')
  expect([status, Object.keys(headers).filter((name) => name.startsWith('access-control'))]).toEqual([405, []])
  await ended(running)
})

it('a body that is too large, or becomes it, is refused, and the next one is taken', async () => {
  const { running, url } = await daemon([])
  const bomb = gzipSync(Buffer.alloc(200 << 20))
  expect((await ask(url, { ...PROTOBUF, 'content-encoding': 'gzip' }, bomb))[0]).toBe(413)
  expect((await ask(url, { ...PROTOBUF, 'content-length': String((64 << 20) + 1) }))[0]).toBe(413)
  expect((await ask(url, PROTOBUF, traceOf(1, [[1, 0, { step: 1, loss: 1 }]]).sent))[0]).toBe(200)
  await ended(running)
})
