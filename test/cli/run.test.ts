import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { expectConserved } from '../support/account.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { fixture } from '../support/fixtures.ts'
import {
  cleanEnv,
  SPANBRIDGE,
  spanbridge,
  start,
  startBridge,
  statusOf,
  temporaryDirectory,
} from '../support/spanbridge.ts'

const line = (step: number): string => `{"category":"TRAINER","step":${step},"loss":${step / 8},"kl":0.5}\n`
const lines = (count: number): string => Array.from({ length: count }, (_, i) => line(i)).join('')

describe('a pipe', () => {
  it('passes every byte on unchanged, whatever the lines are', async () => {
    const input = Buffer.concat([
      Buffer.from('\u001b[1mbar\r{"step":1,"a":2}\r\n'),
      Buffer.from([0xff, 0x00, 0x0d]),
      fixture('python-lines/tqdm-mixed.log').bytes,
      Buffer.from('no newline at the end'),
    ])
    const { code, stdout } = await spanbridge(['--state-dir', temporaryDirectory()], input)
    expect(code).toBe(0)
    expect(stdout.equals(input)).toBe(true)
  })

  it('hands on a piece of a line at once, so that progress bars live', async () => {
    const running = startBridge(['--state-dir', temporaryDirectory()])
    running.child.stdin.write('10%|#')
    await running.seen('10%|#', 'stdout')
    running.child.stdin.write('\r20%|##')
    await running.seen('\r20%|##', 'stdout')
    running.child.stdin.end()
    expect((await running.finished).code).toBe(0)
  })

  it('is read to its end although our own output has been closed', async () => {
    const stateDir = temporaryDirectory()
    const { stdout, code } = await feed(stateDir)
    expect(stdout.length).toBe(10)
    expect(code).toBe(0)
    const [run] = await statusOf(stateDir)
    expect(run!.points).toBe(60_000)
  })

  it('leaves the output out with --quiet', async () => {
    expect((await spanbridge(['--quiet', '--state-dir', temporaryDirectory()], lines(3))).stdout.length).toBe(0)
  })

  it('is cat when the settings are wrong, and exits 2 at the end', async () => {
    const { code, stdout, stderr } = await spanbridge(['--channel-capacity', 'many', '--steps-inherit=maybe'], lines(3))
    expect([code, stdout.toString()]).toEqual([2, lines(3)])
    expect(stderr).toContain("--channel-capacity: expected a whole number from 1000 to 100000000, got 'many'")
    expect(stderr).toContain("--steps-inherit: expected true or false, got 'maybe'")
  })

  it('is bridged from memory when there is no directory to write to, and exits 3 at the end', async () => {
    const file = join(temporaryDirectory(), 'a-file')
    writeFileSync(file, '')
    const fake = await FakeMlflow.start()
    const { code, stdout, stderr } = await spanbridge(
      ['--state-dir', file, '--mlflow-tracking-uri', fake.url],
      lines(500),
    )
    expect([code, stdout.toString()]).toEqual([3, lines(500)])
    expect(stderr).toContain(`no journal can be kept in ${file}`)
    expect(fake.points.size).toBe(1000)
  })

  it('ends with one account line per fact, and names the command for what is left', async () => {
    const fake = await FakeMlflow.start()
    await fake.close()
    const stateDir = temporaryDirectory()
    const { code, stderr } = await spanbridge(
      ['--state-dir', stateDir, '--shutdown-deadline', '200ms', '--mlflow-tracking-uri', fake.url],
      lines(100),
    )
    expect(code).toBe(1)
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect(run!.destinations[0]).toMatchObject({ state: 'suspended', points: { delivered: 0, pending: 200 } })
    const last = stderr.trimEnd().split('\n').at(-1)!
    expect(last).toContain('200 points')
    expect(last).toContain(`spanbridge sync ${run!.journal}`)

    await fake.listen()
    const command = last
      .slice(last.indexOf('spanbridge sync') + 'spanbridge '.length)
      .trim()
      .split(' ')
    expect((await spanbridge(command)).code).toBe(0)
    expect(fake.points.size).toBe(200)
    expect(fake.runs.get('run0')!.info).toMatchObject({ status: 'FINISHED' })
    expectConserved((await statusOf(stateDir))[0]!)
  })

  it('takes a regular file slowly rather than dropping any of it', async () => {
    const stateDir = temporaryDirectory()
    const file = join(stateDir, 'log.jsonl')
    writeFileSync(file, lines(50_000))
    const { finished } = start('sh', [
      '-c',
      `${SPANBRIDGE} --quiet --channel-capacity 1000 --state-dir ${stateDir} < ${file}`,
    ])
    expect((await finished).code).toBe(0)
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect([run!.points, run!.dropped]).toEqual([100_000, { channel_full: 0, journal_full: 0 }])
  })

  it('counts what it drops when a pipe is faster than the pool, and loses nothing when told to block', async () => {
    for (const whenFull of ['drop-newest', 'block']) {
      const stateDir = temporaryDirectory()
      const { code } = await spanbridge(
        ['--quiet', '--channel-capacity', '1000', '--channel-when-full', whenFull, '--state-dir', stateDir],
        lines(50_000),
      )
      expect(code).toBe(0)
      const [run] = await statusOf(stateDir)
      expectConserved(run!)
      expect(run!.points).toBe(100_000)
      if (whenFull === 'block') expect(run!.journaled.points).toBe(100_000)
    }
  })

  it('has in the journal what was written a quarter of a second before kill -9', async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir])
    const written: { at: number; step: number }[] = []
    let step = 1
    // What is promised is promised by a daemon that runs.
    running.child.stdin.write(line(0))
    await expect.poll(async () => (await statusOf(stateDir))[0]?.points, { timeout: 20_000 }).toBe(2)
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        running.child.stdin.write(line(step))
        written.push({ at: performance.now(), step })
        step += 1
        if (step === 400) {
          clearInterval(timer)
          resolve()
        }
      }, 5)
    })
    const killedAt = performance.now()
    running.child.kill('SIGKILL')
    await running.finished
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect(run!.status).toBe('interrupted')
    const due = 1 + written.filter(({ at }) => at <= killedAt - 250).length
    expect(run!.journaled.points).toBeGreaterThanOrEqual(due * 2)
  })

  it('is left blocking, as are our outputs, which others write to as well', async () => {
    const stateDir = temporaryDirectory()
    const trainer = `import glob, os, time
while not glob.glob('${stateDir}/daemons/*.json'): time.sleep(0.02)
open('${stateDir}/blocking', 'w').write(f'{os.get_blocking(1)} {os.get_blocking(2)} {os.get_blocking(3)}')`
    // Both of our outputs are the errors and a further output of the trainer.
    await start('sh', ['-c', '{ python3 -c "$1" | "$0"; } 3>&1 2>&1 | cat', SPANBRIDGE, trainer], {
      env: { SPANBRIDGE_STATE_DIR: stateDir, SPANBRIDGE_WEB_LISTEN: '127.0.0.1:0' },
    }).finished
    expect(readFileSync(join(stateDir, 'blocking'), 'utf8')).toBe('True True True')
  })

  it('ends at a signal when its input has and nobody reads what is left of it', async () => {
    const command = ['python3', '-c', 'print("x" * 1000000)']
    const child = spawn(SPANBRIDGE, ['exec', '--state-dir', temporaryDirectory(), '--', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: cleanEnv(),
    })
    const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
    let said = ''
    for await (const chunk of child.stderr) if ((said += String(chunk)).includes('journal ')) break
    // The first may still be one for the command.
    const again = setInterval(() => child.kill('SIGTERM'), 100)
    expect(await exit).toBe(0)
    clearInterval(again)
  })

  it('is read on after SIGINT and SIGTERM, to its end', async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge(['--state-dir', stateDir])
    running.child.stdin.write(line(1))
    await running.seen('"step":1', 'stdout')
    running.child.kill('SIGINT')
    running.child.kill('SIGTERM')
    running.child.stdin.write(line(2))
    await running.seen('"step":2', 'stdout')
    running.child.stdin.end(line(3))
    expect((await running.finished).code).toBe(0)
    expect((await statusOf(stateDir))[0]).toMatchObject({ points: 6, status: 'finished' })
  })
})

describe('the command line', () => {
  it('says what to do when there is nothing to read', async () => {
    const { code, stderr } = await start('sh', ['-c', `${SPANBRIDGE} --otlp-http-listen off </dev/null`]).finished
    expect(code).toBe(2)
    expect(stderr).toContain('there is nothing to read')
  })

  it('knows its version and its flags', async () => {
    expect((await spanbridge(['--version'])).stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/)
    const help = (await spanbridge(['--help'])).stdout.toString()
    for (const word of [
      'exec',
      'status',
      'check',
      'sync',
      'doctor',
      '--mlflow-tracking-uri',
      'SPANBRIDGE_STATE_DIR',
      '--param',
    ])
      expect(help).toContain(word)
  })

  it('tells a verb that does not exist', async () => {
    const { code, stderr } = await spanbridge(['statsu'])
    expect(code).toBe(2)
    expect(stderr).toContain("there is no verb 'statsu'; did you mean status?")
  })

  it('shows the settings in force with their sources, and no secrets', async () => {
    const { code, stdout } = await spanbridge(['check', '--json', '--run-name', 'mine'], '', {
      env: { MLFLOW_TRACKING_URI: 'http://me:hidden@127.0.0.1:5000', MLFLOW_TRACKING_TOKEN: 'abcdef' },
    })
    expect(code).toBe(0)
    const { settings } = JSON.parse(stdout.toString())
    expect(settings.runName).toEqual({ value: 'mine', source: '--run-name' })
    expect(settings['mlflow.trackingUri']).toEqual({
      value: 'http://***@127.0.0.1:5000',
      source: 'MLFLOW_TRACKING_URI',
    })
    expect(stdout.toString()).not.toContain('hidden@')
    expect(stdout.toString()).not.toContain('abcdef')
  })

  it('tells scripts of a daemon that is ready in a file, and takes it away at an orderly end', async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir])
    const file = join(stateDir, 'daemons', `${running.child.pid}.json`)
    await expect.poll(() => existsSync(file), { timeout: 20_000 }).toBe(true)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      pid: running.child.pid,
      listeners: {},
      webUrl: null,
    })
    running.child.stdin.end()
    await running.finished
    expect(existsSync(file)).toBe(false)
  })

  it('sees runs of a daemon that lives as running', async () => {
    const stateDir = temporaryDirectory()
    mkdirSync(join(stateDir, 'other'))
    const running = startBridge(['--state-dir', stateDir, '--run-name', 'live'])
    running.child.stdin.write(line(1))
    await running.seen('"step":1', 'stdout')
    await expect
      .poll(async () => (await statusOf(stateDir))[0], { timeout: 20_000 })
      .toMatchObject({ name: 'live', status: 'running', points: 2 })
    running.child.stdin.end()
    await running.finished
    expect((await statusOf(stateDir))[0]!.status).toBe('finished')
  })
})

/** Writes 30,000 lines to a bridge whose reader takes ten bytes. */
async function feed(stateDir: string): Promise<{ stdout: Buffer; code: number }> {
  const child = spawn('bash', ['-c', `set -o pipefail; ${SPANBRIDGE} --state-dir ${stateDir} | head -c 10`], {
    env: cleanEnv(),
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.resume()
  child.stdin.end(lines(30_000))
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 1)))
  return { stdout: Buffer.concat(chunks), code }
}
