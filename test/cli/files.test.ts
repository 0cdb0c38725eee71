import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { expectConserved } from '../support/account.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { spanbridge, startBridge, statusOf, temporaryDirectory, type Running } from '../support/spanbridge.ts'
import { storedSteps } from '../support/stored-steps.ts'

const line = (step: number): string => `{"category":"TRAINER","step":${step},"loss":${step / 8}}\n`
const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, i) => line(from + i)).join('')
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)
const patience = { timeout: 20_000 }

/** A place with a state directory, where files are followed. */
class Place {
  readonly cwd = temporaryDirectory()
  readonly stateDir = join(this.cwd, 'state')

  at(name: string): string {
    return join(this.cwd, name)
  }

  async follow(...args: string[]): Promise<Running> {
    const flags = ['--stdin', 'off', '--otlp-http-listen', 'off', '--state-dir', this.stateDir]
    const running = startBridge(['run', ...flags, ...args], { cwd: this.cwd })
    await Promise.race([running.seen('following'), running.seen('no file is there yet')])
    return running
  }

  /** Resolves when so many points are in the journals. */
  async stored(count: number): Promise<void> {
    await expect.poll(() => storedSteps(this.stateDir).length, patience).toBeGreaterThanOrEqual(count)
  }

  get steps(): number[] {
    return storedSteps(this.stateDir).sort((a, b) => a - b)
  }
}

async function ended({ child, finished }: Running, signal: NodeJS.Signals): Promise<string> {
  child.kill(signal)
  const { code, stderr } = await finished
  expect(code, stderr).toBe(signal === 'SIGKILL' ? null : 0)
  return stderr
}

it('a file that holds no lines is said to be what it is, on the terminal and in the account, and read when lines come in its place', async () => {
  const place = new Place()
  writeFileSync(place.at('train.jsonl'), gzipSync(lines(0, 50)))
  const running = await place.follow('--file', 'train.jsonl', '--from-start')
  const words = 'train.jsonl is not read: expected lines of UTF-8, got bytes packed by gzip; to have them: gunzip -c <'
  await running.seen(words)
  const account = async () => (await statusOf(place.stateDir))[0]!
  await expect.poll(account, patience).toMatchObject({ points: 0, received: { lines: 1 }, notEvents: { text: 1 } })
  expect((await account()).examples['text']).toContain(words)
  writeFileSync(place.at('train.jsonl'), lines(0, 3))
  await place.stored(3)
  // Once when it was found, and once in the account at the end.
  expect((await ended(running, 'SIGINT')).split(words)).toHaveLength(1 + 2)
  expect((await account()).notEvents).toMatchObject({ text: 1 })
})

it('a file is followed into one run, through an orderly end and the next start, and delivered', async () => {
  const place = new Place()
  const fake = await FakeMlflow.start()
  const args = ['--file', 'train.jsonl', '--mlflow-tracking-uri', fake.url]
  writeFileSync(place.at('train.jsonl'), lines(0, 5))
  const first = await place.follow(...args)
  appendFileSync(place.at('train.jsonl'), lines(5, 10))
  await place.stored(5)
  await ended(first, 'SIGINT')
  appendFileSync(place.at('train.jsonl'), lines(10, 12))
  const second = await place.follow(...args)
  await place.stored(7)
  expect(await ended(second, 'SIGTERM')).toContain('going on with the run train')
  expect(place.steps).toEqual(range(5, 12))
  const [run, ...others] = await statusOf(place.stateDir)
  expect(others).toEqual([])
  expectConserved(run!)
  expect(run).toMatchObject({ name: 'train', status: 'finished', source: 'file' })
  expect([fake.points.size, fake.repeats, fake.runs.size]).toEqual([7, 0, 1])
})

it('every line of a rotated log is taken exactly once, whenever the process is killed', async () => {
  const place = new Place()
  mkdirSync(place.at('logs'))
  const script = `
import json, logging, logging.handlers, sys, time
handler = logging.handlers.RotatingFileHandler("logs/train.log", maxBytes=20000, backupCount=500)
handler.setFormatter(logging.Formatter("%(message)s"))
logging.getLogger().addHandler(handler)
for step in range(6000):
    logging.warning(json.dumps({"step": step, "loss": step / 8}))
    if step % 20 == 0: time.sleep(0.01)
`
  const args = ['--file', 'logs/train.log*']
  let running = await place.follow(...args)
  const writer = spawn('python3', ['-c', script], { cwd: place.cwd, stdio: 'ignore' })
  onTestFinished(() => void writer.kill('SIGKILL'))
  const isWritten = once(writer, 'exit')
  for (const count of [1, 700 + Math.random() * 1000, 2500 + Math.random() * 1000]) {
    await place.stored(count)
    await ended(running, 'SIGKILL')
    running = await place.follow(...args)
  }
  await isWritten
  await place.stored(6000)
  await ended(running, 'SIGINT')
  expect(place.steps).toEqual(range(0, 6000))
  const [run, ...others] = await statusOf(place.stateDir)
  expect(others).toEqual([])
  expectConserved(run!)
}, 60_000)

it('a log that is poured in waits in its file: nothing is dropped, however small the channel', async () => {
  const place = new Place()
  writeFileSync(place.at('a.jsonl'), lines(0, 100_000))
  const running = await place.follow('--file', '*.jsonl', '--from-start', '--channel-capacity', '2000')
  await place.stored(100_000)
  await ended(running, 'SIGINT')
  const [run] = await statusOf(place.stateDir)
  expect(run).toMatchObject({ points: 100_000, dropped: {} })
  expectConserved(run!)
})

it('a run without lines ends when it has been idle, and goes on with a line that comes soon after', async () => {
  const place = new Place()
  writeFileSync(place.at('a.jsonl'), '')
  const running = await place.follow('--file', 'a.jsonl', '--runs-idle', '5s')
  appendFileSync(place.at('a.jsonl'), line(1))
  await place.stored(1)
  const statuses = async (): Promise<string[]> => (await statusOf(place.stateDir)).map(({ status }) => status)
  await expect.poll(statuses, patience).toEqual(['finished'])
  appendFileSync(place.at('a.jsonl'), line(2))
  await place.stored(2)
  expect(await statuses()).toEqual(['running'])
  await ended(running, 'SIGINT')
  expect(place.steps).toEqual([1, 2])
})

it('another run begins when the last one has ended long ago, and reads on where that has stopped', async () => {
  const place = new Place()
  writeFileSync(place.at('a.jsonl'), line(1))
  await ended(await place.follow('--file', 'a.jsonl', '--from-start'), 'SIGINT')
  const { journal } = (await statusOf(place.stateDir))[0]!
  const database = new DatabaseSync(journal)
  database.exec("UPDATE meta SET value = '1000' WHERE key = 'lastAt'")
  database.close()
  appendFileSync(place.at('a.jsonl'), line(2))
  const running = await place.follow('--file', 'a.jsonl')
  await place.stored(2)
  await ended(running, 'SIGKILL')
  appendFileSync(place.at('a.jsonl'), line(3))
  const again = await place.follow('--file', 'a.jsonl')
  await place.stored(3)
  await ended(again, 'SIGINT')
  expect(place.steps).toEqual([1, 2, 3])
  expect((await statusOf(place.stateDir)).map(({ points }) => points)).toEqual([1, 2])
})

it('a last line without its end is taken if it is an event, else counted, and read again when it is whole', async () => {
  const place = new Place()
  writeFileSync(place.at('a.jsonl'), line(1) + line(2).trimEnd())
  writeFileSync(place.at('b.jsonl'), line(3) + line(4).slice(0, 20))
  await ended(await place.follow('--file', '*.jsonl', '--from-start'), 'SIGINT')
  expect(place.steps).toEqual([1, 2, 3])
  expect((await statusOf(place.stateDir))[0]).toMatchObject({ notEvents: { torn: 1 } })
  appendFileSync(place.at('a.jsonl'), `\n${line(5)}`)
  appendFileSync(place.at('b.jsonl'), line(4).slice(20))
  const running = await place.follow('--file', '*.jsonl')
  await place.stored(5)
  await ended(running, 'SIGINT')
  expect(place.steps).toEqual([1, 2, 3, 4, 5])
})

it('files beside a pipe and beside a command belong to their run, and are read to their end', async () => {
  const place = new Place()
  const args = ['--file', 'metrics.jsonl', '--state-dir', place.stateDir, '--otlp-http-listen', 'off']
  const piped = startBridge(['--quiet', ...args], { cwd: place.cwd })
  await piped.seen('no file is there yet')
  writeFileSync(place.at('metrics.jsonl'), lines(0, 3))
  piped.child.stdin.end(lines(10, 12))
  expect((await piped.finished).code).toBe(0)
  const command = ['sh', '-c', `echo '${line(22).trimEnd()}'; printf '%s' '${lines(20, 22)}' >> metrics.jsonl`]
  const { code, stderr } = await spanbridge(['exec', ...args, '--', ...command], '', { cwd: place.cwd })
  expect(code, stderr).toBe(0)
  const runs = await statusOf(place.stateDir)
  expect(runs).toMatchObject([
    { source: 'stdin', points: 5 },
    { source: 'exec', points: 3 },
  ])
  for (const run of runs) expectConserved(run)
})

it('events of files are shown as lines for people where that is asked for', async () => {
  const place = new Place()
  const running = await place.follow('--file', 'a.jsonl', '--console')
  writeFileSync(place.at('a.jsonl'), `no event\n${line(7)}`)
  await running.seen('7', 'stdout')
  await ended(running, 'SIGINT')
  expect((await running.finished).stdout.toString()).not.toContain('no event')
})

it('a directory, a device or a missing value is refused with the way out', async () => {
  const place = new Place()
  mkdirSync(place.at('logs'))
  const options = { cwd: place.cwd }
  const refused = await spanbridge(['--file', 'logs', '--file', '/dev/null', '--stdin', 'off'], '', options)
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain(
    `files: expected a file, or a glob in quotes, got '${place.at('logs')}', which is a directory`,
  )
  expect(refused.stderr).toContain("got '/dev/null', which is no regular file")
  const piped = await spanbridge(['--file', 'logs'], 'text\n', options)
  expect([piped.code, piped.stdout.toString()]).toEqual([2, 'text\n'])
})

it('nothing but the files that are named is touched', async () => {
  const place = new Place()
  writeFileSync(place.at('a.jsonl'), lines(0, 3))
  await ended(await place.follow('--file', 'a.jsonl', '--from-start'), 'SIGINT')
  expect(readFileSync(place.at('a.jsonl'), 'utf8')).toBe(lines(0, 3))
})

describe('a table that its logger writes anew with every new column', () => {
  const states = (name: string, count: number): Buffer[] =>
    Array.from({ length: count }, (_, i) =>
      readFileSync(new URL(`../fixtures/presets/${name}-${i + 1}.csv`, import.meta.url)),
    )
  /** Numbers in the rows of a state, its steps apart. */
  const numbersIn = (state: Buffer): number => {
    const rows = state.toString().trim().split(/\r?\n/).slice(1)
    return (
      rows.flatMap((row) => row.replaceAll(/"(?:[^"]|"")*"/g, '').split(',')).filter((cell) => cell !== '').length -
      rows.length
    )
  }

  it.each([
    ['lightning', 8, 'while it is followed'],
    ['lightning', 8, 'and the process is killed each time'],
    ['sb3', 5, 'while it is followed'],
    ['sb3', 5, 'and the process is killed each time'],
  ])('gives every row once: %s, %i states, %s', async (name, count, how) => {
    const place = new Place()
    let running = await place.follow('--file', 'metrics.csv')
    for (const state of states(name, count)) {
      if (how !== 'while it is followed') await ended(running, 'SIGKILL')
      writeFileSync(place.at('metrics.csv'), state)
      if (how !== 'while it is followed') running = await place.follow('--file', 'metrics.csv')
      await place.stored(numbersIn(state))
    }
    const stderr = await ended(running, 'SIGINT')
    expect(place.steps).toHaveLength(numbersIn(states(name, count).at(-1)!))
    expect(stderr).toContain('a CSV table: the step is the column')
    const [run] = await statusOf(place.stateDir)
    expect(run).toMatchObject({ skipped: { no_step: 0 } })
    expectConserved(run!)
  })

  it('but one of another training is read from its beginning', async () => {
    const place = new Place()
    const running = await place.follow('--file', 'metrics.csv')
    writeFileSync(place.at('metrics.csv'), 'step,loss\n1,0.5\n2,0.25\n')
    await place.stored(2)
    writeFileSync(place.at('metrics.csv'), 'step,loss\n1,0.75\n2,0.7\n3,0.6\n')
    await place.stored(5)
    await ended(running, 'SIGINT')
    expect(place.steps).toEqual([1, 1, 2, 2, 3])
  })
})

it('the columns of a table are known to who follows it from its end, and its last row waits for its end', async () => {
  const place = new Place()
  writeFileSync(place.at('metrics.csv'), 'step,loss\n1,0.5\n')
  const running = await place.follow('--file', 'metrics.csv')
  appendFileSync(place.at('metrics.csv'), '2,0.25\n3,0.1')
  await place.stored(1)
  await ended(running, 'SIGINT')
  expect(place.steps).toEqual([2])
  expect((await statusOf(place.stateDir))[0]).toMatchObject({ notEvents: { torn: 1 } })
  appendFileSync(place.at('metrics.csv'), '25\n')
  const again = await place.follow('--file', 'metrics.csv')
  await place.stored(2)
  await ended(again, 'SIGINT')
  expect(place.steps).toEqual([2, 3])
})

it("each entry of the history of Hugging Face's Trainer is taken once, of however many checkpoints", async () => {
  const place = new Place()
  const state = (name: string): Buffer => readFileSync(new URL(`../fixtures/presets/${name}.json`, import.meta.url))
  const save = (directory: string, name: string): void => {
    mkdirSync(place.at(`out/${directory}`), { recursive: true })
    writeFileSync(place.at(`out/${directory}/trainer_state.json`), state(name))
  }
  const args = ['--file', 'out/**/trainer_state.json']
  const first = await place.follow(...args)
  save('checkpoint-10', 'trainer_state-10')
  await place.stored(4 + 4 + 3)
  await ended(first, 'SIGKILL')
  const second = await place.follow(...args)
  save('checkpoint-20', 'trainer_state-20')
  await place.stored(11 + 4 + 4 + 3)
  save('.', 'trainer_state')
  await place.stored(22 + 4)
  await ended(second, 'SIGINT')
  expect(place.steps).toHaveLength(26)
  const [run] = await statusOf(place.stateDir)
  expect(run).toMatchObject({ skipped: { no_step: 0 }, notEvents: { invalid_json: 0, torn: 0, text: 0 } })
})
