import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Canaries, filesOf } from '../support/canaries.ts'
import { certificate } from '../support/certificate.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { freePort } from '../support/mlflow.ts'
import { collector, daemon, ended, post } from '../support/otlp-daemon.ts'
import { SetUp } from '../support/set-up.ts'
import { spanbridge, startBridge, statusOf, temporaryDirectory, type Finished } from '../support/spanbridge.ts'

const of = ({ stdout, stderr }: Finished, name: string): Record<string, Buffer | string> => ({
  [`stdout of ${name}`]: stdout,
  [`stderr of ${name}`]: stderr,
})

describe('no secret of a user', () => {
  it('is in anything that is written, kept or sent, while it is used where it belongs', async () => {
    const [mlflow, otlp] = [await FakeMlflow.start(), await collector()]
    const setUp = new SetUp(mlflow.url, otlp.url)
    const { env, flags, stateDir, canaries } = setUp
    const options = { env }
    const run = await spanbridge(
      ['exec', '--console', ...flags, '--param', `pwd=${canaries.at('flag')}`, '--', ...setUp.command],
      '',
      options,
    )
    expect(run.code, run.stderr).toBe(0)
    // The lines that are no events pass through as the trainer wrote them: its output is its own.
    const passed = setUp.lines.split('\n').slice(-3)
    const shown = passed.reduce((text, line) => text.replace(line, ''), run.stdout.toString())
    const written: Record<string, Buffer | string> = { 'stdout of exec': shown, 'stderr of exec': run.stderr }
    for (const verb of [['status'], ['status', '--json'], ['sync'], ['check'], ['check', '--json'], ['--help']])
      Object.assign(written, of(await spanbridge([...verb, ...flags], '', options), verb.join(' ')))
    const sent = { tracker: JSON.stringify(mlflow.seen.map(({ path, body }) => [path, body])) }
    const spans = { collector: Buffer.concat(otlp.requests.map(({ body }) => body)) }
    expect(setUp.leaks({ ...written, ...Object.fromEntries(filesOf(stateDir)), ...sent, ...spans })).toEqual([])

    // All of it was there to be found: it was shown as taken out, and used.
    expect(sent.tracker.match(/\[redacted\]/g)!.length).toBeGreaterThan(8)
    expect(spans.collector.toString()).toContain('[redacted]')
    const [known] = await statusOf(stateDir)
    expect(known!.command.filter((word) => word.includes('[redacted]')).length).toBe(6)
    expect(mlflow.seen[0]!.headers.authorization).toBe(`Basic ${btoa(`me:${canaries.at('password')}`)}`)
    expect(otlp.requests[0]!.headers).toMatchObject({
      'x-api-key': canaries.at('OTLP header'),
      authorization: `Basic ${btoa(`me:${canaries.at('OTLP endpoint')}`)}`,
    })
    expect(String(written['stdout of check'])).toContain('(set, hidden)')
  })

  it('becomes a param of what comes by OTLP; the spans themselves are forwarded as they came', async () => {
    const [mlflow, otlp] = [await FakeMlflow.start(), await collector()]
    const { running, stateDir, url } = await daemon(['--otlp-endpoint', otlp.url, '--mlflow-tracking-uri', mlflow.url])
    const secret = { key: 'password', value: { stringValue: 'cnry0123456789abcdef' } }
    const event = { name: 'startup', timeUnixNano: '1700000000000000000', attributes: [secret] }
    const ids = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), startTimeUnixNano: '1', endTimeUnixNano: '2' }
    const loss = { key: 'loss', value: { doubleValue: 0.5 } }
    const span = { ...ids, name: 's', attributes: [secret, loss], events: [event, { ...event, name: 'lost' }] }
    const sent = Buffer.from(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }))
    expect(await post(url, { path: '/v1/traces', sent, contentType: 'application/json', contentEncoding: null })).toBe(
      200,
    )
    const { stderr } = await ended(running)
    expect(otlp.spans()[0]!.span.attributes[0].value).toEqual(secret.value)
    const params = mlflow.seen.flatMap(({ body }) => (body.params ?? []) as { key: string; value: string }[])
    expect(params).toEqual([{ key: 'password', value: '[redacted]' }])
    expect(stderr).toContain('no_step, the first in')
    expect(stderr + JSON.stringify(await statusOf(stateDir))).not.toContain('cnry')
  })

  it('is in an event that is kept whole, from a line or a log record, whatever part of it names the secret', async () => {
    const canaries = new Canaries()
    const { running, stateDir, url } = await daemon(['--quiet', '--stdin', 'on'])
    const line = {
      level: 'ERROR',
      target: `https://me:${canaries.at('target')}@h`,
      message: `GET https://me:${canaries.at('message')}@h: Authorization: Bearer ${canaries.at('header')}`,
      hf_token: canaries.at('field'),
      hosts: [{ uri: `https://me:${canaries.at('list')}@h`, password: canaries.at('list field') }],
    }
    running.child.stdin.write(`${JSON.stringify(line)}\n`)
    const text = (key: string, value: string) => ({ key, value: { stringValue: value } })
    const log = {
      severityNumber: 17,
      body: { stringValue: `connect --password ${canaries.at('body')}` },
      attributes: [text('api_secret', canaries.at('attribute')), text('uri', `s3://a:${canaries.at('uri')}@h`)],
    }
    const other = { severityText: 'warn', body: { kvlistValue: { values: [text('password', canaries.at('map'))] } } }
    const scopeLogs = [{ scope: { name: `https://me:${canaries.at('scope')}@h` }, logRecords: [log, other] }]
    const sent = Buffer.from(JSON.stringify({ resourceLogs: [{ scopeLogs }] }))
    expect(await post(url, { path: '/v1/logs', sent, contentType: 'application/json', contentEncoding: null })).toBe(
      200,
    )
    const journaled = async (): Promise<number> =>
      (await statusOf(stateDir)).reduce((sum, { eventAccount }) => sum + eventAccount.journaled, 0)
    await expect.poll(journaled, { timeout: 20_000 }).toBe(3)
    running.child.kill('SIGKILL')
    await running.finished
    const files = filesOf(stateDir)
    const redacted = Buffer.concat(files.map(([, bytes]) => bytes))
      .toString('latin1')
      .match(/\[redacted\]/g)
    expect(redacted!.length).toBeGreaterThan(9)
    expect(files.flatMap(([path, bytes]) => canaries.in(bytes).map((place) => `${place} in ${path}`))).toEqual([])
  })

  const nobody = async (): Promise<string> => `http://127.0.0.1:${await freePort()}`

  it.each<[what: string, words: string, where: () => Promise<string>, env?: () => Record<string, string>]>([
    ['nobody is there', 'connection refused', nobody],
    ['credentials are refused', 'asks for credentials (401)', async () => answering(401, () => ({}))],
    ['the server says back what it was sent', 'forbids it (403', async () => answering(403, () => ({}))],
    ['the server sends us elsewhere', 'sends us elsewhere', async () => answering(302, (url) => ({ location: url }))],
    ['a certificate does not hold', 'a certificate that does not hold', selfSigned],
    ['the delivery breaks down', 'the delivery thread has ended', nobody, faultInTheThread],
  ])('is in what is said and kept where %s', async (_, words, where, env = () => ({})) => {
    const setUp = new SetUp(await where(), await where())
    const running = startBridge(['--quiet', ...setUp.flags], { env: { ...setUp.env, ...env() } })
    running.child.stdin.write(setUp.lines)
    await running.seen(words)
    running.child.stdin.end()
    const found = { ...of(await running.finished, 'run'), ...Object.fromEntries(filesOf(setUp.stateDir)) }
    const asked = await spanbridge(['status', '--json', ...setUp.flags], '', { env: setUp.env })
    expect(setUp.leaks({ ...found, ...of(asked, 'status') })).toEqual([])
  })

  it('is in the journal, its write-ahead log or the file of the daemon when that is killed', async () => {
    const setUp = new SetUp(await nobody(), await nobody())
    const running = startBridge(['--quiet', ...setUp.flags], { env: setUp.env })
    running.child.stdin.write(`${setUp.lines}\n`)
    await expect.poll(async () => (await statusOf(setUp.stateDir))[0]?.points, { timeout: 20_000 }).toBe(1)
    running.child.kill('SIGKILL')
    await running.finished
    const files = filesOf(setUp.stateDir)
    expect(files.map(([path]) => /\.\w+(?:-\w+)?$/.exec(path)![0])).toEqual(
      expect.arrayContaining(['.json', '.sqlite', '.sqlite-wal']),
    )
    expect(Buffer.concat(files.map(([, bytes]) => bytes)).includes('[redacted]')).toBe(true)
    expect(setUp.leaks(Object.fromEntries(files))).toEqual([])
  })
})

/** A server that answers every request alike, with what it was sent in its words. */
async function answering(status: number, headers: (url: string) => Record<string, string>): Promise<string> {
  const fake = await FakeMlflow.start()
  fake.fault = (request, response) => {
    const said = JSON.stringify(request.headers)
    const basic = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const url = `${fake.url.replace('//', `//${atob(basic)}@`)}/elsewhere`
    response.writeHead(status, headers(url)).end(`${said} ${atob(basic)}`)
    return true
  }
  return fake.url
}

async function selfSigned(): Promise<string> {
  const server = createServer(certificate(), (_request, response) => response.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A fault of ours is not to be had on demand: this one is put into the thread from outside. */
function faultInTheThread(): Record<string, string> {
  const path = join(temporaryDirectory(), 'fault.mjs')
  writeFileSync(
    path,
    `import { existsSync, readdirSync } from 'node:fs'
    import { isMainThread, workerData } from 'node:worker_threads'
    // Not before there is a journal to look into.
    const isThere = (path) => existsSync(path) && readdirSync(path).some((name) => name.endsWith('.sqlite'))
    const look = () => {
      if (isThere(workerData.stateDir)) throw new Error('a fault')
    }
    if (!isMainThread) setInterval(look, 100)`,
  )
  return { NODE_OPTIONS: `--import ${path}` }
}
