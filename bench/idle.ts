/**
 * What a daemon costs while nothing comes: a pipe that is held open, and OTLP/HTTP listening.
 *
 *     node bench/idle.ts --rounds 2 --seconds 30
 *
 * - idle-cpu: percent of a core
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { eventLine } from './loads.ts'
import { bareEnv, costOf, SPANBRIDGE, workDirectory } from './processes.ts'
import { optionOr, report, roundsOr } from './report.ts'

const SECONDS = Number(optionOr('seconds', '30'))
/** Until then it is busy with its start. */
const SETTLED_MS = 5000

const work = workDirectory()
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function idle(): Promise<number> {
  const args = ['run', '--quiet', '--state-dir', mkdtempSync(join(work, 'state-')), '--otlp-http-listen', '127.0.0.1:0']
  const child = spawn(SPANBRIDGE, args, { stdio: ['pipe', 'ignore', 'ignore'], env: bareEnv() })
  child.stdin.write(`${eventLine(1)}\n`)
  await sleep(SETTLED_MS)
  const before = costOf(child.pid!).cpuSeconds
  await sleep(SECONDS * 1000)
  const spent = costOf(child.pid!).cpuSeconds - before
  child.stdin.end()
  await once(child, 'close')
  return (100 * spent) / SECONDS
}

const percents: number[] = []
for (let round = 0; round < roundsOr(2); round += 1) percents.push(await idle())
report({ 'idle-cpu': percents })
