import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cpuSeconds, demand, hasEnded, startDaemon, startModule, until, willEnd } from '../harness/processes.ts'
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
  ],
  async run(bench): Promise<Record<string, Measured>> {
    bench.peers.path('collector') // without it there is nothing to compare
    // Fewer spans tell more of code that V8 has yet to compile than of a span.
    const spans = SPANS_A_REQUEST * (bench.isQuick ? 200 : 2000)
    const sink = await startSink()
    try {
      const { bridge, disk, memory, relay } = await alternate(bench.rounds, {
        bridge: (round) => ours(bench, sink, spans, round),
        disk: (round) => theirs(bench, sink, spans, 'disk', round),
        memory: (round) => theirs(bench, sink, spans, 'memory', round),
        relay: () => bare(sink, spans),
      })
      const unit = 'CPU s per million'
      return {
        'cpu-spans-disk': compared(bridge, disk, unit),
        'cpu-spans-memory': compared(bridge, memory, unit),
        'cpu-spans-bare': compared(relay, memory, unit),
      }
    } finally {
      sink.stop()
    }
  },
}
