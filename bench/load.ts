/**
 * A daemon under a steady load of lines, journaling, without a destination: its pauses and its memory.
 *
 *     node bench/load.ts --rounds 3 --seconds 20
 *
 * - pauses-p999-ms: the longest but one in a thousand of the ingest thread's turns, at 10,000 events/s
 * - rss-1k, rss-10k: memory (MB) at 1,000 and at 10,000 events/s, at the end
 * - cpu-10k: share of a core at 10,000 events/s
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventLine, POINTS_PER_LINE } from './loads.ts'
import { bareEnv, costOf, expectPoints, here, SPANBRIDGE, workDirectory } from './processes.ts'
import { optionOr, report, roundsOr, wants, type Rows } from './report.ts'

const SECONDS = Number(optionOr('seconds', '20'))
/** Lines leave in groups, since no timer comes ten times in a millisecond. */
const TICK_MS = 5

const work = workDirectory()

interface Seen {
  p999Ms: number
  rssMb: number
  cpu: number
}

/** Feeds a daemon for `SECONDS`; a module that is loaded before it may watch its loop, at the cost of memory. */
async function feed(rate: number, isWatched = false): Promise<Seen> {
  const stateDir = mkdtempSync(join(work, 'state-'))
  const told = join(stateDir, 'pauses')
  const watch = { NODE_OPTIONS: `--import=${here('watch-loop.ts')}`, WATCH_LOOP_TELLS: told }
  const env = { ...bareEnv(), ...(isWatched ? watch : {}) }
  const child = spawn(SPANBRIDGE, ['run', '--quiet', '--state-dir', stateDir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env,
  })
  const begin = performance.now()
  let sent = 0
  let cpuFrom = 0
  while (performance.now() - begin < SECONDS * 1000) {
    const due = Math.floor(((performance.now() - begin) / 1000) * rate)
    let text = ''
    for (; sent < due; sent += 1) text += `${eventLine(sent)}\n`
    if (!child.stdin.write(text)) await once(child.stdin, 'drain')
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    if (cpuFrom === 0 && performance.now() - begin > SECONDS * 500) cpuFrom = costOf(child.pid!).cpuSeconds
  }
  const { cpuSeconds, rssMb } = costOf(child.pid!)
  child.stdin.end()
  await once(child, 'close')
  expectPoints(stateDir, sent * POINTS_PER_LINE)
  const { p999Ms } = isWatched ? (JSON.parse(readFileSync(told, 'utf8')) as { p999Ms: number }) : { p999Ms: Number.NaN }
  return { p999Ms, rssMb, cpu: (cpuSeconds - cpuFrom) / (SECONDS / 2) }
}

const rows: Rows = {}
const add = (row: string, value: number): void => void (wants(row) && (rows[row] ??= []).push(value))
for (let round = 0; round < roundsOr(3); round += 1) {
  if (wants('rss-1k')) add('rss-1k', (await feed(1000)).rssMb)
  if (wants('rss-10k') || wants('cpu-10k')) {
    const { rssMb, cpu } = await feed(10_000)
    add('rss-10k', rssMb)
    add('cpu-10k', cpu)
  }
  if (wants('pauses-p999-ms')) add('pauses-p999-ms', (await feed(10_000, true)).p999Ms)
}
report(rows)
