import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  cpuSeconds,
  demand,
  hasEnded,
  inBench,
  piped,
  startDaemon,
  startModule,
  until,
  willEnd,
} from '../harness/processes.ts'
import type { Bench, Family, Measured } from '../harness/row.ts'
import { alternate, compared } from '../harness/statistics.ts'
import { startSender, startSink, type Sink } from '../load/parties.ts'
import { POINTS_A_SPAN, SPANS_A_REQUEST } from '../load/spans.ts'
import { startCollector } from '../peers/collector.ts'

const A_MILLION = 1e6

/** Sends spans flat out, and gives the processor time of `pid` until the sink has them all, for a million of them. */
async function cpuPerMillion(sink: Sink, url: string, pid: number, spans: number): Promise<number> {
  const sender = await startSender()
  try {
    await sink.clear()
    const before = cpuSeconds(pid)
    await sender.send({ url, spans })
    await until('delivery of all spans', async () => (await sink.account()).spans >= spans)
    const cpu = cpuSeconds(pid) - before
    const { spans: taken } = await sink.account()
    if (taken !== spans) throw new Error(`expected ${spans} spans at the sink, got ${taken}`)
    return (cpu * A_MILLION) / spans
  } finally {
    sender.stop()
  }
}

async function ours(bench: Bench, sink: Sink, spans: number, round: number): Promise<number> {
  const stateDir = join(bench.work, `state-${round}`)
  const daemon = await startDaemon(stateDir, ['--otlp-endpoint', sink.url])
  const cpu = await cpuPerMillion(sink, daemon.url, daemon.pid, spans)
  await daemon.stop()
  demand(stateDir, { points: spans * POINTS_A_SPAN, spans, isDelivered: true })
  return cpu
}

/** What no daemon of Node.js can be below. */
async function bare(sink: Sink, spans: number): Promise<number> {
  const { child, hello, stop } = await startModule('load/relay.ts', [sink.url])
  willEnd(child.pid!)
  try {
    return await cpuPerMillion(sink, (hello as { url: string }).url, child.pid!, spans)
  } finally {
    stop()
    hasEnded(child.pid!)
  }
}

/** What no journal of SQLite can be below. */
function bareJournal(bench: Bench, spans: number, round: number): number {
  const directory = join(bench.work, `bare-journal-${round}`)
  mkdirSync(directory)
  const command = [process.execPath, inBench('load/bare-journal.ts'), directory, String(spans)]
  const { cpuSeconds } = piped('/dev/null', command)
  rmSync(directory, { recursive: true })
  return (cpuSeconds * A_MILLION) / spans
}

async function theirs(
  bench: Bench,
  sink: Sink,
  spans: number,
  queue: 'disk' | 'memory',
  round: number,
): Promise<number> {
  const work = join(bench.work, `collector-${queue}-${round}`)
  mkdirSync(work)
  const collector = await startCollector({ command: bench.peers.path('collector'), work, sink: sink.url, queue })
  const cpu = await cpuPerMillion(sink, collector.url, collector.pid, spans)
  await collector.stop()
  return cpu
}

/** Spans in by OTLP, journaled with their numbers, and out by OTLP, beside a Collector with the same spans and sink. */
export const family: Family = {
  rows: [
    {
      id: 'cpu-spans-disk',
      what: 'CPU per million spans, OTLP in, journal (FULL) and numbers, OTLP out',
      against: 'Collector, queue on disk (file_storage)',
      unit: 'x',
      goal: { atMost: 0.5 },
      peer: 'collector',
    },
    {
      id: 'cpu-spans-memory',
      what: 'the same',
      against: 'Collector, queue in memory',
      unit: 'x',
      goal: { atMost: 1 },
      peer: 'collector',
    },
    {
      id: 'cpu-spans-bare',
      what: 'CPU per million spans that node:http takes and undici sends on as they came, which nobody reads or keeps',
      against: 'the same Collector',
      unit: 'x',
      goal: null,
      peer: 'collector',
    },
    {
      id: 'cpu-spans-journal',
      what: 'CPU per million spans that SQLite takes to keep as many bytes in as many commits and read them once, and nothing else',
      against: 'the same Collector',
      unit: 'x',
      goal: null,
      peer: 'collector',
    },
  ],
  async run(bench, wanted): Promise<Record<string, Measured>> {
    bench.peers.path('collector') // without it there is nothing to compare
    // Fewer spans tell more of code that V8 has yet to compile than of a span.
    const spans = SPANS_A_REQUEST * (bench.isQuick ? 200 : 2000)
    const sink = await startSink()
    const needed = (...rows: string[]): boolean => rows.some((row) => wanted.has(row))
    const all = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null)
    try {
      const { bridge, disk, memory, relay, journal } = await alternate(bench.rounds, {
        bridge: (round) => (needed('cpu-spans-disk', 'cpu-spans-memory') ? ours(bench, sink, spans, round) : null),
        disk: (round) => (needed('cpu-spans-disk') ? theirs(bench, sink, spans, 'disk', round) : null),
        memory: (round) => theirs(bench, sink, spans, 'memory', round),
        relay: () => (needed('cpu-spans-bare') ? bare(sink, spans) : null),
        journal: (round) => (needed('cpu-spans-journal') ? bareJournal(bench, spans, round) : null),
      })
      const unit = 'CPU s per million'
      return {
        'cpu-spans-disk': compared(all(bridge), all(disk), unit),
        'cpu-spans-memory': compared(all(bridge), memory, unit),
        'cpu-spans-bare': compared(all(relay), memory, unit),
        'cpu-spans-journal': compared(all(journal), memory, unit),
      }
    } finally {
      sink.stop()
    }
  },
}
