/**
 * What a start costs: the trainer that starts with the bridge, and the first event.
 *
 *     node bench/boot.ts --rounds 7
 *
 * - boot-write-ms: slowest write (ms) of a trainer at 10,000 lines/s into the pipe of a bridge that starts with it
 * - boot-write-exec-ms: the same for a trainer that the bridge starts (`exec`)
 * - start-ratio: from the start of the process to the first event that the layer has taken, over the life of a bare Node.js
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventLine } from './loads.ts'
import { bareEnv, here, PYTHON, shell, SPANBRIDGE, workDirectory } from './processes.ts'
import { median, report, roundsOr, wants, type Rows } from './report.ts'

const SECONDS = 2
const RATE = 10_000

const work = workDirectory()
const stateDir = (): string => mkdtempSync(join(work, 'state-'))

/** Slowest write of a trainer, in milliseconds; it reports to a file, since `exec` reads both of its outputs. */
async function slowest(command: (trainer: string) => string): Promise<number> {
  const told = join(work, 'told')
  await shell(`${command(`${PYTHON} ${here('write-latency.py')} ${SECONDS} ${RATE} 2>${told}`)} >/dev/null 2>&1`)
  return (JSON.parse(readFileSync(told, 'utf8')) as { max_us: number }).max_us / 1000
}

const intoPipe = (): Promise<number> =>
  slowest((trainer) => `${trainer} | ${SPANBRIDGE} run --quiet --state-dir ${stateDir()}`)
const underExec = (): Promise<number> =>
  slowest((trainer) => `${SPANBRIDGE} exec --quiet --state-dir ${stateDir()} -- sh -c '${trainer}'`)
const intoCat = (): Promise<number> => slowest((trainer) => `${trainer} | cat`)

/** Milliseconds until an event that was there from the start comes out rendered. */
async function firstEvent(): Promise<number> {
  const from = performance.now()
  const args = ['run', '--console', '--state-dir', stateDir()]
  const child = spawn(SPANBRIDGE, args, { stdio: ['pipe', 'pipe', 'ignore'], env: bareEnv() })
  child.stdin.write(`${eventLine(1)}\n`)
  await once(child.stdout, 'data')
  const ms = performance.now() - from
  child.stdin.end()
  child.stdout.resume()
  await once(child, 'close')
  return ms
}

function bareNode(): number {
  const from = performance.now()
  execFileSync(process.execPath, ['-e', '0'])
  return performance.now() - from
}

const rows: Rows = {}
const cat: number[] = []
const add = (row: string, value: number): void => void (rows[row] ??= []).push(value)
for (let round = 0; round < roundsOr(7); round += 1) {
  if (wants('boot-write-ms')) add('boot-write-ms', await intoPipe())
  if (wants('boot-write-exec-ms')) {
    add('boot-write-exec-ms', await underExec())
    cat.push(await intoCat())
  }
  if (wants('start-ratio')) {
    const before = bareNode()
    const ms = await firstEvent()
    add('start-ratio', (2 * ms) / (before + bareNode()))
  }
}
const isCompared = cat.length > 0
report(
  rows,
  isCompared ? { 'slowest write into cat, ms': median(cat) } : {},
  isCompared ? { 'boot-write-exec-ms': cat } : {},
)
