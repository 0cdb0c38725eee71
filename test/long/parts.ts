/** What the long tests are made of: the daemon, a trainer and a tracker in processes of their own, and what one sees of them. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { columnsOf } from '../../src/channel/chunk.ts'
import { cleanEnv, SPANBRIDGE } from '../support/spanbridge.ts'
import type { Order, Progress, Report, TrackerReport, Weather } from './messages.ts'

export interface DaemonOptions {
  stateDir: string
  /** Address of the tracker. */
  url: string
  /** Its standard input; `pipe`: ours to write. */
  input: 'pipe' | number
  flags?: readonly string[]
  env?: Record<string, string>
}

export interface Daemon {
  process: ChildProcess
  pid: number
  /** Its exit code, once its last word has been read. */
  exited: Promise<number | null>
  /** The end of what it has said. */
  said: () => string
}

/** The real process; it goes on with the run that an earlier one has left, and waits until all is delivered. */
export function startDaemon({ stateDir, url, input, flags = [], env = {} }: DaemonOptions): Daemon {
  const always = ['--quiet', '--resume', '--wait', '--run-name', 'long', '--otlp-http-listen', 'off']
  const where = ['--state-dir', stateDir, '--mlflow-tracking-uri', url]
  const child = spawn(SPANBRIDGE, ['run', ...always, ...where, ...flags], {
    env: cleanEnv(env),
    stdio: [input, 'ignore', 'pipe'],
  })
  child.stdin?.on('error', () => {}) // it is killed while we write
  let said = ''
  child.stderr!.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { process: child, pid: child.pid!, exited, said: () => said }
}

/** Resolves with what the trainer reports; a daemon that ends before it would leave it waiting. @throws then */
export function whileAlive(daemon: Daemon, training: Promise<Report>): Promise<Report> {
  const gone = daemon.exited.then((code) => {
    throw new Error(`the daemon has ended with ${code} while there was input: ${daemon.said()}`)
  })
  return Promise.race([training, gone])
}

/** When the file was seen that a daemon writes once it is ready, or null. */
export async function whenReady(stateDir: string, pid: number, until: AbortSignal): Promise<number | null> {
  while (!until.aborted) {
    if (existsSync(join(stateDir, 'daemons', `${pid}.json`))) return performance.now()
    await sleep(10)
  }
  return null
}

export function journalPath(stateDir: string): string | null {
  const name = readdirSync(stateDir).find((file) => file.endsWith('.sqlite'))
  return name === undefined ? null : join(stateDir, name)
}

/** What a journal holds, in order. */
export function* journaled(path: string): Generator<{ key: string; step: number; value: number }> {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 2000 })
  try {
    const keys = new Map(
      database
        .prepare('SELECT id, key FROM series')
        .all()
        .map(({ id, key }) => [Number(id), String(key)]),
    )
    for (const { count, data } of database.prepare('SELECT count, data FROM blocks ORDER BY first').iterate()) {
      const columns = columnsOf((data as Uint8Array).slice().buffer, Number(count))
      for (let i = 0; i < Number(count); i += 1)
        yield { key: keys.get(columns.series[i]!)!, step: columns.step[i]!, value: columns.value[i]! }
    }
  } finally {
    database.close()
  }
}

/** A pipe that outlives its readers: what one has not read is there for the next. It ends when it is closed here, too. */
export class Pipe {
  readonly #path: string
  readonly #kept: number

  constructor(path: string) {
    this.#path = path
    execFileSync('mkfifo', [path])
    this.#kept = openSync(path, 'r+')
  }

  /** Hands an end of it to the process that `start` starts. */
  give<T>(end: 'read' | 'write', start: (fd: number) => T): T {
    const fd = openSync(this.#path, end === 'read' ? 'r' : 'w')
    try {
      return start(fd)
    } finally {
      closeSync(fd)
    }
  }

  close(): void {
    closeSync(this.#kept)
  }
}

const script = (name: string): string => fileURLToPath(new URL(`processes/${name}.ts`, import.meta.url))

/** Options of the trainer: events a second, for how long, how many numbers each has, and every how many there is a span. */
export interface Pace {
  rate: number
  seconds: number
  numbers: number
  spans?: number
}

/** Starts a trainer that writes into `fd`; `hear` is told how far it is. */
export async function train(
  fd: number,
  { rate, seconds, numbers, spans = 0 }: Pace,
  hear: (progress: Progress) => void = () => {},
): Promise<Report> {
  const args = [
    '--rate',
    String(rate),
    '--seconds',
    String(seconds),
    '--numbers',
    String(numbers),
    '--spans',
    String(spans),
  ]
  const child = spawn(process.execPath, [script('trainer'), ...args], { stdio: ['ignore', fd, 'inherit', 'ipc'] })
  endWithUs(child)
  let report: Report | null = null
  child.on('message', (message: Progress | Report) => {
    if ('events' in message) report = message
    else hear(message)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (report === null) throw new Error(`the trainer has ended with ${code}`)
  return report
}

/** What the trainer's writes cost where nothing is behind it: `path` is where its pipe may be. */
export async function trainIntoCat(path: string, pace: Pace): Promise<Report> {
  const pipe = new Pipe(path)
  const cat = pipe.give('read', (fd) => spawn('cat', { stdio: [fd, 'ignore', 'inherit'] }))
  const closed = once(cat, 'close')
  const report = await pipe.give('write', (fd) => train(fd, pace))
  pipe.close()
  await closed
  return report
}

/** Rows for a table of what writes cost. */
export const writesOf = (reports: Record<string, Report>): (string | number)[][] => [
  ['microseconds for a write', 'events/s', 'p50', 'p99', 'p99.9', 'slowest'],
  ...Object.entries(reports).map(([name, { events, seconds, p50, p99, p999, slowest }]) => [
    `  | ${name}`,
    events / seconds,
    p50,
    p99,
    p999,
    slowest,
  ]),
]

/** A stand-in of MLflow in a process of its own. */
export class Tracker {
  readonly url: string
  readonly #process: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#process = child
    this.url = url
  }

  static async start(seed: number): Promise<Tracker> {
    const child = spawn(process.execPath, [script('tracker'), String(seed)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    endWithUs(child)
    const [url] = (await once(child, 'message')) as [string]
    return new Tracker(child, url)
  }

  weather(weather: Weather): void {
    this.#order({ kind: 'weather', weather })
  }

  /** It hangs, with whatever it was about to answer. */
  stop(): void {
    this.#process.kill('SIGSTOP')
  }

  goOn(): void {
    this.#process.kill('SIGCONT')
  }

  /** What it holds of the `numbers` keys; `events`: how many steps there should be. */
  async report(numbers: number, events: number): Promise<TrackerReport> {
    this.#order({ kind: 'report', numbers, events })
    return ((await once(this.#process, 'message')) as [TrackerReport])[0]
  }

  close(): void {
    this.#process.disconnect()
  }

  #order(order: Order): void {
    this.#process.send(order)
  }
}

function endWithUs(child: ChildProcess): void {
  process.once('exit', () => child.kill('SIGKILL'))
}

/** What the system says of a process. */
export interface Size {
  /** Resident memory in MB. */
  rss: number
  fds: number
  threads: number
}

/** @throws when the process is gone */
export function sizeOfProcess(pid: number): Size {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
  return { rss: number('VmRSS') / 1024, fds: readdirSync(`/proc/${pid}/fd`).length, threads: number('Threads') }
}

export const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN

/** Prints rows in columns, the first one left. */
export function printTable(rows: readonly (readonly (string | number)[])[]): void {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? shown(cell) : cell)))
  const widths = texts[0]!.map((_, i) => Math.max(...texts.map((row) => row[i]?.length ?? 0)))
  for (const row of texts)
    console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
}

export const shown = (n: number): string =>
  n.toLocaleString('en-US', { maximumFractionDigits: Math.abs(n) < 100 ? 1 : 0 })

/** Checks the laws of a run, prints each, and sets the exit code. */
export function judge(laws: readonly (readonly [holds: boolean, law: string])[]): boolean {
  for (const [holds, law] of laws) console.log(`${holds ? 'holds ' : 'BROKEN'}  ${law}`)
  const isBroken = laws.some(([holds]) => !holds)
  process.exitCode = isBroken ? 1 : 0
  return !isBroken
}
