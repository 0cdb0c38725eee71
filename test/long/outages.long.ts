import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { expectConserved } from '../support/account.ts'
import { freePort, MlflowApi, startMlflow, type MlflowServer } from '../support/mlflow.ts'
import { Proxy } from '../support/proxy.ts'
import { cleanEnv, SPANBRIDGE, spanbridge, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const LATENCY = fileURLToPath(new URL('../../bench/write-latency.py', import.meta.url))

/** A trainer that writes 3 numbers 2,000 times a second for `seconds`, and what its writes cost. */
async function train(
  seconds: number,
  command: string,
): Promise<{ p50_us: number; p99_us: number; max_us: number; stderr: string }> {
  const child = spawn('bash', ['-c', `{ python3 ${LATENCY} ${seconds} 2000 2>&3 | ${command} >/dev/null; } 3>&1`], {
    env: cleanEnv(),
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  await new Promise((resolve) => child.on('close', resolve))
  return { ...JSON.parse(Buffer.concat(out).toString()), stderr: Buffer.concat(err).toString() }
}

describe('200,000 points through an outage', () => {
  let server: MlflowServer
  const directory = mkdtempSync(join(tmpdir(), 'mlflow-long-'))
  beforeAll(async () => void (server = await startMlflow(directory, await freePort())))
  afterAll(() => server.stop())

  const count = 34 * 2000
  async function expectAll(stateDir: string): Promise<void> {
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect(run!.destinations[0]!.points).toEqual({ delivered: 3 * count, rejected: 0, evicted: 0, pending: 0 })
    const api = new MlflowApi(server.url)
    for (const key of ['loss', 'kl', 'entropy']) {
      const steps = (await api.history(run!.destinations[0]!.runId!, `trainer/${key}`)).map(({ step }) => step)
      expect([steps.length, new Set(steps).size]).toEqual([count, count])
    }
    expect((await api.run(run!.destinations[0]!.runId!)).info.status).toBe('FINISHED')
  }

  async function through(outage: (url: string) => Promise<void>, url = server.url): Promise<void> {
    const stateDir = temporaryDirectory()
    const cat = await train(5, 'cat')
    const [bridged] = await Promise.all([
      train(34, `${SPANBRIDGE} --wait --state-dir ${stateDir} --mlflow-tracking-uri ${url}`),
      sleep(6000).then(() => outage(url)),
    ])
    const { stderr, ...cost } = bridged
    console.log(
      `writes with cat ${JSON.stringify({ ...cat, stderr: undefined })}\nwrites bridged ${JSON.stringify(cost)}\n${stderr}`,
    )
    await expectAll(stateDir)
  }

  it('of a server that is killed, and started again after 20 s', () =>
    through(async (url) => {
      process.kill(-server.process.pid!, 'SIGKILL')
      await sleep(20_000)
      server = await startMlflow(directory, Number(new URL(url).port))
    }))

  it('of a server that is stopped for 30 s', () =>
    through(async () => {
      process.kill(-server.process.pid!, 'SIGSTOP')
      await sleep(30_000)
      process.kill(-server.process.pid!, 'SIGCONT')
    }))

  it('of a forwarder that accepts and closes for 20 s', async () => {
    const proxy = await Proxy.start(server.url)
    onTestFinished(() => proxy.stop())
    await through(async () => {
      proxy.treat = () => 'close'
      await sleep(20_000)
      proxy.treat = () => 'pass'
    }, proxy.url)
  })

  it('on a run of 300,000 rows whose every tenth answer is swallowed, at the pace of one that loses none', async () => {
    const api = new MlflowApi(server.url)
    const { run } = await api.post('runs/create', { experiment_id: '0', start_time: 1 })
    const runId = run.info.run_id as string
    for (let from = 0; from < 300_000; from += 1000) {
      const metrics = Array.from({ length: 1000 }, (_, i) => ({
        key: `k${(from + i) % 20}`,
        value: (from + i) / 8,
        timestamp: 1,
        step: from + i,
      }))
      await api.post('runs/log-batch', { run_id: runId, metrics })
    }
    const proxy = await Proxy.start(server.url)
    onTestFinished(() => proxy.stop())
    const rates: Record<string, number> = {}
    let next = 0
    for (const [name, loses] of [
      ['none lost', false],
      ['every tenth lost', true],
    ] as const) {
      proxy.treat = (path, n) => (loses && path === 'runs/log-batch' && n % 10 === 0 ? 'swallow' : 'pass')
      const lines = Array.from(
        { length: 20_000 },
        (_, i) => `{"category":"TRAINER","step":${next + i},"loss":${i / 8},"kl":1,"same":2}\n`,
      ).join('')
      next += 20_000
      const from = performance.now()
      const { code, stderr } = await spanbridge(
        ['--quiet', '--state-dir', temporaryDirectory(), '--mlflow-run-id', runId, '--mlflow-tracking-uri', proxy.url],
        lines,
      )
      expect(code, stderr).toBe(0)
      rates[name] = Math.round(60_000 / ((performance.now() - from) / 1000))
    }
    console.log('points/s on a run of 300,000 rows', rates)
    for (const key of ['loss', 'kl', 'same']) expect((await api.history(runId, `trainer/${key}`)).length).toBe(40_000)
    expect(rates['every tenth lost']! / rates['none lost']!).toBeGreaterThan(0.5)
  })

  it('of a daemon that is killed ten times in a row and resumed: one run, each line once', async () => {
    const stateDir = temporaryDirectory()
    const flags = [
      '--quiet',
      '--resume',
      '--run-name',
      'killed',
      '--state-dir',
      stateDir,
      '--mlflow-tracking-uri',
      server.url,
    ]
    let step = 0
    const due: number[] = []
    for (let round = 0; round < 10; round += 1) {
      const running = startBridge(flags)
      const writtenAt: { step: number; at: number }[] = []
      const until = performance.now() + 1200 + Math.random() * 2000
      while (performance.now() < until) {
        running.child.stdin.write(`{"category":"TRAINER","step":${step},"loss":${step / 8}}\n`)
        writtenAt.push({ step, at: performance.now() })
        step += 1
        await sleep(2)
      }
      const killedAt = performance.now()
      running.child.kill('SIGKILL')
      await running.finished
      due.push(...writtenAt.filter(({ at }) => at <= killedAt - 250).map((line) => line.step))
    }
    const { code, stderr } = await spanbridge(flags, `{"category":"TRAINER","step":${step},"loss":1}\n`)
    expect(code, stderr).toBe(0)
    const runs = await statusOf(stateDir)
    expect(runs).toHaveLength(1)
    expectConserved(runs[0]!)
    const steps = (await new MlflowApi(server.url).history(runs[0]!.destinations[0]!.runId!, 'trainer/loss')).map(
      (row) => row.step,
    )
    expect(new Set(steps).size).toBe(steps.length)
    expect(due.filter((wanted) => !steps.includes(wanted))).toEqual([])
    console.log(
      `10 kills: ${step} lines written, ${due.length} of them 250 ms or more before a kill, ${steps.length} in MLflow, none twice`,
    )
  })
})
