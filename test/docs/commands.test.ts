import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, startMlflow, MlflowApi, type MlflowServer } from '../support/mlflow.ts'
import { start, temporaryDirectory, type Finished } from '../support/spanbridge.ts'

const root = new URL('../../', import.meta.url)
const documents = ['README.md', 'runbook.md', ...readdirSync(new URL('docs/', root)).map((name) => `docs/${name}`)]

interface Block {
  document: string
  /** What stands before it: `run by WHERE: NAME`, or `not run...: WHY`. */
  mark: string | null
  language: string
  text: string
}

const blocks = documents.flatMap((document): Block[] => {
  const text = readFileSync(new URL(document, root), 'utf8')
  return Array.from(text.matchAll(/(?:<!-- (.*?) -->\n)?^( *)```(\w*)\n(.*?)^ *```$/gms), (match) => ({
    document,
    mark: match[1] ?? null,
    language: match[3]!,
    text: match[4]!.replaceAll(new RegExp(`^${match[2]!}`, 'gm'), ''),
  }))
})

/** The blocks that a test here runs, in their order. */
const marked = (name: string): Block[] => blocks.filter(({ mark }) => mark === `run by test/docs: ${name}`)
const run = new Set(['journal']) // by snippets.test.ts
function take(name: string, language: string): string {
  run.add(name)
  const found = marked(name).filter((block) => block.language === language)
  expect(found.length, `${name}: ${language}`).toBeGreaterThan(0)
  return found.map(({ text }) => text).join('')
}

let mlflow: MlflowServer
let api: MlflowApi
beforeAll(async () => {
  mlflow = await startMlflow()
  api = new MlflowApi(mlflow.url)
}, 120_000)
afterAll(() => mlflow.stop())

/** A folder that looks like a clone: everything of ours is there, and what is written stays out of the real one. */
function clone(): string {
  const directory = temporaryDirectory()
  for (const name of readdirSync(root))
    if (!name.startsWith('.')) symlinkSync(fileURLToPath(new URL(name, root)), join(directory, name))
  return directory
}

/** Runs commands of the documentation in `cwd`, with its MLflow on another port. */
async function shell(commands: string, cwd: string, home: string, env: Record<string, string> = {}): Promise<Finished> {
  const here = commands.replaceAll('http://127.0.0.1:5000', mlflow.url)
  const path = `${fileURLToPath(new URL('bin', root))}:${process.env['PATH'] ?? ''}`
  const cargo = {
    CARGO_HOME: process.env['CARGO_HOME'] ?? join(process.env['HOME'] ?? '/', '.cargo'),
    RUSTUP_HOME: process.env['RUSTUP_HOME'] ?? join(process.env['HOME'] ?? '/', '.rustup'),
  }
  const running = start('sh', ['-euc', here], { cwd, env: { PATH: path, HOME: home, ...cargo, ...env } })
  running.child.stdin.end()
  return running.finished
}

const hasCargo = spawnSync('cargo', ['--version']).status === 0
const MINUTES = 60_000

describe('every block of the documentation', () => {
  it('is run by a test, or says why it is not', () => {
    const silent = blocks.filter(({ mark, language }) => language !== '' && mark === null)
    expect(silent.map(({ document, text }) => `${document}: ${text.slice(0, 60)}`)).toEqual([])
    for (const { mark } of blocks)
      if (mark !== null) expect(mark).toMatch(/^run by \.ci\/run$|^run by test\/\w+(: [\w ]+)?$|^not run.*: .{20,}$/)
  })

  it('that .ci/run runs stands there word for word', () => {
    const script = readFileSync(new URL('.ci/run', root), 'utf8')
    const ours = blocks.filter(({ mark }) => mark === 'run by .ci/run')
    expect(ours.length).toBe(2)
    for (const { text } of ours) for (const part of text.trim().split(' && ')) expect(script).toContain(part)
  })
})

describe('the README', () => {
  it('takes a newcomer from a clone to a trained agent in MLflow', { timeout: 2 * MINUTES }, async () => {
    const { code, stdout, stderr } = await shell(take('quick start', 'sh'), clone(), temporaryDirectory())
    expect(code, stderr).toBe(0)
    expect(stdout.toString()).toMatch(/^TRAINER - update \| Policy Version: 1 \| Actor Loss: /m)
    const [, runId] = /mlflow: run (\w+) · http\S+\/model-metrics/.exec(stderr)!
    expect((await api.run(runId!)).info).toMatchObject({ run_name: 'cartpole', status: 'FINISHED' })
    const history = await api.history(runId!, 'actor/mean_return')
    expect(history.length).toBe(250)
    expect(history.at(-1)!.value).toBeGreaterThan(5 * history[0]!.value)
  })

  const languages: [string, string, string][] = [
    ['python', 'python', 'train.py'],
    ['javascript', 'js', 'train.mjs'],
    ['rust', 'rust', 'src/main.rs'],
  ]
  for (const [name, language, file] of languages) {
    const wanted = name === 'rust' ? it.skipIf(!hasCargo) : it
    wanted(`bridges a trainer in ${name} with what stands there to be copied`, { timeout: 5 * MINUTES }, async () => {
      const directory = temporaryDirectory()
      const home = temporaryDirectory()
      const source = take(name, language)
      const commands = take(name, 'sh').split('\n')
      // Rust's first command makes the package that the program goes into.
      if (commands.length > 2) expect((await shell(commands.shift()!, directory, home)).code).toBe(0)
      mkdirSync(join(directory, 'src'), { recursive: true })
      writeFileSync(join(directory, file), source)
      const { code, stderr } = await shell(commands.join('\n'), directory, home, { MLFLOW_TRACKING_URI: mlflow.url })
      expect(code, stderr).toBe(0)
      const [, runId] = /mlflow: run (\w+) ·/.exec(stderr)!
      const weights = await api.history(runId!, 'trainer/weight')
      expect(weights.map(({ step }) => step)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
      expect(weights.at(-1)!.value).toBeGreaterThan(weights[0]!.value)
      expect((await api.history(runId!, 'trainer/loss')).length).toBe(100)
      expect((await api.run(runId!)).data.params).toContainEqual({ key: 'learning_rate', value: '0.1' })
    })
  }

  it('bridges a pipe and a file', async () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'train.py'), take('python', 'python'))
    writeFileSync(join(directory, 'old-run.jsonl'), '{"step":1,"loss":0.5}\n')
    const { code, stdout, stderr } = await shell(take('pipe and file', 'sh'), directory, temporaryDirectory())
    expect(code, stderr).toBe(0)
    expect(stdout.toString().trimEnd().split('\n').at(-1)).toBe('{"step":1,"loss":0.5}')
    expect(stderr).toMatch(
      /201 numbers in 101 events = 200 points \+ skipped \(1 config\)[^]*1 number in 1 event = 1 point/,
    )
  })
})

describe('the runbook', () => {
  it(
    'looks at every hop, delivers what is left, audits it, and moves a run to another server',
    { timeout: 3 * MINUTES },
    async () => {
      const home = temporaryDirectory()
      const work = temporaryDirectory()
      const hops = await shell(take('hops', 'sh'), work, home)
      expect(hops.code, hops.stderr).toBe(0)
      expect(hops.stdout.toString()).toContain('"lifecycle_stage"')
      expect(hops.stdout.toString()).toMatch(/mlflow\.trackingUri +http:\/\/127\.0\.0\.1:\d+ +MLFLOW_TRACKING_URI/)
      expect(hops.stderr).toContain('1 point delivered, 0 refused, 0 pending')
      expect(hops.stdout.toString()).toMatch(/hello .* finished/)

      const sync = await shell(take('sync', 'sh'), work, home, { MLFLOW_TRACKING_URI: mlflow.url })
      expect([sync.code, sync.stderr]).toEqual([0, expect.stringContaining('nothing is left to deliver')])

      const audit = await shell(take('audit', 'sh'), work, home, { MLFLOW_TRACKING_URI: mlflow.url })
      expect([audit.code, audit.stdout.toString()]).toEqual([0, expect.stringMatching(/hello .*\n.*: equal\n/)])

      const other = await startMlflow(undefined, await freePort())
      try {
        const journals = join(home, '.local/state/spanbridge')
        const [journal] = readdirSync(journals).filter((name) => name.endsWith('.sqlite'))
        const commands = take('move', 'sh')
          .replaceAll('http://127.0.0.1:5001', other.url)
          .replaceAll('/tmp/moved.sqlite', join(work, 'moved.sqlite'))
        const { code, stderr } = await shell(commands, work, home, { RUN: journal!.replace('.sqlite', '') })
        expect(code, stderr).toBe(0)
        const [, runId] = /mlflow: run (\w+) ·/.exec(stderr)!
        const moved = new MlflowApi(other.url)
        expect((await moved.run(runId!)).info).toMatchObject({ run_name: 'hello', status: 'FINISHED' })
        expect(await moved.history(runId!, 'misc/hello')).toMatchObject([{ step: 1, value: 1 }])
        const again = await shell(`spanbridge sync --state-dir '${work}'`, work, home, {
          MLFLOW_TRACKING_URI: other.url,
        })
        expect(again.stderr).toContain('nothing is left to deliver')
      } finally {
        await other.stop()
      }
    },
  )

  it('has an ssh configuration that ssh reads as it is meant', () => {
    const path = join(temporaryDirectory(), 'config')
    writeFileSync(path, take('ssh config', ''))
    const read = execFileSync('ssh', ['-G', '-F', path, 'gpu-host']).toString()
    expect(read).toMatch(/^remoteforward \[?127\.0\.0\.1\]?:5000 \[?127\.0\.0\.1\]?:5000$/m)
    for (const line of ['hostname 203.0.113.7', 'user ubuntu', 'exitonforwardfailure yes', 'serveraliveinterval 15'])
      expect(read.split('\n')).toContain(line)
  })
})

it('docs/contracts.md holds a log against the contract that comes with Spanbridge, and shows how one looks', async () => {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'log.jsonl'), '{"category":"TRAINER","step":1,"loss":1,"tokens":5}\n')
  writeFileSync(join(directory, 'mine.yaml'), take('contract', 'yaml'))
  const ours = await shell(take('contract', 'sh'), directory, temporaryDirectory())
  expect([ours.code, ours.stdout.toString()]).toEqual([1, expect.stringContaining('the log breaks the contract rl')])
  const mine = await shell('spanbridge check --contract ./mine.yaml < log.jsonl', directory, temporaryDirectory())
  expect(mine.stdout.toString()).toMatch(/EVALUATOR +\(the event\) +missing +every 50 updates +nowhere/)
})

it('docs/terminal.md draws and exports a run, and pandas reads it', async () => {
  const directory = temporaryDirectory()
  const home = temporaryDirectory()
  const ours = await shell(take('terminal', 'sh'), directory, home)
  expect([ours.code, ours.stdout.toString()]).toEqual([0, expect.stringMatching(/^run,key,step,time,time_ms,value$/m)])
  expect(ours.stdout.toString()).toMatch(/misc +Loss +0\.3 +0\.1 +0\.3 +3 /)
  expect(readFileSync(join(directory, 'loss.svg'), 'utf8')).toContain('>Loss: 0.3</text>')
  expect((await shell('spanbridge export hello --out run.parquet', directory, home)).code).toBe(0)
  const python = fileURLToPath(new URL('.venv/bin/python', root))
  const pandas = await start(python, ['-c', take('pandas', 'python')], { cwd: directory }).finished
  expect([pandas.code, pandas.stdout.toString()]).toEqual([
    0,
    expect.stringMatching(/key +misc\/loss\nstep *\n1 +0\.1\n/),
  ])
})

describe('the examples', () => {
  it('log what the contract rl asks for', async () => {
    const log = execFileSync('python3', [fileURLToPath(new URL('examples/cartpole.py', root)), '21'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const checked = start(fileURLToPath(new URL('bin/spanbridge', root)), ['check', '--contract', 'rl'])
    checked.child.stdin.end(log)
    expect((await checked.finished).stdout.toString()).toContain('the log holds the contract rl: 66 events')
  })

  it.skipIf(!hasCargo)(
    'in Rust: every number is a point at the step of its span',
    { timeout: 5 * MINUTES },
    async () => {
      const target = temporaryDirectory()
      const manifest = fileURLToPath(new URL('examples/rust/Cargo.toml', root))
      const { code, stderr } = await shell(
        `spanbridge exec -- cargo run --locked --manifest-path ${manifest} --target-dir ${target} -- 100`,
        temporaryDirectory(),
        temporaryDirectory(),
        { MLFLOW_TRACKING_URI: mlflow.url },
      )
      expect(code, stderr).toBe(0)
      const [, runId] = /mlflow: run (\w+) ·/.exec(stderr)!
      const loss = await api.history(runId!, 'trainer/loss')
      expect(loss.map(({ step }) => step)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
      expect((await api.history(runId!, 'evaluator/val_loss')).map(({ step }) => step)).toEqual([50, 100])
    },
  )
})

afterAll(() => {
  const known = new Set(blocks.flatMap(({ mark }) => /^run by test\/docs: (.*)$/.exec(mark ?? '')?.[1] ?? []))
  if (!hasCargo) run.add('rust')
  expect([...known].filter((name) => !run.has(name))).toEqual([])
})
