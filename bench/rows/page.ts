import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  cpuSeconds,
  demand,
  inBench,
  sleep,
  recordLog,
  startDaemon,
  startModule,
  until,
  writePaced,
  type Daemon,
} from '../harness/processes.ts'
import { readStateDir } from '../../src/journal/status.ts'
import type { Bench, Family, Measured } from '../harness/row.ts'
import { alternate, quantile } from '../harness/statistics.ts'
import { lineAt, NUMBERS, writeLines } from '../load/lines.ts'
import type { Ask, PageAccount } from '../load/page-reader.ts'

const LINES_PER_SECOND = 10_000
const ZOOM_MS = 100

interface Reader {
  ask(what: Ask): Promise<PageAccount>
  stop(): void
}

async function startReader({ webUrl }: Daemon): Promise<Reader> {
  if (webUrl === null) throw new Error('the daemon serves no page')
  const { ask, stop } = await startModule('load/page-reader.ts', [webUrl])
  return { ask: async (what) => (await ask(what)) as PageAccount, stop }
}

/** A state directory with a finished run of so many points. */
async function withRun(bench: Bench, name: string, points: number): Promise<string> {
  const stateDir = join(bench.work, name)
  const log = join(bench.work, `${name}.jsonl`)
  await writeLines(log, points / NUMBERS)
  recordLog(stateDir, log)
  demand(stateDir, { points, isDelivered: false })
  return stateDir
}

const millions = (bench: Bench, full: number): number => (bench.isQuick ? full / 5 : full) * 1_000_000

/** Seconds that a pipe of `lines` takes, with somebody at the page of another run or without. */
async function ingest(bench: Bench, name: string, hasPage: boolean): Promise<number> {
  const lines = bench.isQuick ? 100_000 : 400_000
  const stateDir = await withRun(bench, name, millions(bench, 1))
  const daemon = await startDaemon(stateDir, ['--channel-when-full', 'block'], { stdin: 'pipe' })
  const reader = hasPage ? await startReader(daemon) : null
  try {
    await reader?.ask({ is: 'open', nth: 1 })
    const from = performance.now()
    for (let i = 0; i < lines;) {
      let text = ''
      for (const end = Math.min(lines, i + 500); i < end; i += 1) text += lineAt(i, Date.now())
      if (!daemon.stdin!.write(text)) await once(daemon.stdin!, 'drain')
    }
    await until(
      'the points in the journal',
      () => (readStateDir(stateDir).runs.at(-1)?.journaled.points ?? 0) >= lines * NUMBERS,
    )
    const seconds = (performance.now() - from) / 1000
    await daemon.stop()
    return seconds
  } finally {
    reader?.stop()
  }
}

interface Watched {
  pauseMs: number
  rssMb: number
  zoomMs: number
}

/** A daemon at 10,000 events/s while somebody zooms about in a long run. */
async function zooming(bench: Bench, name: string): Promise<Watched> {
  const stateDir = await withRun(bench, name, millions(bench, 5))
  const told = join(stateDir, 'pauses.json')
  const seconds = bench.isQuick ? 10 : 60
  const env = { NODE_OPTIONS: `--import=${inBench('watch-loop.ts')}`, WATCH_LOOP_TELLS: told }
  const daemon = await startDaemon(stateDir, [], { stdin: 'pipe', env })
  const reader = await startReader(daemon)
  try {
    await reader.ask({ is: 'open', nth: 1 })
    await reader.ask({ is: 'zoom', nth: 1, everyMs: ZOOM_MS })
    await writePaced(daemon, LINES_PER_SECOND, seconds, (i) => lineAt(i, Date.now()))
    const { zoomMs } = await reader.ask({ is: 'account' })
    const rssMb = rssOf(daemon.pid)
    await daemon.stop()
    const { p999Ms } = JSON.parse(readFileSync(told, 'utf8')) as { p999Ms: number }
    return { pauseMs: p999Ms, rssMb, zoomMs: quantile(zoomMs, 0.5) }
  } finally {
    reader.stop()
  }
}

interface Live {
  ageMs: number
  openMs: number
  rssMb: number
  idlePercent: number
}

/** A live run of 1,000 lines/s beside a finished one of a million points: how late its points are, and what an idle page costs. */
async function live(bench: Bench, name: string): Promise<Live> {
  const stateDir = await withRun(bench, name, millions(bench, 1))
  const seconds = bench.isQuick ? 6 : 20
  const daemon = await startDaemon(stateDir, [], { stdin: 'pipe' })
  const readers = [await startReader(daemon), await startReader(daemon)] as const
  try {
    const { openMs } = await readers[0].ask({ is: 'open', nth: 1 })
    daemon.stdin!.write(lineAt(0, Date.now()))
    await until('a first point', () => (readStateDir(stateDir).runs.at(-1)?.journaled.points ?? 0) > 0)
    await readers[1].ask({ is: 'open', nth: 0 })
    await writePaced(daemon, 1000, seconds, (i) => lineAt(i, Date.now()))
    const { ages } = await readers[1].ask({ is: 'account' })
    const rssMb = rssOf(daemon.pid)
    await sleep(2000)
    const [cpu, from] = [cpuSeconds(daemon.pid), performance.now()]
    await sleep(bench.isQuick ? 5000 : 20_000)
    const idlePercent = (100_000 * (cpuSeconds(daemon.pid) - cpu)) / (performance.now() - from)
    await daemon.stop()
    return { ageMs: quantile(ages, 0.95), openMs, rssMb, idlePercent }
  } finally {
    for (const reader of readers) reader.stop()
  }
}

const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024

/** What somebody at the page costs, and how soon points are there. */
export const family: Family = {
  rows: [
    {
      id: 'page-ingest',
      what: 'a pipe with the page open on a run of 1 million points',
      against: 'the same pipe without a page',
      unit: 'x',
      goal: { atLeast: 0.95 },
    },
    {
      id: 'page-pauses',
      what: 'pauses of the ingest thread at 10,000 events/s, 99.9th percentile, while a run of 5 million points is zoomed about in',
      against: 'the clock of its loop',
      unit: 'ms',
      goal: { atMost: 20 },
    },
    {
      id: 'page-rss',
      what: 'memory at 1,000 events/s with the page open on a run of 1 million points and on the live one',
      against: 'all of the process',
      unit: 'MB',
      goal: { atMost: 150 },
    },
    {
      id: 'page-age',
      what: 'age of a point when the page has it, at 1,000 events/s, 95th percentile',
      against: 'the time in its line',
      unit: 'ms',
      goal: { atMost: 1000 },
    },
    {
      id: 'page-open',
      what: 'nine charts of a run of 1 million points, from the first request',
      against: 'the clock; the web thread starts with it',
      unit: 'ms',
      goal: { atMost: 500 },
    },
    {
      id: 'page-idle',
      what: 'share of a core of the daemon with two pages open while nothing comes (a hidden tab closes its stream)',
      against: 'a core',
      unit: '%',
      goal: { atMost: 1 },
    },
  ],
  async run(bench, wanted): Promise<Record<string, Measured>> {
    const wants = (...rows: string[]): boolean => rows.some((row) => wanted.has(row))
    const found = await alternate(bench.rounds, {
      bare: (round) => (wants('page-ingest') ? ingest(bench, `bare-${round}`, false) : null),
      open: (round) => (wants('page-ingest') ? ingest(bench, `open-${round}`, true) : null),
      zooming: (round) => (wants('page-pauses') && round === 0 ? zooming(bench, `zoom-${round}`) : null),
      live: (round) => (wants('page-rss', 'page-age', 'page-open', 'page-idle') ? live(bench, `live-${round}`) : null),
    })
    const all = <T>(values: readonly (T | null)[]): T[] => values.filter((value) => value !== null)
    const [bare, open, lively, zoomed] = [all(found.bare), all(found.open), all(found.live), all(found.zooming)]
    return {
      'page-ingest': {
        values: bare.map((seconds, i) => seconds / open[i]!),
        ours: open,
        theirs: bare,
        sideUnit: 's',
      },
      'page-pauses': {
        values: zoomed.map(({ pauseMs }) => pauseMs),
        note: zoomed
          .map(({ zoomMs, rssMb }) => `a stretch took ${zoomMs.toFixed(0)} ms, memory ${rssMb.toFixed(0)} MB`)
          .join('; '),
      },
      'page-rss': { values: lively.map(({ rssMb }) => rssMb) },
      'page-age': { values: lively.map(({ ageMs }) => ageMs) },
      'page-open': { values: lively.map(({ openMs }) => openMs) },
      'page-idle': { values: lively.map(({ idlePercent }) => idlePercent) },
    }
  },
}
