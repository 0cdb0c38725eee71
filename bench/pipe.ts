/**
 * The whole pipe, from the start of the process to its end, journaling durably, nothing dropped, no destination:
 * `cat LOG | spanbridge run`, in turns with programs that read the same pipe.
 *
 *     node bench/pipe.ts --rounds 5
 *
 * - pipe-python: how many times faster than `python3` that calls `json.loads` on each line and does nothing with it
 * - pipe-jq: how many times faster than `jq -c .` (left out where there is no jq)
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { eventLine, POINTS_PER_LINE, writeLoad } from './loads.ts'
import { expectPoints, PYTHON, shell, SPANBRIDGE, workDirectory } from './processes.ts'
import { median, report, roundsOr, wants, type Rows } from './report.ts'

const LINES = 480_000

const LOADS = `import sys, json
for line in sys.stdin: json.loads(line)`

const work = workDirectory()
const log = join(work, 'log.jsonl')
await writeLoad(log, LINES, (i) => eventLine(i))
const megabytes = statSync(log).size / 1e6

async function bridge(): Promise<number> {
  const stateDir = mkdtempSync(join(work, 'state-'))
  const { seconds } = await shell(`cat ${log} | ${SPANBRIDGE} run --quiet --state-dir ${stateDir} 2>/dev/null`)
  expectPoints(stateDir, LINES * POINTS_PER_LINE)
  rmSync(stateDir, { recursive: true })
  return seconds
}

const python = async (): Promise<number> => (await shell(`cat ${log} | ${PYTHON} -c '${LOADS}'`)).seconds
const jq = async (): Promise<number> => (await shell(`cat ${log} | jq -c . >/dev/null`)).seconds

const peers = Object.entries({ 'pipe-python': python, 'pipe-jq': jq }).filter(([row]) => wants(row))
try {
  execFileSync('jq', ['--version'])
} catch {
  peers.splice(1)
}

const rows: Rows = Object.fromEntries(peers.map(([row]) => [row, []]))
const ours: number[] = []
for (let round = 0; round < roundsOr(5); round += 1) {
  // The order turns around each round.
  const first = round % 2 === 0 ? await bridge() : null
  const theirs: [row: string, seconds: number][] = []
  for (const [row, run] of peers) theirs.push([row, await run()])
  const seconds = first ?? (await bridge())
  ours.push(seconds)
  for (const [row, their] of theirs) rows[row]!.push(their / seconds)
}
report(rows, { megabytes: Math.round(megabytes), 'lines/s': Math.round(LINES / median(ours)) })
