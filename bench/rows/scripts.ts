import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { available } from '../harness/available.ts'
import { inBench, repository } from '../harness/processes.ts'
import type { Bench, Family, Measured, Row } from '../harness/row.ts'

const execute = promisify(execFile)

/** What a script prints with `--json`: figures round by round, and those of the other side where there is one. */
interface Told {
  rows: Record<string, number[]>
  theirs?: Record<string, number[]>
}

interface Script {
  name: string
  /** It measures the rows that `--only` names. */
  takesOnly: boolean
  /** A round takes so long that fewer do. */
  mostRounds?: number
  /** Seconds of load in a round, with `--quick` and without. */
  seconds?: readonly [quick: number, full: number]
  rows: readonly Row[]
}

/** Each runs by itself, too: `node bench/NAME.ts --rounds 5`. */
const SCRIPTS: readonly Script[] = [
  {
    name: 'stdin.ts',
    takesOnly: true,
    rows: [
      {
        id: 'stdin-chain',
        what: 'stdin chain in memory: split, parse, extract, channel',
        against: 'bare JSON.parse of strings that were split before',
        unit: 'x',
        goal: { atLeast: 0.8 },
      },
      {
        id: 'prefilter',
        what: 'log of which 90 % of the lines cannot be events',
        against: 'parsing each line',
        unit: 'x',
        goal: { atLeast: 3 },
      },
    ],
  },
  {
    name: 'pipe.ts',
    takesOnly: true,
    rows: [
      {
        id: 'pipe-python',
        what: 'cat log | spanbridge, journaling durably, no destination',
        against: 'python3 that calls json.loads and does nothing',
        unit: 'x',
        goal: { atLeast: 1.5 },
        peer: 'python',
      },
      { id: 'pipe-jq', what: 'the same', against: 'jq -c .', unit: 'x', goal: { atLeast: 4 }, peer: 'jq' },
    ],
  },
  {
    name: 'extraction.ts',
    takesOnly: false,
    rows: [
      {
        id: 'extraction',
        what: 'extraction of one event with 8 numbers',
        against: 'JSON.stringify of it',
        unit: 'x',
        goal: { atMost: 0.2 },
      },
      {
        id: 'extraction-bare',
        what: 'a walk through the fields of the same event that puts its numbers into columns, whatever they are called',
        against: 'the same',
        unit: 'x',
        goal: null,
      },
    ],
  },
  {
    name: 'span-processor.ts',
    takesOnly: false,
    rows: [
      {
        id: 'span-processor',
        what: 'a span of the OpenTelemetry SDK with one event of 10 attributes, with BridgeSpanProcessor',
        against: 'the span without it',
        unit: 'x',
        goal: { atMost: 1.15 },
      },
      {
        id: 'span-processor-bare',
        what: 'the same with a processor that only keeps spans until there are 512',
        against: 'the same span',
        unit: 'x',
        goal: null,
      },
    ],
  },
  {
    name: 'otlp.ts',
    takesOnly: false,
    rows: [
      {
        id: 'otlp-decode',
        what: 'OTLP protobuf: decode and extract',
        against: 'protobufjs, decode alone',
        unit: 'x',
        goal: { atLeast: 6 },
      },
    ],
  },
  {
    name: 'otlp-http.ts',
    takesOnly: false,
    rows: [
      {
        id: 'otlp-http',
        what: 'the same through HTTP, spans per second of CPU',
        against: 'node:http and protobufjs, decode alone',
        unit: 'x',
        goal: { atLeast: 4 },
      },
    ],
  },
  {
    name: 'boot.ts',
    takesOnly: true,
    rows: [
      {
        id: 'boot-write-ms',
        what: 'slowest write of a trainer at 10,000 lines/s while the bridge in its pipe starts',
        against: 'the clock of the trainer',
        unit: 'ms',
        goal: { atMost: 80 },
      },
      {
        id: 'boot-write-exec-ms',
        what: 'the same under exec',
        against: 'cat',
        unit: 'ms',
        goal: { isWithinTheirs: true },
      },
      {
        id: 'start-ratio',
        what: 'start to the first accepted event',
        against: 'start and end of a bare Node.js',
        unit: 'x',
        goal: { atMost: 3 },
      },
    ],
  },
  {
    name: 'idle.ts',
    takesOnly: false,
    mostRounds: 2,
    seconds: [8, 60],
    rows: [{ id: 'idle-cpu', what: 'CPU while nothing comes', against: 'one core', unit: '%', goal: { atMost: 0.1 } }],
  },
  {
    name: 'load.ts',
    takesOnly: true,
    mostRounds: 3,
    seconds: [8, 60],
    rows: [
      {
        id: 'rss-1k',
        what: 'resident memory at 1,000 events/s',
        against: 'the process as the system sees it',
        unit: 'MB',
        goal: { atMost: 100 },
      },
      { id: 'rss-10k', what: 'the same at 10,000 events/s', against: 'the same', unit: 'MB', goal: { atMost: 120 } },
      {
        id: 'pauses-p999-ms',
        what: 'pauses of the ingest thread at 10,000 events/s, 99.9th percentile',
        against: 'the clock of its loop',
        unit: 'ms',
        goal: { atMost: 20 },
      },
    ],
  },
]

/** The one line of JSON among all that a script says. */
function toldIn(output: string): Told {
  const line = output.split('\n').find((line) => line.startsWith('{"rows"'))
  if (line === undefined) throw new Error(`no line of figures in '${output.slice(-200)}'`)
  return JSON.parse(line) as Told
}

async function runScript(
  script: Script,
  bench: Bench,
  wanted: ReadonlySet<string>,
): Promise<Record<string, Measured | Error>> {
  if (!existsSync(inBench(script.name))) throw new Error(`bench/${script.name} is not there`)
  const found: Record<string, Measured | Error> = {}
  const asked = available(script.rows, bench, wanted, found)
  if (asked.length === 0) return found
  const rounds = bench.isQuick ? Math.min(bench.rounds, script.mostRounds === undefined ? 3 : 1) : bench.rounds
  const flags = ['--disable-warning=ExperimentalWarning', inBench(script.name), '--json']
  flags.push('--rounds', String(Math.min(rounds, script.mostRounds ?? rounds)))
  if (script.takesOnly) flags.push('--only', asked.map(({ id }) => id).join(','))
  if (script.seconds !== undefined) flags.push('--seconds', String(script.seconds[bench.isQuick ? 0 : 1]))
  const options = { cwd: repository, env: process.env, maxBuffer: 1 << 24 }
  const { stdout } = await execute(process.execPath, flags, options).catch(({ stderr = '' }: { stderr?: string }) => {
    throw new Error(
      `bench/${script.name}: ${stderr.split('\n').find((line) => /Error/.test(line)) ?? stderr.slice(-300)}`,
    )
  })
  const { rows, theirs } = toldIn(stdout)
  for (const { id, unit } of asked) {
    const [values, their] = [rows[id], theirs?.[id]]
    if (values === undefined) found[id] = new Error(`bench/${script.name} said nothing of it`)
    else found[id] = { values, ...(their === undefined ? {} : { ours: values, theirs: their, sideUnit: unit }) }
  }
  return found
}

/** Rows that have a script of their own. */
export const scripts: readonly Family[] = SCRIPTS.map((script) => ({
  rows: script.rows,
  run: (bench, wanted) => runScript(script, bench, wanted),
}))
