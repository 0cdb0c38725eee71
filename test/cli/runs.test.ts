import { describe, expect, inject, it } from 'vitest'
import type { RunStatus } from '../../src/journal/status.ts'
import { expectConserved } from '../support/account.ts'
import { MlflowApi } from '../support/mlflow.ts'
import { collector, daemon, ended, post, traceOf } from '../support/otlp-daemon.ts'
import { spanbridge, statusOf, temporaryDirectory, type Running } from '../support/spanbridge.ts'

const trainer = (instance: string): Record<string, string> => ({
  'service.name': 'ppo',
  'service.instance.id': instance,
})

const killed = async ({ child, finished }: Running): Promise<void> => {
  child.kill('SIGKILL')
  await finished
}

/** The runs of a state directory, whose accounts hold. */
async function runsOf(stateDir: string): Promise<RunStatus[]> {
  const runs = await statusOf(stateDir)
  for (const run of runs) expectConserved(run)
  return runs
}

describe('what comes by OTLP', () => {
  it('goes into one run for each that says something else of itself, each with a name and a run of its own in MLflow', async () => {
    const url = inject('mlflowUrl')
    const { running, stateDir, url: receiver } = await daemon(['--mlflow-tracking-uri', url])
    expect(await runsOf(stateDir)).toEqual([])
    for (let step = 1; step <= 3; step += 1) {
      await post(receiver, traceOf(step, [[1, 0, { step, loss: step / 2 }]], trainer('a')))
      await post(receiver, traceOf(10 + step, [[1, 0, { step, loss: step / 4 }]], { 'service.name': 'eval' }))
    }
    await post(receiver, traceOf(20, [[1, 0, { step: 9, loss: 1 }]], {}))
    const { code, stderr } = await ended(running)
    expect(code, stderr).toBe(0)
    const runs = await runsOf(stateDir)
    expect(runs.map(({ name, points, status, source }) => [name.replace(/ .*/, ''), points, status, source])).toEqual([
      ['ppo', 6, 'finished', 'network'],
      ['eval', 6, 'finished', 'network'],
      [expect.any(String), 2, 'finished', 'network'],
    ])
    const api = new MlflowApi(url)
    const [a, b] = runs.map(({ destinations }) => destinations[0]!.runId!)
    expect((await api.history(a!, 'misc/loss')).map(({ value }) => value)).toEqual([0.5, 1, 1.5])
    expect((await api.history(b!, 'misc/loss')).map(({ value }) => value)).toEqual([0.25, 0.5, 0.75])
  })

  it('goes on in the same run after the daemon has ended or was killed, and nothing is taken twice', async () => {
    const stateDir = temporaryDirectory()
    const first = await daemon([], stateDir)
    await post(first.url, traceOf(1, [[1, 0, { step: 1, a: 1 }]], trainer('a')))
    await ended(first.running)
    const second = await daemon([], stateDir)
    await post(second.url, traceOf(1, [[1, 0, { step: 1, a: 1 }]], trainer('a')))
    await post(second.url, traceOf(2, [[1, 0, { step: 2, a: 2 }]], trainer('a')))
    expect(await runsOf(stateDir)).toMatchObject([{ status: 'running', points: 4, spanAccount: { duplicate: 1 } }])
    await killed(second.running)
    const third = await daemon([], stateDir)
    expect(await runsOf(stateDir)).toMatchObject([{ status: 'interrupted' }])
    await post(third.url, traceOf(2, [[1, 0, { step: 2, a: 2 }]], trainer('a')))
    await post(third.url, traceOf(3, [[1, 0, { step: 3, a: 3 }]], trainer('b')))
    const { code, stderr } = await ended(third.running)
    expect([code, stderr]).toEqual([0, expect.stringContaining('going on with the run ppo')])
    expect(await runsOf(stateDir)).toMatchObject([
      { status: 'finished', points: 4, spanAccount: { duplicate: 2, received: 4 }, closedBy: null },
      { status: 'finished', points: 2 },
    ])
  })

  it('waits for parents across kill -9: they come after the restart, and tell the steps', async () => {
    const stateDir = temporaryDirectory()
    const first = await daemon([], stateDir)
    const child = traceOf(1, [[2, 1, { loss: 0.5 }]], trainer('a'))
    await post(first.url, child)
    await post(first.url, traceOf(2, [[4, 3, { loss: 0.25 }]], trainer('a')))
    expect(await runsOf(stateDir)).toMatchObject([{ waiting: 4, points: 0 }])
    await killed(first.running)
    const next = await daemon([], stateDir)
    expect(await post(next.url, child)).toBe(200)
    expect(await post(next.url, traceOf(1, [[1, 0, { step: 7 }]], trainer('a')))).toBe(200)
    expect(await runsOf(stateDir)).toMatchObject([{ waiting: 2, points: 3, spanAccount: { duplicate: 1 } }])
    await ended(next.running)
    expect(await runsOf(stateDir)).toMatchObject([{ waiting: 0, points: 3, skipped: { no_step: 2 } }])
  })

  it('takes its step from a span of another run, if the trace comes from there', async () => {
    const { running, stateDir, url } = await daemon([])
    await post(url, traceOf(1, [[2, 1, { samples: 64 }]], { 'service.name': 'loader' }))
    await post(url, traceOf(1, [[1, 0, { step: 5 }]], trainer('a')))
    await ended(running)
    expect(await runsOf(stateDir)).toMatchObject([
      { name: 'loader', points: 2, skipped: { no_step: 0 } },
      { name: 'ppo', points: 1 },
    ])
  })

  it('goes into one run where runs.identity is empty', async () => {
    const { running, stateDir, url } = await daemon(['--runs-identity', ''])
    await post(url, traceOf(1, [[1, 0, { step: 1 }]], trainer('a')))
    await post(url, traceOf(2, [[1, 0, { step: 2 }]], { 'service.name': 'eval' }))
    await ended(running)
    expect(await runsOf(stateDir)).toMatchObject([{ points: 2 }])
  })

  it('is refused in part beyond 64 runs, and the others go on', async () => {
    const { running, stateDir, url } = await daemon([])
    for (let i = 0; i < 64; i += 1)
      expect(await post(url, traceOf(i + 1, [[1, 0, { step: 1 }]], trainer(`${i}`)))).toBe(200)
    const { sent, contentType } = traceOf(99, [[1, 0, { step: 1 }]], trainer('one too many'))
    const answer = await fetch(`${url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': contentType },
      body: new Uint8Array(sent),
    })
    expect([answer.status, await answer.text()]).toEqual([
      200,
      expect.stringContaining('64 runs from the network is the most there can be at a time'),
    ])
    expect(await post(url, traceOf(100, [[1, 0, { step: 2 }]], trainer('0')))).toBe(200)
    const { stderr } = await ended(running)
    expect(stderr).toContain('otlp-http: more than 64 runs came from the network; those beyond are refused')
    expect((await runsOf(stateDir)).reduce((sum, { points }) => sum + points, 0)).toBe(65)
  })

  it('ends its run when nothing has come for runs.idle, and opens it again when something does', async () => {
    const { running, stateDir, url } = await daemon(['--runs-idle', '1s'])
    await post(url, traceOf(1, [[1, 0, { step: 1 }]], trainer('a')))
    const status = async (): Promise<string> => (await runsOf(stateDir))[0]!.status
    await expect.poll(status, { timeout: 20_000 }).toBe('finished')
    await post(url, traceOf(2, [[1, 0, { step: 2 }]], trainer('a')))
    expect(await runsOf(stateDir)).toMatchObject([{ status: 'running', points: 2 }])
    await ended(running)
    expect(await runsOf(stateDir)).toMatchObject([{ status: 'finished', points: 2 }])
  })

  it('goes to the run of MLflow that it names only where runs.acceptIds is set', async () => {
    const url = inject('mlflowUrl')
    const api = new MlflowApi(url)
    const made = await api.post('runs/create', { experiment_id: '0' })
    const runId = made.run.info.run_id as string
    const named = { 'service.name': 'ppo', 'mlflow.run_id': runId }
    const options = ['--mlflow-tracking-uri', url]
    const closed = await daemon(options)
    await post(closed.url, traceOf(1, [[1, 0, { step: 1, a: 1 }]], named))
    await ended(closed.running)
    const open = await daemon([...options, '--runs-accept-ids', 'true'])
    await post(open.url, traceOf(1, [[1, 0, { step: 1, b: 1 }]], named))
    await ended(open.running)
    expect((await runsOf(closed.stateDir))[0]!.destinations[0]!.runId).not.toBe(runId)
    expect((await runsOf(open.stateDir))[0]!.destinations[0]!.runId).toBe(runId)
    expect(await api.history(runId, 'misc/a')).toEqual([])
    expect((await api.history(runId, 'misc/b')).length).toBe(1)
  })

  it('of a command under exec is in its run, also when the SDK does not say so', async () => {
    const stateDir = temporaryDirectory()
    const { sent } = traceOf(1, [[1, 0, { step: 1 }]], { 'service.name': 'of its own making' })
    const send = `fetch(process.env.OTEL_EXPORTER_OTLP_ENDPOINT + '/v1/traces', { method: 'POST', headers: { 'content-type': 'application/x-protobuf' }, body: Buffer.from('${sent.toString('base64')}', 'base64') })`
    await spanbridge(['exec', '--state-dir', stateDir, '--', process.execPath, '-e', send])
    expect(await runsOf(stateDir)).toMatchObject([{ source: 'exec', points: 1, journaled: { spans: 1 } }])
  })

  it('beside a pipe is a run of its own', async () => {
    const { running, stateDir, url } = await daemon(['--stdin', 'auto'])
    running.child.stdin.write('{"step":1,"loss":2}\n')
    await post(url, traceOf(1, [[1, 0, { step: 1 }]], trainer('a')))
    running.child.stdin.end()
    await running.finished
    expect(await runsOf(stateDir)).toMatchObject([
      { source: 'stdin', points: 1 },
      { source: 'network', name: 'ppo', points: 1 },
    ])
  })
})

describe('a circle of destinations', () => {
  it('of two is refused with a word where the spans come back, and the one that sends them says so too', async () => {
    const { url: nobody } = await collector()
    const port = new URL(nobody).port
    const b = await daemon(['--otlp-endpoint', `http://127.0.0.1:${port}`])
    const a = await daemon(['--otlp-endpoint', b.url])
    // b is started again with the address of a.
    await ended(b.running)
    const back = await daemon(['--otlp-endpoint', a.url, '--otlp-http-listen', new URL(b.url).host])
    await post(a.url, traceOf(1, [[1, 0, { step: 1 }]], trainer('a')))
    await a.running.seen('otlp-http: spans that this Spanbridge has sent come back to it')
    await back.running.seen('these spans come from this Spanbridge itself: a destination of spans leads back here')
    await ended(a.running)
    await ended(back.running)
    expect(await runsOf(a.stateDir)).toMatchObject([{ points: 1, spanAccount: { received: 1 } }])
    expect((await runsOf(back.stateDir))[0]!.destinations[0]!.spans).toMatchObject({ delivered: 0, pending: 1 })
  })
})
