import { describe, expect, inject, it, onTestFinished } from 'vitest'
import type { RunStatus } from '../../src/journal/status.ts'
import { expectConserved } from '../support/account.ts'
import { MlflowApi } from '../support/mlflow.ts'
import { Proxy } from '../support/proxy.ts'
import { spanbridge, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const line = (step: number, value = step / 8): string =>
  `{"category":"TRAINER","step":${step},"loss":${value},"kl":0.5}\n`
const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, i) => line(from + i)).join('')

/** Waits until the newest run of a state directory is as wanted. */
const untilRun = (stateDir: string, wanted: object): Promise<void> =>
  expect.poll(async () => (await statusOf(stateDir)).at(-1), { timeout: 45_000, interval: 200 }).toMatchObject(wanted)

async function proxyTo(url: string): Promise<Proxy> {
  const proxy = await Proxy.start(url)
  onTestFinished(() => proxy.stop())
  return proxy
}

const runIdOf = async (stateDir: string): Promise<string> => (await statusOf(stateDir)).at(-1)!.destinations[0]!.runId!

/** Every number that was written is in MLflow, once. */
async function expectAll(api: MlflowApi, run: RunStatus, count: number): Promise<void> {
  expectConserved(run)
  const runId = run.destinations[0]!.runId!
  for (const key of ['trainer/loss', 'trainer/kl']) {
    const steps = (await api.history(runId, key)).map(({ step }) => step).sort((a, b) => a - b)
    expect(steps).toEqual(Array.from({ length: count }, (_, i) => i))
  }
  expect((await api.run(runId)).info.status).toBe('FINISHED')
}

describe('a real MLflow behind a line that fails', () => {
  const url = inject('mlflowUrl')
  const api = new MlflowApi(url)

  it('has every point once although every third answer is lost, and is not sent the same batch blindly', async () => {
    const proxy = await proxyTo(url)
    proxy.treat = (path, count) => (path === 'runs/log-batch' && count % 3 === 0 ? 'swallow' : 'pass')
    const stateDir = temporaryDirectory()
    const { code, stderr } = await spanbridge(
      ['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', proxy.url],
      lines(0, 4000),
    )
    expect(code, stderr).toBe(0)
    const [run] = await statusOf(stateDir)
    await expectAll(api, run!, 4000)
    expect(proxy.repeats).toBe(0)
    expect(proxy.counts.get('metrics/get-history-bulk-interval')).toBeGreaterThanOrEqual(2)
  })

  it('has every point once although values repeat exactly and sixty share one step', async () => {
    const proxy = await proxyTo(url)
    proxy.treat = (path, count) => (path === 'runs/log-batch' && count % 2 === 0 ? 'swallow' : 'pass')
    const stateDir = temporaryDirectory()
    const at = '"timestamp":"2026-11-22T05:07:39.787Z"'
    const same = Array.from({ length: 300 }, (_, i) => `{"step":${i},${at},"loss":1}\n`).join('')
    const sixty = Array.from({ length: 60 }, (_, i) => `{"step":1000,${at},"many":${i}}\n`).join('')
    const { code, stderr } = await spanbridge(
      ['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', proxy.url],
      same + sixty + same,
    )
    expect(code, stderr).toBe(0)
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect(run!.destinations[0]!.points).toEqual({ delivered: 660, rejected: 0, evicted: 0, pending: 0 })
    const runId = run!.destinations[0]!.runId!
    expect((await api.history(runId, 'misc/loss')).map(({ step }) => step)).toEqual(
      Array.from({ length: 300 }, (_, i) => i),
    )
    expect((await api.history(runId, 'misc/many')).map(({ value }) => value)).toEqual(
      Array.from({ length: 60 }, (_, i) => i),
    )
  })

  it('has every NaN once although answers are lost, also where the server does not know a NaN again', async () => {
    const proxy = await proxyTo(url)
    proxy.treat = (path, count) => (path === 'runs/log-batch' && count % 3 === 0 ? 'swallow' : 'pass')
    const stateDir = temporaryDirectory()
    const input = Array.from(
      { length: 80 },
      (_, step) => `{"step":${step},"loss":${step % 9 === 0 ? 'NaN' : step / 8},"inf":-Infinity}\n`,
    ).join('')
    const { code, stderr } = await spanbridge(
      ['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', proxy.url],
      input,
    )
    expect(code, stderr).toBe(0)
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect(run!.destinations[0]!.points).toEqual({ delivered: 160, rejected: 0, evicted: 0, pending: 0 })
    const loss = await api.history(run!.destinations[0]!.runId!, 'misc/loss')
    const bySteps = loss.sort((a, b) => a.step - b.step).map(({ value }) => value)
    expect(bySteps).toEqual(Array.from({ length: 80 }, (_, step) => (step % 9 === 0 ? Number.NaN : step / 8)))
  })

  it('comes back within two seconds behind a tunnel that accepted and closed, with one line that says so', async () => {
    const proxy = await proxyTo(url)
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', proxy.url])
    running.child.stdin.write(lines(0, 100))
    await untilRun(stateDir, { destinations: [{ points: { delivered: 200 } }] })
    proxy.treat = () => 'close'
    running.child.stdin.write(lines(100, 300))
    await running.seen('closed the connection before it answered')
    await untilRun(stateDir, { destinations: [{ state: 'suspended', points: { pending: 400 } }] })
    const first = Promise.withResolvers<number>()
    proxy.onRequest = (path, treatment) =>
      path === 'runs/log-batch' && treatment === 'pass' && first.resolve(performance.now())
    const back = performance.now()
    proxy.treat = () => 'pass'
    expect((await first.promise) - back).toBeLessThan(2000)
    await running.seen('mlflow: back after')
    running.child.stdin.end(lines(300, 310))
    const { code, stderr } = await running.finished
    expect(code, stderr).toBe(0)
    expect(stderr).toMatch(/mlflow: back after \d+\.\d s; 400 points that had waited are delivered/)
    await expectAll(api, (await statusOf(stateDir))[0]!, 310)
  })

  it('makes one run although the answer to its making is lost', async () => {
    const proxy = await proxyTo(url)
    proxy.treat = (path, count) => (path === 'runs/create' && count === 1 ? 'swallow' : 'pass')
    const stateDir = temporaryDirectory()
    const experiment = (await api.post('experiments/create', { name: `lost ${process.hrtime.bigint()}` }))
      .experiment_id as string
    const { code, stderr } = await spanbridge(
      ['--quiet', '--state-dir', stateDir, '--mlflow-experiment-id', experiment, '--mlflow-tracking-uri', proxy.url],
      lines(0, 60),
    )
    expect(code, stderr).toBe(0)
    expect(proxy.counts.get('runs/create')).toBe(1)
    expect((await api.post('runs/search', { experiment_ids: [experiment], run_view_type: 'ALL' })).runs).toHaveLength(1)
    await expectAll(api, (await statusOf(stateDir))[0]!, 60)
  })
})

describe('a run that takes nothing', () => {
  const url = inject('mlflowUrl')
  const api = new MlflowApi(url)

  it('because it is deleted suspends its delivery, refuses no point, and has all of them when it is restored', async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', url])
    running.child.stdin.write(lines(0, 60))
    await untilRun(stateDir, { destinations: [{ points: { delivered: 120 } }] })
    const runId = await runIdOf(stateDir)
    await api.post('runs/delete', { run_id: runId })
    running.child.stdin.write(lines(60, 120))
    await running.seen('active')
    await untilRun(stateDir, { destinations: [{ state: 'suspended', points: { rejected: 0, pending: 120 } }] })
    await api.post('runs/restore', { run_id: runId })
    await untilRun(stateDir, { destinations: [{ state: 'ok', points: { pending: 0 } }] })
    running.child.stdin.end()
    expect((await running.finished).code).toBe(0)
    await expectAll(api, (await statusOf(stateDir))[0]!, 120)
  })

  it('because its experiment is deleted waits, and is made when that is restored', async () => {
    const name = `gone ${process.hrtime.bigint()}`
    const experiment = (await api.post('experiments/create', { name })).experiment_id as string
    await api.post('experiments/delete', { experiment_id: experiment })
    const stateDir = temporaryDirectory()
    const running = startBridge([
      '--quiet',
      '--state-dir',
      stateDir,
      '--mlflow-experiment-name',
      name,
      '--mlflow-tracking-uri',
      url,
    ])
    running.child.stdin.write(lines(0, 60))
    await running.seen(`the experiment '${name}' is deleted; restore it there, or set another name`)
    await api.post('experiments/restore', { experiment_id: experiment })
    await untilRun(stateDir, { destinations: [{ points: { delivered: 120 } }] })
    running.child.stdin.end()
    expect((await running.finished).code).toBe(0)
    await expectAll(api, (await statusOf(stateDir))[0]!, 60)
  })

  it('that was given and is written by others too is told apart from what we sent', async () => {
    const { run } = await api.post('runs/create', { experiment_id: '0', start_time: 1 })
    const runId = run.info.run_id as string
    const others = Array.from({ length: 200 }, (_, step) => ({
      key: 'trainer/loss',
      value: step / 8,
      timestamp: 5,
      step,
    }))
    await api.post('runs/log-batch', { run_id: runId, metrics: others })
    const proxy = await proxyTo(url)
    proxy.treat = (path, count) => (path === 'runs/log-batch' && count % 2 === 1 ? 'swallow' : 'pass')
    const stateDir = temporaryDirectory()
    const { code, stderr } = await spanbridge(
      ['--quiet', '--state-dir', stateDir, '--mlflow-run-id', runId, '--mlflow-tracking-uri', proxy.url],
      lines(100, 300),
    )
    expect(code, stderr).toBe(0)
    expectConserved((await statusOf(stateDir))[0]!)
    expect((await api.history(runId, 'trainer/kl')).length).toBe(200)
    expect((await api.history(runId, 'trainer/loss')).length).toBe(400)
    expect((await api.run(runId)).info.status).toBe('RUNNING')
  })
})

describe('poison', () => {
  it('is mapped, refused or skipped by name, and every neighbour arrives', async () => {
    const url = inject('mlflowUrl')
    const api = new MlflowApi(url)
    const stateDir = temporaryDirectory()
    const input = [
      '{"message":"config_trace","long":"' + 'x'.repeat(10_000) + '","lr":0.1}',
      '{"message":"config_trace","lr":0.2,"seed":1}',
      `{"step":1,"loss%":1,"ok":1,"${'n'.repeat(300)}":2,"a//b":3}`,
      '{"step":1180591620717411303424,"loss":1}',
      '{"step":2,"timestamp":1795322750.0900001,"ok":2}',
      '{"step":3,"timestamp":-5,"ok":3,"bad":NaN}',
      '{"step":4,"ok":4}',
    ].join('\n')
    const { code, stderr } = await spanbridge(
      ['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', url],
      `${input}\n`,
    )
    expect(code, stderr).toBe(0)
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect(run).toMatchObject({ skipped: { step_out_of_range: 1, config: 3 }, rejectedParams: 1 })
    const [destination] = run!.destinations
    expect(destination!.points).toMatchObject({ rejected: 0, pending: 0 })
    const { data } = await api.run(destination!.runId!)
    const ok = (await api.history(destination!.runId!, 'misc/ok')).map(({ value }) => value)
    expect(ok.sort((a, b) => a - b)).toEqual([1, 2, 3, 4])
    const metrics = data.metrics.map(({ key }: { key: string }) => key) as string[]
    expect(metrics).toHaveLength(5)
    expect(metrics.some((key) => /^misc\/loss__[0-9a-f]{8}$/.test(key))).toBe(true)
    const params = new Map(data.params.map(({ key, value }: { key: string; value: string }) => [key, value]))
    expect([params.get('lr'), params.get('seed')]).toEqual(['0.1', '1'])
    expect(params.get('long')).toMatch(/^x{5900,6000}… \[10000 characters\]$/)
  })
})
