import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readStateDir, type RunStatus } from '../../src/journal/status.ts'

export const repository = fileURLToPath(new URL('../../', import.meta.url))
/** The launcher: that of the package that was built for the measurement, if there is one. */
export const spanbridge = (): string => join(process.env['SPANBRIDGE_BENCH_PACKAGE'] ?? repository, 'bin/spanbridge')
/** The path of a file of `bench`. */
export const inBench = (name: string): string => join(repository, 'bench', name)

/** No settings of the machine's user get into a measurement. */
export const cleanEnv = (): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '/',
})

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until `isSo`, looking each 5 ms. @throws when that takes longer than `seconds` */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, seconds = 120): Promise<void> {
  for (const end = performance.now() + seconds * 1000; !(await isSo()); await sleep(5))
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`)
}

/** CLOCK_TICKS of Linux as all programs see it. */
const TICKS_PER_SECOND = 100

/** Seconds of processor time that a process has used, all its threads together. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** What a whole process took, from its start to its end. */
export interface Whole {
  seconds: number
  cpuSeconds: number
}

/** Runs `cat FILE | COMMAND`; what is measured is COMMAND alone. */
export function piped(file: string, command: readonly string[]): Whole {
  // Bash tells user and system time of a child in milliseconds.
  const script = 'f=$1; shift; TIMEFORMAT="%R %U %S"; cat "$f" | { time "$@" >/dev/null 2>"$BENCH_LOG"; } 2>&1'
  const log = join(mkdtempSync(join(process.env['TMPDIR'] ?? '/tmp', 'spanbridge-bench-log-')), 'log')
  let told: string
  try {
    told = execFileSync('bash', ['-o', 'pipefail', '-c', script, 'bash', file, ...command], {
      encoding: 'utf8',
      env: { ...cleanEnv(), BENCH_LOG: log },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  } catch (error) {
    throw new Error(
      `${command[0]} failed: ${existsSync(log) ? readFileSync(log, 'utf8').slice(-600) : String(error)}`,
      {
        cause: error,
      },
    )
  }
  const [seconds, user, system] = told.trim().split(/\s+/).map(Number)
  return { seconds: seconds!, cpuSeconds: user! + system! }
}

/** Says what is wrong with an account, if it is not `points` (and `spans`) journaled, delivered, and nothing lost. */
export function demand(
  stateDir: string,
  expected: { points?: number; spans?: number; isDelivered: boolean },
): RunStatus[] {
  const { runs } = readStateDir(stateDir)
  const sum = (of: (run: RunStatus) => number): number => runs.reduce((total, run) => total + of(run), 0)
  const wrong = (what: string, got: number, wanted: number): void => {
    if (got !== wanted) throw new Error(`expected ${wanted} ${what}, got ${got}`)
  }
  const lost = sum(({ dropped, spanAccount }) =>
    [dropped, spanAccount.dropped].flatMap((reasons) => Object.values(reasons)).reduce((total, n) => total + n, 0),
  )
  wrong('dropped', lost, 0)
  wrong(
    'duplicates',
    sum((run) => run.spanAccount.duplicate),
    0,
  )
  const { points, spans } = expected
  if (points !== undefined)
    wrong(
      'points in the journal',
      sum((run) => run.journaled.points),
      points,
    )
  if (spans !== undefined)
    wrong(
      'spans in the journal',
      sum((run) => run.journaled.spans),
      spans,
    )
  if (expected.isDelivered)
    wrong(
      'pending',
      sum((run) =>
        run.destinations.reduce(
          (total, { points, spans }) => total + points.pending + points.rejected + (spans?.pending ?? 0),
          0,
        ),
      ),
      0,
    )
  return runs
}

const living = new Set<number>()

/** To be ended with the family that started it, should that fail before it does so itself. */
export const willEnd = (pid: number): void => void living.add(pid)
export const hasEnded = (pid: number): void => void living.delete(pid)

/** Ends what a family has left. */
export function endLeftovers(): void {
  for (const pid of living) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has gone by itself.
    }
  }
  living.clear()
}

/** A daemon that takes OTLP, and lines where `stdin` is a pipe. */
export interface Daemon {
  /** To write lines to, where that was left to the caller. */
  readonly stdin: Writable | null
  readonly pid: number
  readonly stateDir: string
  /** Where it takes OTLP. */
  readonly url: string
  /** The page, with its token; null: it serves none. */
  readonly webUrl: string | null
  /** Ends it in an orderly way; one that reads a command's output ends with that, and is waited for. */
  stop(): Promise<void>
}

/**
 * Starts the real daemon and waits until it listens. `stdin`: `pipe` leaves writing to the caller, a command's output comes
 * through a pipe of the shell, and its end ends the daemon; absent: it reads none.
 */
export async function startDaemon(
  stateDir: string,
  flags: readonly string[],
  { stdin, env = {} }: { stdin?: 'pipe' | readonly string[]; env?: Record<string, string> } = {},
): Promise<Daemon> {
  const listen = ['--quiet', '--state-dir', stateDir, '--otlp-http-listen', '127.0.0.1:0']
  const command = [spanbridge(), ...listen, '--stdin', stdin === undefined ? 'off' : 'on', ...flags]
  const shell = ['-o', 'pipefail', '-c', 'n=$1; shift; "${@:1:n}" | exec "${@:n+1}"', 'bash']
  const child =
    typeof stdin === 'object'
      ? spawn('bash', [...shell, String(stdin.length), ...stdin, ...command], {
          env: { ...cleanEnv(), ...env },
          stdio: ['ignore', 'ignore', 'pipe'],
        })
      : spawn(command[0]!, command.slice(1), {
          env: { ...cleanEnv(), ...env },
          stdio: [stdin ?? 'ignore', 'ignore', 'pipe'],
        })
  let log = ''
  child.stderr!.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-2000)))
  const ended = once(child, 'close')
  const directory = join(stateDir, 'daemons')
  const file = (): string | undefined => {
    const [name] = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.json')) : []
    const text = name === undefined ? '' : readFileSync(join(directory, name), 'utf8')
    return text.endsWith('\n') ? text : undefined
  }
  await until('start of the daemon', () => {
    if (child.exitCode !== null) throw new Error(`the daemon ended: ${log}`)
    return file() !== undefined
  })
  const { pid, listeners, webUrl } = JSON.parse(file()!) as {
    pid: number
    listeners: Record<string, string>
    webUrl: string | null
  }
  willEnd(pid)
  return {
    stdin: stdin === 'pipe' ? child.stdin : null,
    pid,
    stateDir,
    url: `http://${listeners['otlp-http']!}`,
    webUrl,
    stop: async () => {
      if (stdin === undefined) process.kill(pid, 'SIGTERM')
      else child.stdin?.end()
      await ended
      hasEnded(pid)
      if (child.exitCode !== 0) throw new Error(`the daemon ended with ${child.exitCode ?? child.signalCode}: ${log}`)
    },
  }
}

const TICK_MS = 5

/** Writes the lines that `lineOf` makes to a daemon's standard input, at a steady rate. */
export async function writePaced(
  { stdin }: Daemon,
  perSecond: number,
  seconds: number,
  lineOf: (i: number) => string,
): Promise<void> {
  const from = performance.now()
  for (let sent = 0; sent < perSecond * seconds; await sleep(TICK_MS)) {
    let text = ''
    const due = Math.min(perSecond * seconds, Math.floor(((performance.now() - from) / 1000) * perSecond))
    for (; sent < due; sent += 1) text += lineOf(sent)
    if (!stdin!.write(text)) await once(stdin!, 'drain')
  }
}

/** Makes a finished run of a log, which is delivered nowhere. */
export function recordLog(stateDir: string, log: string, name?: string): void {
  const named = name === undefined ? [] : ['--run-name', name]
  const flags = ['run', '--quiet', '--state-dir', stateDir, '--no-web', '--otlp-http-listen', 'off', ...named]
  execFileSync('sh', ['-c', '"$@" < "$0"', log, spanbridge(), ...flags], { env: cleanEnv(), stdio: 'ignore' })
}

/** Starts a module of `bench` that talks by messages; `ask` sends one and waits for the answer. */
export async function startModule(
  name: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; hello: unknown; ask: (message: object) => Promise<unknown>; stop: () => void }> {
  const child = fork(inBench(name), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`${name} ended with ${String(code)}`)
  })
  const heard = async (): Promise<unknown> => (await Promise.race([once(child, 'message'), gone]))[0] as unknown
  const hello = await heard()
  return {
    child,
    hello,
    ask: (message) => {
      const answer = heard()
      child.send(message)
      return answer
    },
    stop: () => void child.kill('SIGKILL'),
  }
}
