/** Processes of the benchmarks: the launcher, pipes between commands, and what a process costs. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readStateDir } from '../src/journal/status.ts'
import { usePackage } from './harness/package.ts'
import { cpuSeconds } from './harness/processes.ts'

export { inBench as here } from './harness/processes.ts'

/**
 * The launcher of the package as it is installed: compiled, for a checkout strips the types of each module as it starts.
 * `SPANBRIDGE_BENCH_PACKAGE` names a package that is built already.
 */
export const SPANBRIDGE = join(process.env['SPANBRIDGE_BENCH_PACKAGE'] ?? buildPackage(), 'bin/spanbridge')

function buildPackage(): string {
  const directory = join(tmpdir(), `spanbridge-bench-package-${process.pid}`)
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  usePackage(directory)
  return directory
}

/** The interpreter itself: `python3` may be a script that looks for it. */
export const PYTHON = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim()

/** A directory that goes with the process. */
export function workDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'spanbridge-bench-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** No settings of the user's, and no destination. */
export const bareEnv = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SPANBRIDGE|MLFLOW|OTEL)_/.test(name)))

/** Runs a line of the shell to its end. @returns what it wrote, and seconds */
export async function shell(command: string): Promise<{ out: string; seconds: number }> {
  const from = performance.now()
  const child = spawn('bash', ['-o', 'pipefail', '-c', command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: bareEnv(),
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk))
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0) throw new Error(`'${command}' has ended with ${code}`)
  return { out, seconds: (performance.now() - from) / 1000 }
}

/** Sees that the one run of a state directory holds these points, and dropped none. */
export function expectPoints(stateDir: string, points: number): void {
  const [run] = readStateDir(stateDir).runs
  if (run?.journaled.points === points) return
  throw new Error(
    `expected ${points} points in the journal, got ${run?.journaled.points}: ${JSON.stringify(run?.dropped)}`,
  )
}

/** Processor time of a process so far, in seconds, and its memory in megabytes. */
export function costOf(pid: number): { cpuSeconds: number; rssMb: number; peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mb = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024
  return { cpuSeconds: cpuSeconds(pid), rssMb: mb('VmRSS'), peakMb: mb('VmHWM') }
}
