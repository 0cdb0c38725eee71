import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { RunStatus } from '../../src/journal/status.ts'

/** The launcher that users call. */
export const SPANBRIDGE = fileURLToPath(new URL('../../bin/spanbridge', import.meta.url))

/** A directory that is gone when the test is over. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'spanbridge-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** An environment without settings of the machine that the tests run on. */
export const cleanEnv = (extra: Record<string, string> = {}): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '/',
  // A page of its own for each test would take the ports of the machine; those that look at it ask for one.
  SPANBRIDGE_WEB_LISTEN: 'off',
  ...extra,
})

export interface Finished {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: Buffer
  stderr: string
}

export interface Running {
  child: ChildProcessWithoutNullStreams
  finished: Promise<Finished>
  /** What has been written so far. */
  output: { stdout: Buffer[]; stderr: Buffer[] }
  /** Resolves when standard error (or output) holds `text`. */
  seen(text: string, stream?: 'stdout' | 'stderr'): Promise<void>
}

export interface Options {
  env?: Record<string, string>
  cwd?: string
  detached?: boolean
}

/** Starts a program and collects what it writes. */
export function start(
  command: string,
  args: readonly string[],
  { env = {}, cwd, detached = false }: Options = {},
): Running {
  const child = spawn(command, args, { env: cleanEnv(env), detached, ...(cwd === undefined ? {} : { cwd }) })
  const output: Running['output'] = { stdout: [], stderr: [] }
  let onOutput: (() => void)[] = []
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      output[name].push(chunk)
      for (const look of onOutput) look()
    })
  }
  child.stdin.on('error', () => {}) // EPIPE: the program has ended, and what it said is what the test looks at
  const finished = new Promise<Finished>((resolve) =>
    child.on('close', (code, signal) =>
      resolve({ code, signal, stdout: Buffer.concat(output.stdout), stderr: Buffer.concat(output.stderr).toString() }),
    ),
  )
  const seen = (text: string, stream: 'stdout' | 'stderr' = 'stderr'): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!Buffer.concat(output[stream]).includes(text)) return
        onOutput = onOutput.filter((other) => other !== look)
        resolve()
      }
      onOutput.push(look)
      look()
      void finished.then(({ stderr }) => reject(new Error(`ended without '${text}': ${stderr}`)))
    })
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, finished, output, seen }
}

export const startBridge = (args: readonly string[], options?: Options): Running => start(SPANBRIDGE, args, options)

/** Runs spanbridge to its end with `input` on its standard input. */
export async function spanbridge(
  args: readonly string[],
  input: Buffer | string = '',
  options?: Options,
): Promise<Finished> {
  const running = startBridge(args, options)
  running.child.stdin.end(input)
  return running.finished
}

/** `status --json` of a state directory. */
export async function statusOf(stateDir: string): Promise<RunStatus[]> {
  const { code, stdout, stderr } = await spanbridge(['status', '--json', '--state-dir', stateDir])
  if (code !== 0) throw new Error(`status: ${code} ${stderr}`)
  return (JSON.parse(stdout.toString()) as { runs: RunStatus[] }).runs
}
