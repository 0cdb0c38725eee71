import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, inject, it } from 'vitest'
import { expectConserved } from '../support/account.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { MlflowApi } from '../support/mlflow.ts'
import { spanbridge, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const line = (step: number): string => `{"category":"TRAINER","step":${step},"loss":${step / 8}}\n`
const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, i) => line(from + i)).join('')

/** Starts a bridge, feeds it, and kills it when all of it is in the journal, and `also` holds. */
async function killed(
  args: readonly string[],
  stateDir: string,
  input: string,
  points: number,
  also: () => boolean = () => true,
): Promise<void> {
  const running = startBridge(['--quiet', '--state-dir', stateDir, ...args])
  running.child.stdin.write(input)
  await expect.poll(async () => (await statusOf(stateDir)).at(-1)?.journaled.points, { timeout: 20_000 }).toBe(points)
  await expect.poll(also, { timeout: 20_000 }).toBe(true)
  running.child.kill('SIGKILL')
  await running.finished
}

it('a run that was half delivered to one server goes whole to another, and its rest to the first when that is back', async () => {
  const [first, second] = [await FakeMlflow.start(), await FakeMlflow.start()]
  const stateDir = temporaryDirectory()
  first.fault = ({ path, body }, response) =>
    path === 'runs/log-batch' && body.metrics?.some(({ step }: { step: number }) => step >= 2000)
      ? (response.writeHead(503).end(), true)
      : false
  const at = (server: FakeMlflow): string[] => ['--state-dir', stateDir, '--mlflow-tracking-uri', server.url]
  await spanbridge(['--quiet', '--run-name', 'half', '--shutdown-deadline', '2s', ...at(first)], lines(0, 4000))
  expect(first.points.size).toBeGreaterThan(0)
  expect(first.points.size).toBeLessThan(4000)
  expect((await spanbridge(['sync', 'half', ...at(second)])).code).toBe(0)
  expect(second.points.size).toBe(4000)
  first.fault = () => false
  const { code, stderr } = await spanbridge(['sync', ...at(first)])
  expect(code, stderr).toBe(0)
  expect([first.points.size, first.repeats, second.repeats, second.runs.size]).toEqual([4000, 0, 0, 1])
  expect((await spanbridge(['sync', ...at(second)])).stderr).toContain('nothing is left to deliver')
})

it('a run that sync names is delivered, and no other', async () => {
  const fake = await FakeMlflow.start()
  const stateDir = temporaryDirectory()
  for (const name of ['one', 'other'])
    await spanbridge(['--quiet', '--run-name', name, '--state-dir', stateDir], lines(0, 10))
  const at = ['--state-dir', stateDir, '--mlflow-tracking-uri', fake.url]
  expect((await spanbridge(['sync', 'one', ...at])).code).toBe(0)
  const delivered = (await statusOf(stateDir)).map(({ name, destinations }) => [name, destinations.length])
  expect([delivered, fake.runs.size]).toEqual([
    [
      ['one', 1],
      ['other', 0],
    ],
    1,
  ])
})

describe('a run whose daemon was killed', () => {
  it('goes on under --resume: one run in MLflow, every point once, ended in the end', async () => {
    const url = inject('mlflowUrl')
    const stateDir = temporaryDirectory()
    const args = ['--run-name', 'resumed', '--mlflow-tracking-uri', url]
    await killed(args, stateDir, lines(0, 300), 300)
    await killed(['--resume', ...args], stateDir, lines(300, 500), 500)
    const { code, stderr } = await spanbridge(
      ['--quiet', '--resume', '--state-dir', stateDir, ...args],
      lines(500, 600),
    )
    expect(code, stderr).toBe(0)
    expect(stderr).toContain('going on with the run resumed')
    const runs = await statusOf(stateDir)
    expect(runs).toHaveLength(1)
    expectConserved(runs[0]!)
    expect(runs[0]).toMatchObject({ points: 600, status: 'finished', series: 1 })
    const api = new MlflowApi(url)
    const { runId } = runs[0]!.destinations[0]!
    expect((await api.history(runId!, 'trainer/loss')).map(({ step }) => step).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 600 }, (_, i) => i),
    )
    expect((await api.run(runId!)).info.status).toBe('FINISHED')
  })

  it('is delivered and closed as killed by the next start, beside the new run', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    const args = ['--mlflow-tracking-uri', fake.url]
    fake.fault = ({ path }, response) => path === 'runs/log-batch' && (response.writeHead(503).end(), true)
    await killed([...args, '--run-name', 'old'], stateDir, lines(0, 120), 120)
    fake.fault = () => false
    const running = startBridge(['--quiet', '--state-dir', stateDir, '--run-name', 'new', ...args])
    running.child.stdin.write(lines(0, 10))
    await running.seen('of the earlier process is delivered')
    running.child.stdin.end()
    const { code, stderr } = await running.finished
    expect(code, stderr).toBe(0)
    const [old, young] = await statusOf(stateDir)
    for (const run of [old!, young!]) expectConserved(run)
    expect(old).toMatchObject({
      name: 'old',
      status: 'killed',
      closedBy: 'take-over',
      destinations: [{ points: { delivered: 120, pending: 0 } }],
    })
    expect(young).toMatchObject({
      name: 'new',
      status: 'finished',
      destinations: [{ points: { delivered: 10, pending: 0 } }],
    })
    expect([...fake.runs.values()].map(({ info }) => info['status'])).toEqual(['KILLED', 'FINISHED'])
    expect(fake.repeats).toBe(0)
  })

  it('may be taken up by several at once, and is delivered by one', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    const args = ['--mlflow-tracking-uri', fake.url]
    fake.fault = ({ path }, response) => path === 'runs/log-batch' && (response.writeHead(503).end(), true)
    await killed(args, stateDir, lines(0, 200), 200)
    fake.fault = () => false
    const results = await Promise.all(
      Array.from({ length: 3 }, () => spanbridge(['sync', '--state-dir', stateDir, ...args])),
    )
    for (const { code, stderr } of results)
      expect(code === 0 || (code === 1 && /process \d+ holds it/.test(stderr)), stderr).toBe(true)
    expect([fake.points.size, fake.repeats, fake.of('runs/create').length]).toEqual([200, 0, 1])
    expectConserved((await statusOf(stateDir))[0]!)
  })

  it('is delivered by another daemon when the one that had taken it up is killed too', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    const args = ['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', fake.url]
    fake.fault = ({ path }, response) => path === 'runs/log-batch' && (response.writeHead(503).end(), true)
    await killed(args.slice(3), stateDir, lines(0, 60), 60)
    const first = startBridge(args)
    await first.seen('taking up the run')
    const second = startBridge(args)
    await expect.poll(async () => (await statusOf(stateDir)).length, { timeout: 20_000 }).toBe(3)
    first.child.kill('SIGKILL')
    await first.finished
    fake.fault = () => false
    await expect
      .poll(async () => (await statusOf(stateDir))[0]!.destinations[0]!.points.delivered, { timeout: 40_000 })
      .toBe(60)
    second.child.stdin.end()
    expect((await second.finished).code).toBe(0)
    expect(fake.repeats).toBe(0)
  })

  it('has no say in when the next run ends', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    const args = ['--mlflow-tracking-uri', fake.url]
    let old: unknown = null
    fake.fault = ({ path, body }, response) => {
      if (path !== 'runs/log-batch') return false
      old = body.run_id
      response.writeHead(503).end()
      return true
    }
    await killed(args, stateDir, lines(0, 60), 60, () => old !== null)
    fake.fault = ({ body }) => body.run_id === old
    const running = startBridge(['--quiet', '--state-dir', stateDir, ...args])
    await running.seen('taking up the run')
    const from = performance.now()
    running.child.stdin.end(lines(0, 10))
    const { code, stderr } = await running.finished
    expect(code, stderr).toBe(0)
    expect(performance.now() - from).toBeLessThan(4000)
    expect((await statusOf(stateDir)).map(({ destinations }) => destinations[0]!.points.pending)).toEqual([60, 0])
  })

  it('is delivered although a process that once wanted it left its wish behind', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    const args = ['--mlflow-tracking-uri', fake.url]
    fake.fault = ({ path }, response) => path === 'runs/log-batch' && (response.writeHead(503).end(), true)
    await killed(args, stateDir, lines(0, 60), 60, () => fake.runs.size === 1)
    fake.fault = () => false
    const [run] = await statusOf(stateDir)
    writeFileSync(run!.journal.replace('.sqlite', '.want'), '')
    const running = startBridge(['--quiet', '--state-dir', stateDir, ...args])
    await running.seen('of the earlier process is delivered')
    running.child.stdin.end()
    expect((await running.finished).code).toBe(0)
    expect(fake.points.size).toBe(60)
  })

  it('that was given from outside is delivered by whoever comes, and ended by nobody', async () => {
    const fake = await FakeMlflow.start()
    const { run } = (await (
      await fetch(`${fake.url}/api/2.0/mlflow/runs/create`, {
        method: 'POST',
        body: '{"experiment_id":"0","start_time":1,"tags":[]}',
      })
    ).json()) as { run: { info: { run_id: string } } }
    const runId = run.info.run_id
    const stateDir = temporaryDirectory()
    const toRun = ['--mlflow-tracking-uri', fake.url, '--mlflow-run-id', runId]
    // Before the first request the journal may not know yet where it goes.
    const isAsked = (): boolean => fake.of('runs/get').length > 0
    await killed(toRun, stateDir, lines(0, 60), 60, isAsked)
    const { code } = await spanbridge([
      'sync',
      '--state-dir',
      stateDir,
      '--mlflow-tracking-uri',
      fake.url,
      '--mlflow-experiment-id',
      '5',
    ])
    expect([code, fake.points.size, fake.runs.size]).toEqual([0, 60, 1])
    expect(fake.runs.get(runId)!.info['status']).toBe('RUNNING')
  })

  it('is closed by sync too, which then has nothing left to do', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    // A request to make the run that was cut off would be waited for.
    await killed(['--mlflow-tracking-uri', fake.url], stateDir, lines(0, 60), 60, () => fake.runs.size === 1)
    const sync = () => spanbridge(['sync', '--state-dir', stateDir, '--mlflow-tracking-uri', fake.url])
    expect((await sync()).code).toBe(0)
    expect((await statusOf(stateDir))[0]).toMatchObject({
      status: 'killed',
      destinations: [{ state: 'ok', points: { delivered: 60 } }],
    })
    expect((await sync()).stderr).toContain('nothing is left to deliver')
  })

  it('can be named for --resume, and a name that is not there is told with those that are', async () => {
    const stateDir = temporaryDirectory()
    await spanbridge(['--quiet', '--state-dir', stateDir, '--run-name', 'first'], lines(0, 5))
    await spanbridge(['--quiet', '--state-dir', stateDir, '--run-name', 'second'], lines(0, 5))
    expect((await spanbridge(['--quiet', '--state-dir', stateDir, '--resume=first'], lines(5, 8))).code).toBe(0)
    expect((await statusOf(stateDir)).map(({ name, points, status }) => [name, points, status])).toEqual([
      ['first', 8, 'finished'],
      ['second', 5, 'finished'],
    ])
    const { code, stdout, stderr } = await spanbridge(['--state-dir', stateDir, '--resume=third'], lines(0, 2))
    expect([code, stdout.toString()]).toEqual([2, lines(0, 2)])
    expect(stderr).toContain("resume: there is no run 'third'")
    expect(stderr).toContain('second (')
  })

  it('can be delivered from a copy of its journal', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    await spanbridge(['--quiet', '--state-dir', stateDir], lines(0, 70))
    const [run] = await statusOf(stateDir)
    const copy = join(temporaryDirectory(), 'a copy.sqlite')
    copyFileSync(run!.journal, copy)
    expect((await spanbridge(['sync', copy, '--mlflow-tracking-uri', fake.url])).code).toBe(0)
    expect(fake.points.size).toBe(70)
  })
})

describe('what was refused', () => {
  it('is sent once more by sync --rejected, counts as delivered when it is taken, and stays set aside when it is not', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    fake.model.refuses = ({ step }) => (step % 10 === 3 ? 'a limit of the server' : null)
    const at = ['--state-dir', stateDir, '--mlflow-tracking-uri', fake.url]
    expect((await spanbridge(['--quiet', ...at], lines(0, 60))).code).toBe(0)
    expect(fake.points.size).toBe(54)
    fake.model.refuses = ({ step }) => (step === 13 ? 'a limit of the server' : null)
    const { code, stderr } = await spanbridge(['sync', '--rejected', ...at])
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining('mlflow: of what was refused 5 are taken now, 1 refused again'),
    ])
    expect(fake.points.size).toBe(59)
    const [run] = await statusOf(stateDir)
    expect(run!.destinations[0]!.points).toEqual({ delivered: 59, rejected: 1, evicted: 0, pending: 0 })
    expectConserved(run!)
    expect((await spanbridge(['sync', ...at])).stderr).toContain('nothing is left to deliver')
    expect([...fake.points.values()].map(({ step }) => step).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 60 }, (_, i) => i).filter((step) => step !== 13),
    )
    expect((await spanbridge(['status', '--rejected', ...at])).stderr).toContain("only 'sync' takes it")
  })
})

describe('the state directory', () => {
  it('lays a damaged journal aside with a word, once, and reads one of a newer version not at all', async () => {
    const stateDir = temporaryDirectory()
    const of = async (): Promise<string> => {
      await spanbridge(['--quiet', '--state-dir', stateDir], lines(0, 5))
      return (await statusOf(stateDir)).at(-1)!.journal
    }
    const [damaged, newer] = [await of(), await of()]
    writeFileSync(damaged, Buffer.concat([readFileSync(damaged).subarray(0, 4096), Buffer.alloc(90_000, 0x5a)]))
    const database = new DatabaseSync(newer)
    database.exec('PRAGMA user_version = 99')
    database.close()
    const first = startBridge(['--quiet', '--state-dir', stateDir])
    await first.seen(`is set aside as ${damaged}.damaged`)
    await first.seen(`${newer} cannot be read (its format is 99`)
    first.child.stdin.end()
    expect((await first.finished).code).toBe(0)
    expect([existsSync(damaged), existsSync(`${damaged}.damaged`), existsSync(newer)]).toEqual([false, true, true])
    const again = await spanbridge(['--quiet', '--state-dir', stateDir], lines(0, 5))
    expect(again.stderr).not.toContain(damaged)
  })

  it('may hold garbage beside good journals', async () => {
    const stateDir = temporaryDirectory()
    await spanbridge(['--quiet', '--state-dir', stateDir], lines(0, 5))
    writeFileSync(
      join(stateDir, '00GARBAGE.sqlite'),
      'no database at all, but long enough to look like a header of one ........',
    )
    writeFileSync(join(stateDir, '00EMPTY.sqlite'), '')
    mkdirSync(join(stateDir, '00DIRECTORY.sqlite'))
    const { code, stdout, stderr } = await spanbridge(['status', '--json', '--state-dir', stateDir])
    expect(code).toBe(0)
    expect(JSON.parse(stdout.toString()).runs).toHaveLength(1)
    expect(stderr).toContain('00GARBAGE.sqlite cannot be read')
    const running = startBridge(['--quiet', '--state-dir', stateDir])
    await running.seen('00GARBAGE.sqlite cannot be read')
    running.child.stdin.end(lines(0, 5))
    expect((await running.finished).code).toBe(0)
    const sync = await spanbridge([
      'sync',
      '--state-dir',
      stateDir,
      '--mlflow-tracking-uri',
      'http://127.0.0.1:1',
      '--shutdown-deadline',
      '100ms',
    ])
    expect([sync.code, sync.stderr]).toEqual([1, expect.stringContaining('00GARBAGE.sqlite cannot be read')])
  })

  it('that is deleted while we run is told, and the exit code is not 0', async () => {
    const stateDir = join(temporaryDirectory(), 'state')
    const running = startBridge(['--quiet', '--state-dir', stateDir])
    running.child.stdin.write(lines(0, 5))
    await expect.poll(async () => (await statusOf(stateDir))[0]?.points, { timeout: 20_000 }).toBe(5)
    rmSync(stateDir, { recursive: true })
    running.child.stdin.end(lines(5, 9))
    const { code, stderr } = await running.finished
    expect(existsSync(stateDir)).toBe(false)
    expect([code, stderr]).toEqual([1, expect.stringContaining('9 points kept in memory only: lost')])
  })

  it('under /proc, where nothing can be made, is told at once', async () => {
    const { code, stderr } = await spanbridge(['--quiet', '--state-dir', '/proc/spanbridge/state'], lines(0, 5))
    expect([code, stderr]).toEqual([3, expect.stringContaining('no journal can be kept in /proc/spanbridge/state')])
  })

  it('that is a file makes status say so', async () => {
    const file = join(temporaryDirectory(), 'file')
    writeFileSync(file, '')
    const { code, stderr } = await spanbridge(['status', '--state-dir', file])
    expect([code, stderr]).toEqual([2, expect.stringContaining(`stateDir: expected a directory, got '${file}'`)])
  })
})
