import { describe, expect, it } from 'vitest'
import { expectConserved } from '../support/account.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { SPANBRIDGE, spanbridge, start, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

/** Lines of ours on standard error. */
const withoutOurs = (stderr: string): string =>
  stderr
    .split(/(?<=\n)/)
    .filter((line) => !line.startsWith('spanbridge: '))
    .join('')

const EVENT = '{"category":"TRAINER","step":1,"loss":0.5}'

const exec = (stateDir: string, ...command: string[]) => spanbridge(['exec', '--state-dir', stateDir, '--', ...command])

describe('a command under exec', () => {
  it('writes byte for byte what it writes alone, on both outputs', async () => {
    const script = `printf 'bar 1\\rbar 2\\r'; echo '${EVENT}'; printf '\\377\\000tail' ; printf 'error \\033[31mred' >&2; head -c 300000 /dev/zero; exit 0`
    const alone = await start('bash', ['-c', script]).finished
    const bridged = await exec(temporaryDirectory(), 'bash', '-c', script)
    expect(bridged.stdout.equals(alone.stdout)).toBe(true)
    expect(withoutOurs(bridged.stderr).trimEnd()).toBe(alone.stderr)
  })

  it('may open its outputs by name, as with any pipe', async () => {
    const script =
      "echo one > /dev/stdout; echo two | tee /dev/stderr >/dev/null; python3 -c \"open('/dev/stdout', 'w').write('three\\n')\""
    const { stdout, stderr } = await exec(temporaryDirectory(), 'sh', '-c', script)
    expect(stdout.toString()).toBe('one\nthree\n')
    expect(withoutOurs(stderr)).toBe('two\n')
  })

  it('has its exit code taken over', async () => {
    for (const code of [0, 1, 7, 255])
      expect((await exec(temporaryDirectory(), 'sh', '-c', `exit ${code}`)).code).toBe(code)
  })

  it('is reported as 128 and the number when a signal ends it, and its run as killed', async () => {
    const stateDir = temporaryDirectory()
    expect((await exec(stateDir, 'sh', '-c', `echo '${EVENT}'; kill -KILL $$`)).code).toBe(137)
    const [run] = await statusOf(stateDir)
    expect(run!.status).toBe('killed')
    expect(run!.points).toBe(1)
  })

  it('is finished with exit code 0 and failed with any other', async () => {
    const stateDir = temporaryDirectory()
    await exec(stateDir, 'true')
    await exec(stateDir, 'false')
    expect((await statusOf(stateDir)).map(({ status, name }) => [name, status])).toEqual([
      ['true', 'finished'],
      ['false', 'failed'],
    ])
  })

  it('that does not exist is reported as a shell does, and is no run', async () => {
    const stateDir = temporaryDirectory()
    const { code, stderr } = await exec(stateDir, 'no-such-command-here')
    expect(code).toBe(127)
    expect(await statusOf(stateDir)).toEqual([])
    expect(stderr).toContain('no-such-command-here cannot be run (there is no such command)')
  })

  it('has the numbers of both its outputs taken, each stream with its own unfinished lines', async () => {
    const stateDir = temporaryDirectory()
    const script = `printf '{"step":1,'; printf '{"step":2,' >&2; sleep 0.1; echo '"a":1}'; echo '"b":2}' >&2`
    await exec(stateDir, 'sh', '-c', script)
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect([run!.points, run!.series, run!.received.lines, run!.received.events]).toEqual([2, 2, 2, 2])
  })

  it('reads our standard input', async () => {
    const { stdout } = await spanbridge(['exec', '--state-dir', temporaryDirectory(), '--', 'cat'], 'typed\n')
    expect(stdout.toString()).toBe('typed\n')
  })

  it('gets the signals that we get, and ends the way it wants to', async () => {
    const stateDir = temporaryDirectory()
    const script = `import signal, sys, time
def on(number, frame):
    print('{"step": 2, "loss": 1}', flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, on)
print('{"step": 1, "loss": 1}', flush=True)
while True: time.sleep(0.05)`
    const running = startBridge(['exec', '--state-dir', stateDir, '--', 'python3', '-c', script])
    await running.seen('"step": 1', 'stdout')
    running.child.kill('SIGTERM')
    expect((await running.finished).code).toBe(3)
    const [run] = await statusOf(stateDir)
    expect([run!.points, run!.status]).toEqual([2, 'failed'])
  })

  it('outlives any number of signals that it ignores', async () => {
    const running = startBridge([
      'exec',
      '--state-dir',
      temporaryDirectory(),
      '--',
      'bash',
      '-c',
      "trap '' TERM INT; echo ready; read line; echo got $line",
    ])
    await running.seen('ready', 'stdout')
    for (let i = 0; i < 5; i += 1) running.child.kill(i % 2 === 0 ? 'SIGTERM' : 'SIGINT')
    running.child.stdin.end('a line\n')
    const { code, stdout } = await running.finished
    expect([code, stdout.toString()]).toEqual([0, 'ready\ngot a line\n'])
  })

  it('that leaves a process behind on its output does not hold us for ever, nor does that process lose its output', async () => {
    const running = startBridge([
      'exec',
      '--state-dir',
      temporaryDirectory(),
      '--',
      'sh',
      '-c',
      '(sleep 9; echo late) & echo done',
    ])
    const ended = new Promise<number | null>((resolve) => running.child.on('exit', resolve))
    expect(await ended).toBe(0)
    const { stdout, stderr } = await running.finished
    expect(stdout.toString()).toBe('done\nlate\n')
    expect(stderr).toContain('still writes to its output')
  })

  it('keeps its exit code when MLflow is absent, and --strict reports ours when it was 0', async () => {
    const fake = await FakeMlflow.start()
    await fake.close()
    const args = ['exec', '--shutdown-deadline', '300ms', '--mlflow-tracking-uri', fake.url, '--state-dir']
    const lenient = await spanbridge([...args, temporaryDirectory(), '--', 'echo', EVENT])
    expect([lenient.code, lenient.stdout.toString()]).toEqual([0, `${EVENT}\n`])
    expect(lenient.stderr).toContain('is not there (connection refused)')
    expect((await spanbridge([...args, temporaryDirectory(), '--strict', '--', 'echo', EVENT])).code).toBe(1)
    expect((await spanbridge([...args, temporaryDirectory(), '--strict', '--', 'sh', '-c', 'exit 5'])).code).toBe(5)
  })

  it('runs undisturbed while MLflow hangs', async () => {
    const fake = await FakeMlflow.start()
    fake.fault = () => true
    const script = 'for i in $(seq 200); do echo "{\\"step\\":$i,\\"loss\\":1}"; done'
    const { code, stdout } = await spanbridge([
      'exec',
      '--shutdown-deadline',
      '300ms',
      '--mlflow-tracking-uri',
      fake.url,
      '--state-dir',
      temporaryDirectory(),
      '--',
      'bash',
      '-c',
      script,
    ])
    expect([code, stdout.toString().split('\n').length]).toEqual([0, 201])
  })

  it('is not started when the settings are wrong: all problems at once, exit code 2', async () => {
    const { code, stdout, stderr } = await spanbridge([
      'exec',
      '--mlflow-tracking-uri',
      'sqlite:///x',
      '--quite',
      '--',
      'echo',
      'started',
    ])
    expect([code, stdout.toString()]).toEqual([2, ''])
    expect(stderr).toContain(
      "mlflow.trackingUri: expected the address of a server (http://... or https://...), got 'sqlite:///x'",
    )
    expect(stderr).toContain('--quite: there is no such flag; did you mean --quiet?')
  })
})

describe('signals under exec', () => {
  const trap = `import signal, sys, time
got = []
for name in ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'):
    signal.signal(getattr(signal, name), lambda n, f: got.append(n))
print('ready', flush=True)
while len(got) < 1: time.sleep(0.02)
time.sleep(0.4)
print('got', *got, flush=True)`

  it('sent to us alone reach the command once', async () => {
    for (const [signal, number] of [
      ['SIGTERM', 15],
      ['SIGINT', 2],
      ['SIGHUP', 1],
      ['SIGUSR1', 10],
    ] as const) {
      const running = startBridge(['exec', '--state-dir', temporaryDirectory(), '--', 'python3', '-c', trap], {
        detached: true,
      })
      await running.seen('ready', 'stdout')
      running.child.kill(signal)
      expect((await running.finished).stdout.toString()).toBe(`ready\ngot ${number}\n`)
    }
  })

  it('sent to the whole process group reach the command once', async () => {
    for (const [signal, number] of [
      ['SIGTERM', 15],
      ['SIGINT', 2],
    ] as const) {
      const running = startBridge(['exec', '--state-dir', temporaryDirectory(), '--', 'python3', '-c', trap], {
        detached: true,
      })
      await running.seen('ready', 'stdout')
      process.kill(-running.child.pid!, signal)
      expect((await running.finished).stdout.toString()).toBe(`ready\ngot ${number}\n`)
    }
  })

  it('that were ignored when we began are ignored by the command too', async () => {
    const script = `trap '' HUP; exec "$0" exec --state-dir ${temporaryDirectory()} -- sh -c 'echo ready; read line; echo got $line'`
    const running = start('sh', ['-c', script, SPANBRIDGE])
    await running.seen('ready', 'stdout')
    running.child.kill('SIGHUP')
    running.child.stdin.end('a line\n')
    const { code, stdout } = await running.finished
    expect([code, stdout.toString()]).toEqual([0, 'ready\ngot a line\n'])
  })

  it('that are no end do not shorten the delivery', async () => {
    const fake = await FakeMlflow.start()
    const running = startBridge([
      'exec',
      '--state-dir',
      temporaryDirectory(),
      '--mlflow-tracking-uri',
      fake.url,
      '--',
      'bash',
      '-c',
      `trap '' USR1; echo '${EVENT}'; read line`,
    ])
    await running.seen('loss', 'stdout')
    running.child.kill('SIGUSR1')
    running.child.stdin.end('\n')
    expect((await running.finished).code).toBe(0)
    expect(fake.points.size).toBe(1)
  })
})

describe('a fault of ours under exec', () => {
  it('in the working directory, which is gone, does not keep the command from running', async () => {
    const script = `mkdir gone; cd gone; rmdir ../gone; exec "$0" exec --state-dir "$1" -- sh -c 'echo ${EVENT.replaceAll('"', '\\"')}; exit 6'`
    const stateDir = temporaryDirectory()
    const { code } = await start('sh', ['-c', script, SPANBRIDGE, stateDir], { cwd: temporaryDirectory() }).finished
    expect(code).toBe(6)
    expect((await statusOf(stateDir))[0]!.points).toBe(1)
  })

  it('with both outputs and a full channel that blocks, nobody is left waiting', async () => {
    const stateDir = temporaryDirectory()
    const script =
      'for i in $(seq 4000); do echo "{\\"step\\":$i,\\"a\\":1}"; echo "{\\"step\\":$i,\\"b\\":1}" >&2; done'
    const { code } = await spanbridge([
      'exec',
      '--quiet',
      '--channel-capacity',
      '1000',
      '--channel-when-full',
      'block',
      '--state-dir',
      stateDir,
      '--',
      'bash',
      '-c',
      script,
    ])
    expect(code).toBe(0)
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect(run!.journaled.points).toBe(8000)
  })
})
