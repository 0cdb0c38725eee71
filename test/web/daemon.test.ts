import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { daemon, post, traceOf } from '../support/otlp-daemon.ts'
import { get, listen } from '../support/page.ts'
import { pageOf, startWithPage, until } from '../support/served.ts'
import { spanbridge, startBridge, temporaryDirectory, type Running } from '../support/spanbridge.ts'

const line = (step: number): string => `${JSON.stringify({ category: 'TRAINER', step, loss: 1 / step })}\n`
const stop = async ({ child, finished }: Running, signal: NodeJS.Signals = 'SIGTERM') => {
  child.kill(signal)
  return finished
}
const PIPE = ['run', '--quiet', '--otlp-http-listen', 'off']

describe('a trainer in a pipe', () => {
  it('is on the page while it runs: a point that is logged is there within a second', async () => {
    const { running, ...place } = await startWithPage(PIPE)
    running.child.stdin.write(line(1))
    await until(async () => (await get(place, '/api/v1/state')).json.runs[0]?.points === 1)
    const state = (await get(place, '/api/v1/state')).json
    const { run } = state.server
    expect(state.runs[0]).toMatchObject({ run, status: 'running' })
    const live = listen(place, `?run=${run}&after=1`)
    await until(() => live.of('hello').length)
    const delays: number[] = []
    for (let step = 2; step < 22; step += 1) {
      const logged = Date.now()
      running.child.stdin.write(line(step))
      await until(() => live.of('points').at(-1)?.data.series[0].steps.includes(step))
      delays.push(live.of('points').at(-1)!.at - logged)
    }
    // Half of them: on a machine that is all in use one may come late.
    expect(delays.toSorted((a, b) => a - b)[10]).toBeLessThan(1000)
    expect(live.of('points').flatMap(({ data }) => data.series[0].steps)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 2),
    )
    running.child.stdin.end()
    const { code, stderr } = await running.finished
    expect(code).toBe(0)
    await until(() => live.state.isClosed)
    expect(stderr).toContain(`page: ${place.base}/?token=${place.token}\n`)
    expect(stderr).toMatch(/see it again with: .* view .*\n$/)
  })

  it('has a page also when the directory that it began in is deleted', async () => {
    const directory = join(temporaryDirectory(), 'gone')
    mkdirSync(directory)
    const { running, ...place } = await startWithPage(PIPE, temporaryDirectory(), { cwd: directory })
    rmSync(directory, { recursive: true })
    expect((await get(place, '/api/v1/state')).status).toBe(200)
    running.child.stdin.end()
    expect((await running.finished).code).toBe(0)
  })

  it('ends although somebody looks on, and does not wait for that', async () => {
    const { running, ...place } = await startWithPage(PIPE)
    const readers = Array.from({ length: 5 }, () => listen(place, ''))
    await until(() => readers.every((reader) => reader.of('hello').length > 0))
    const from = performance.now()
    running.child.stdin.end(line(1))
    expect((await running.finished).code).toBe(0)
    expect(performance.now() - from).toBeLessThan(10_000)
  })

  it('goes on with a warning where the port that was asked for is taken', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void taken.close())
    const at = `127.0.0.1:${(taken.address() as AddressInfo).port}`
    const stateDir = temporaryDirectory()
    const { code, stderr, stdout } = await spanbridge(
      ['--state-dir', stateDir, '--otlp-http-listen', 'off', '--web-listen', at],
      line(1),
    )
    expect([code, stdout.toString()]).toEqual([0, line(1)])
    expect(stderr).toContain(`page: ${at} cannot be listened on`)
    expect(stderr).toContain('there is no page')
    for (const verb of [['run', '--stdin', 'off', '--otlp-http-listen', '127.0.0.1:0'], ['view']]) {
      const without = await spanbridge([...verb, '--state-dir', stateDir, '--web-listen', at])
      expect([without.code, without.stderr], verb.join(' ')).toEqual([
        3,
        expect.stringContaining(`page: ${at} cannot be listened on`),
      ])
    }
  })
})

describe('the token', () => {
  it('is the same after a restart, and lets an open page in again', async () => {
    const stateDir = temporaryDirectory()
    const first = await startWithPage(PIPE, stateDir)
    const { headers } = await get(first, `/?token=${first.token}`, { bare: true })
    const cookie = String(headers['set-cookie']).split(';')[0]!
    await stop(first.running, 'SIGKILL')
    const running = startBridge([...PIPE, '--state-dir', stateDir, '--web-listen', `127.0.0.1:${first.port}`])
    const again = await pageOf(running, stateDir)
    expect(again).toEqual({ base: first.base, port: first.port, token: first.token })
    expect((await get(again, '/api/v1/state', { bare: true, headers: { cookie } })).status).toBe(200)
  })

  it('is in the address that status shows while the process lives', async () => {
    const { running, stateDir, base, token } = await startWithPage(PIPE)
    const shown = await spanbridge(['status', '--state-dir', stateDir])
    expect(shown.stdout.toString()).toContain(`page  ${base}/?token=${token}  (process ${running.child.pid})`)
    const { pages } = JSON.parse((await spanbridge(['status', '--json', '--state-dir', stateDir])).stdout.toString())
    expect(pages).toEqual([{ pid: running.child.pid, url: `${base}/?token=${token}` }])
    await stop(running, 'SIGKILL')
    expect((await spanbridge(['status', '--state-dir', stateDir])).stdout.toString()).not.toContain('page ')
  })
})

describe('exec', () => {
  it('serves the page of its command, and ends with it although somebody looks on', async () => {
    const script =
      'console.log(JSON.stringify({ step: 1, loss: 0.5 })); process.stdin.resume(); process.stdin.on("end", () => process.exit(7))'
    const { running, ...place } = await startWithPage(['exec', '--', process.execPath, '-e', script])
    const live = listen(place, '')
    await until(async () => (await get(place, '/api/v1/state')).json.runs[0]?.points === 1)
    const { server } = (await get(place, '/api/v1/state')).json
    expect(server).toMatchObject({
      kind: 'daemon',
      pid: running.child.pid,
      listeners: { web: `127.0.0.1:${place.port}`, 'otlp-http': expect.any(String) },
    })
    const from = performance.now()
    running.child.stdin.end()
    const { code, stderr } = await running.finished
    expect([code, stderr]).toEqual([7, expect.stringContaining('see it again with: ')])
    expect(performance.now() - from).toBeLessThan(10_000)
    await until(() => live.state.isClosed)
  })

  it('tells an open page of the last point and of the end of the run before it goes', async () => {
    const script = `process.stdin.on('data', () => {
      for (let step = 2; step <= 500; step += 1) console.log(JSON.stringify({ step, loss: 0.5 }))
      process.exit(0)
    })
    console.log(JSON.stringify({ step: 1, loss: 0.5 }))`
    const { running, ...place } = await startWithPage(['exec', '--', process.execPath, '-e', script])
    await until(async () => (await get(place, '/api/v1/state')).json.runs[0]?.points === 1)
    const { run } = (await get(place, '/api/v1/state')).json.runs[0]
    const live = listen(place, `?run=${run}&after=1`)
    await until(() => live.of('hello').length === 1)
    running.child.stdin.write('go')
    await running.finished
    await until(() => live.state.isClosed)
    const steps = live.of('points').flatMap(({ data }) => data.series.flatMap((of: { steps: number[] }) => of.steps))
    expect(steps).toEqual(Array.from({ length: 499 }, (_, i) => i + 2))
    expect(live.of('runs').at(-1)!.data.changed[0]).toMatchObject({ run, status: 'finished', points: 500 })
  })

  it('says nothing of a page with --no-web, and has none', async () => {
    const { code, stderr } = await spanbridge(
      ['exec', '--no-web', '--state-dir', temporaryDirectory(), '--', 'true'],
      '',
      { env: { SPANBRIDGE_WEB_LISTEN: '127.0.0.1:0' } },
    )
    expect(code).toBe(0)
    expect(stderr).not.toContain('page')
  })
})

describe('a daemon without standard input', () => {
  it('tells what sends it a first point, which it then shows', async () => {
    const { running, url, stateDir } = await daemon(['--web-listen', '127.0.0.1:0'])
    const place = await pageOf(running, stateDir)
    const state = (await get(place, '/api/v1/state')).json
    expect(state.runs).toEqual([])
    expect(state.server).toMatchObject({ run: null, listeners: { 'otlp-http': url.slice('http://'.length) } })
    const [, body] = /-d '(.*)'$/.exec(state.server.testLine) as unknown as [string, string]
    expect(state.server.testLine).toContain(`${url}/v1/logs`)
    const answer = await fetch(`${url}/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect(answer.status).toBe(200)
    await until(async () => (await get(place, '/api/v1/state')).json.runs[0]?.points === 1)
    expect((await stop(running)).code).toBe(0)
  })

  it('serves with nothing else to listen for, until a signal', async () => {
    const { running, ...place } = await startWithPage(['run', '--stdin', 'off', '--otlp-http-listen', 'off'])
    expect((await get(place, '/api/v1/state')).json.server.testLine).toBeNull()
    expect((await stop(running, 'SIGINT')).code).toBe(0)
  })

  it('deletes no run that it holds, and goes on taking it in', async () => {
    const { running, url, stateDir } = await daemon(['--web-listen', '127.0.0.1:0'])
    const place = await pageOf(running, stateDir)
    await post(url, traceOf(1, [[1, 0, { step: 1, loss: 1 }]]))
    await until(async () => (await get(place, '/api/v1/state')).json.runs.length === 1)
    const { run, name } = (await get(place, '/api/v1/state')).json.runs[0]
    const refused = await get(place, `/api/v1/runs/${run}?confirm=${run}`, { method: 'DELETE' })
    expect([refused.status, refused.json.error]).toEqual([
      409,
      `the run ${name} is still written or delivered by process ${running.child.pid}`,
    ])
    // Its lock still holds for others, although we have looked at it from within the same process.
    const other = await spanbridge([
      'sync',
      run,
      '--state-dir',
      stateDir,
      '--mlflow-tracking-uri',
      'http://127.0.0.1:9',
    ])
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('holds it, and delivers it itself')])
    expect(await post(url, traceOf(2, [[2, 0, { step: 2, loss: 1 }]]))).toBe(200)
    await until(async () => (await get(place, '/api/v1/state')).json.runs[0].points === 4)
    await stop(running)
    expect(existsSync(join(stateDir, `${run}.sqlite`))).toBe(true)
  })
})

describe('view', () => {
  it('shows the runs of a state directory, or one journal, until Ctrl-C, and says how a run is made', async () => {
    const stateDir = temporaryDirectory()
    for (const name of ['one', 'other'])
      await spanbridge(['--quiet', '--state-dir', stateDir, '--run-name', name], line(1))
    const { running, ...place } = await startWithPage(['view'], stateDir)
    const state = (await get(place, '/api/v1/state')).json
    expect(state.runs.map(({ name }: { name: string }) => name)).toEqual(['other', 'one'])
    expect(state.server).toMatchObject({
      kind: 'view',
      run: null,
      testLine: expect.stringContaining(`--state-dir ${stateDir}`),
    })
    const { run, journal } = state.runs[1]
    expect(await stop(running, 'SIGINT')).toMatchObject({ code: 0 })
    expect(readdirSync(join(stateDir, 'daemons'))).toEqual([])
    const own = temporaryDirectory()
    const only = startBridge(['view', journal, '--state-dir', own, '--web-listen', '127.0.0.1:0'])
    const { json } = await get(await pageOf(only, own), '/api/v1/state')
    expect([json.stateDir, json.runs.map((each: { run: string }) => each.run)]).toEqual([stateDir, [run]])
    const directory = startBridge(['view', stateDir, '--state-dir', own, '--web-listen', '127.0.0.1:0'])
    const there = await pageOf(directory, own)
    expect((await get(there, '/api/v1/state')).json.runs).toHaveLength(2)
    // A page of that directory that was open before stays so.
    expect(there.token).toBe(place.token)
  })

  it('takes finished logs in once, shows them first, and delivers nothing', async () => {
    const directory = temporaryDirectory()
    const stateDir = join(directory, 'state')
    writeFileSync(join(directory, 'a.jsonl'), line(1) + line(2))
    for (let time = 0; time < 2; time += 1) {
      const words = ['view', 'a.jsonl', '--mlflow-tracking-uri', 'http://127.0.0.1:9']
      const { running, ...place } = await startWithPage(words, stateDir, { cwd: directory })
      const { server, runs } = (await get(place, '/api/v1/state')).json
      expect(runs).toMatchObject([{ run: server.run, name: 'a', status: 'finished', points: 2, destinations: [] }])
      expect((await stop(running, 'SIGINT')).code).toBe(0)
    }
  })

  it('shows a run that another process is taking in, as it grows', async () => {
    const { running, stateDir } = await startWithPage(PIPE)
    running.child.stdin.write(line(1))
    const viewer = startBridge(['view', stateDir, '--state-dir', stateDir, '--web-listen', '127.0.0.1:0'])
    const place = await pageOf(viewer, stateDir)
    await until(async () => (await get(place, '/api/v1/state')).json.runs[0]?.points === 1)
    const { run } = (await get(place, '/api/v1/state')).json.runs[0]
    const live = listen(place, `?run=${run}`)
    await until(() => live.of('hello').length)
    running.child.stdin.write(line(2))
    await until(() => live.of('points').length)
    await stop(running, 'SIGKILL')
    await until(() => live.of('runs').some(({ data }) => data.changed[0]?.status === 'interrupted'))
  })

  it('opens a browser when it is told to, and says so where there is none', async () => {
    const directory = temporaryDirectory()
    const opener = (script: string): void => {
      for (const name of ['xdg-open', 'open'])
        writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    }
    const env = { PATH: `${directory}:${process.env['PATH']}` }
    opener(`echo "$1" > '${join(directory, 'opened')}'`)
    const opened = await startWithPage(['view', '--open'], temporaryDirectory(), { env })
    await until(() => existsSync(join(directory, 'opened')))
    await until(() => readFileSync(join(directory, 'opened'), 'utf8') === `${opened.base}/?token=${opened.token}\n`)
    opener('exit 3')
    const without = await startWithPage(['view', '--open'], temporaryDirectory(), { env })
    await without.running.seen('has opened no browser (exit code 3); open the address by hand')
    expect((await get(without, '/api/v1/state')).status).toBe(200)
  })

  it('says what it expected', async () => {
    const directory = temporaryDirectory()
    for (const [words, expected] of [
      [[join(directory, 'none')], 'which is not there'],
      [['/dev/null'], "expected a directory of journals, a journal (a .sqlite file) or logs, got '/dev/null'"],
      [[directory, directory], 'expected one directory or journal, or logs, got 2'],
    ] as const) {
      const { code, stderr } = await spanbridge([
        'view',
        ...words,
        '--web-listen',
        '127.0.0.1:0',
        '--state-dir',
        directory,
      ])
      expect([code, stderr]).toEqual([2, expect.stringContaining(expected)])
    }
    expect((await spanbridge(['view', '--no-web'])).code).toBe(2)
  })
})
