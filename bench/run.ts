/**
 * npm run bench [-- --lines 200000 --rounds 5]: fresh processes, alternating, medians with their spread.
 *
 * - pipe to a null HTTP sink, all acknowledged, and pipe to the journal alone; against bare JSON.parse of the same lines
 * - the slowest write of a trainer at 2,000 lines a second, against `cat`
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readStateDir } from '../src/journal/status.ts'
import { writeLines } from './lines.ts'

const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
  },
})
const LINES = Number(values.lines)
const ROUNDS = Number(values.rounds)
const POINTS = LINES * 7
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const SPANBRIDGE = here('../bin/spanbridge')
const work = mkdtempSync(join(tmpdir(), 'spanbridge-bench-'))
const file = join(work, 'lines.jsonl')

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!

function parseOnly(): number {
  const out = execFileSync(process.execPath, [here('parse-only.ts'), file], { encoding: 'utf8' })
  return (JSON.parse(out) as { linesPerSecond: number }).linesPerSecond
}

/** Lines per second of `cat FILE | spanbridge`, process start and end included; nothing may be missing at the end. */
function bridge(flags: readonly string[]): number {
  const stateDir = mkdtempSync(join(work, 'state-'))
  const command = `cat ${file} | ${SPANBRIDGE} --quiet --state-dir ${stateDir} ${flags.join(' ')}`
  const from = performance.now()
  execFileSync('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'pipe'] })
  const seconds = (performance.now() - from) / 1000
  const [run] = readStateDir(stateDir).runs
  if (run!.journaled.points !== POINTS)
    throw new Error(
      `expected ${POINTS} points in the journal, got ${run!.journaled.points}: ${JSON.stringify(run!.dropped)}`,
    )
  for (const { points } of run!.destinations)
    if (points.delivered !== POINTS) throw new Error(`expected ${POINTS} delivered, got ${points.delivered}`)
  rmSync(stateDir, { recursive: true })
  return LINES / seconds
}

function writes(command: string): { p50_us: number; p99_us: number; max_us: number } {
  const out = execFileSync(
    'bash',
    ['-c', `{ python3 ${here('write-latency.py')} ${values.seconds} 2000 2>&3 | ${command} >/dev/null 2>&1; } 3>&1`],
    { encoding: 'utf8' },
  )
  return JSON.parse(out) as { p50_us: number; p99_us: number; max_us: number }
}

await writeLines(file, LINES)
const sink = spawn(process.execPath, [here('null-sink.ts')], { stdio: ['ignore', 'pipe', 'inherit'] })
const url = String((await once(sink.stdout, 'data'))[0]).trim()
const rows: Record<string, number[]> = { parse: [], sink: [], journal: [] }
try {
  for (let round = 0; round < ROUNDS; round += 1) {
    const turns = [
      () => rows['parse']!.push(parseOnly()),
      () => rows['sink']!.push(bridge(['--mlflow-tracking-uri', url])),
      () => rows['journal']!.push(bridge([])),
    ]
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) turn()
  }
  const ratios = (name: string): string => {
    const pairs = rows[name]!.map((n, i) => n / rows['parse']![i]!)
    return `${median(pairs).toFixed(2)} (${Math.min(...pairs).toFixed(2)}-${Math.max(...pairs).toFixed(2)})`
  }
  const rate = (name: string): string => Math.round(median(rows[name]!)).toLocaleString('en-US').padStart(10)
  console.log(
    `${cpus().length} x ${cpus()[0]!.model}, Node.js ${process.version}; ${LINES.toLocaleString('en-US')} lines of 8 numbers, ${ROUNDS} rounds, medians`,
  )
  console.log(`bare JSON.parse of the lines, split before       ${rate('parse')} lines/s   1.00`)
  console.log(`cat | spanbridge, delivered to a null HTTP sink  ${rate('sink')} lines/s   ${ratios('sink')}`)
  console.log(`cat | spanbridge, journal only                   ${rate('journal')} lines/s   ${ratios('journal')}`)

  const state = join(work, 'latency')
  const compared = {
    cat: writes('cat'),
    spanbridge: writes(`${SPANBRIDGE} --state-dir ${state} --mlflow-tracking-uri ${url}`),
    'cat again': writes('cat'),
  }
  console.log(`writes of a trainer at 2,000 lines/s for ${values.seconds} s, microseconds`)
  for (const [name, { p50_us: p50, p99_us: p99, max_us: max }] of Object.entries(compared)) {
    console.log(
      `  | ${name.padEnd(11)} p50 ${p50.toFixed(1).padStart(7)}  p99 ${p99.toFixed(1).padStart(8)}  slowest ${max.toFixed(0).padStart(7)}`,
    )
  }
  if (readdirSync(state).length === 0) throw new Error('the bridge left no journal')
} finally {
  sink.kill('SIGTERM')
  rmSync(work, { recursive: true, force: true })
}
