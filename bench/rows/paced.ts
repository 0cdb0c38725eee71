import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { cpuSeconds, demand, inBench, sleep, startDaemon, until } from '../harness/processes.ts'
import type { Bench, Family, Measured } from '../harness/row.ts'
import { alternate, quantile } from '../harness/statistics.ts'
import { NUMBERS } from '../load/lines.ts'
import { startSender, startSink } from '../load/parties.ts'
import { POINTS_A_SPAN } from '../load/spans.ts'
import { startCollector } from '../peers/collector.ts'

const PER_SECOND = 10_000
/** Before it has compiled its loops, a process costs several times of what it costs for days. */
const WARM_UP_SECONDS = 5

const secondsOf = (bench: Bench): number => (bench.isQuick ? 8 : 20)

/** Share of a core, in percent, that `pid` takes while `seconds` go by. */
async function shareOf(pid: number, seconds: number): Promise<number> {
  const [cpu, from] = [cpuSeconds(pid), performance.now()]
  await sleep(seconds * 1000)
  return (100_000 * (cpuSeconds(pid) - cpu)) / (performance.now() - from)
}

async function lines(bench: Bench, round: number): Promise<{ share: number; p50: number; p99: number }> {
  const stateDir = join(bench.work, `lines-${round}`)
  const seconds = WARM_UP_SECONDS + secondsOf(bench) + 1
  const sink = await startSink()
  try {
    const trainer = [process.execPath, inBench('load/trainer.ts'), String(PER_SECOND), String(seconds)]
    const daemon = await startDaemon(stateDir, ['--mlflow-tracking-uri', sink.url], { stdin: trainer })
    await sleep(WARM_UP_SECONDS * 1000)
    const before = (await sink.account()).ages.length
    const share = await shareOf(daemon.pid, secondsOf(bench))
    const ages = (await sink.account()).ages.slice(before)
    await daemon.stop()
    const points = PER_SECOND * seconds * NUMBERS
    demand(stateDir, { points, isDelivered: true })
    const taken = (await sink.account()).points
    if (taken !== points) throw new Error(`expected ${points} points at the sink, got ${taken}`)
    return { share, p50: quantile(ages, 0.5), p99: quantile(ages, 0.99) }
  } finally {
    sink.stop()
  }
}

async function spans(bench: Bench, round: number): Promise<number> {
  const stateDir = join(bench.work, `spans-${round}`)
  const sink = await startSink()
  const sender = await startSender()
  try {
    const daemon = await startDaemon(stateDir, ['--otlp-endpoint', sink.url])
    const total = PER_SECOND * (WARM_UP_SECONDS + secondsOf(bench) + 1)
    const sending = sender.send({ url: daemon.url, spans: total, perSecond: PER_SECOND })
    await sleep(WARM_UP_SECONDS * 1000)
    const share = await shareOf(daemon.pid, secondsOf(bench))
    const { sent } = await sending
    await until('delivery of all spans', async () => (await sink.account()).spans === sent)
    await daemon.stop()
    demand(stateDir, { points: sent * POINTS_A_SPAN, spans: sent, isDelivered: true })
    return share
  } finally {
    sender.stop()
    sink.stop()
  }
}

/** Share of a core that a Collector takes for the same spans. */
async function collectorSpans(bench: Bench, round: number): Promise<number> {
  const sink = await startSink()
  const sender = await startSender()
  const work = directory(bench, `collector-spans-${round}`)
  try {
    const command = bench.peers.path('collector')
    const collector = await startCollector({ command, work, sink: sink.url, queue: 'disk' })
    const total = PER_SECOND * (WARM_UP_SECONDS + secondsOf(bench) + 1)
    const sending = sender.send({ url: collector.url, spans: total, perSecond: PER_SECOND })
    await sleep(WARM_UP_SECONDS * 1000)
    const share = await shareOf(collector.pid, secondsOf(bench))
    const { sent } = await sending
    await until('delivery of all spans', async () => (await sink.account()).spans === sent)
    await collector.stop()
    return share
  } finally {
    sender.stop()
    sink.stop()
  }
}

/** The same of lines: it follows the file that the trainer writes. */
async function collectorLines(bench: Bench, round: number): Promise<number> {
  const sink = await startSink()
  const work = directory(bench, `collector-lines-${round}`)
  const file = join(work, 'lines.jsonl')
  const seconds = WARM_UP_SECONDS + secondsOf(bench) + 1
  const out = openSync(file, 'w')
  const command = [inBench('load/trainer.ts'), String(PER_SECOND), String(seconds)]
  const trainer = spawn(process.execPath, command, { stdio: ['ignore', out, 'inherit'] })
  try {
    const collector = await startCollector({
      command: bench.peers.path('collector'),
      work,
      sink: sink.url,
      queue: 'disk',
      file,
    })
    await sleep(WARM_UP_SECONDS * 1000)
    const share = await shareOf(collector.pid, secondsOf(bench))
    await until('delivery of all lines', async () => (await sink.account()).logs === PER_SECOND * seconds)
    await collector.stop()
    return share
  } finally {
    trainer.kill()
    closeSync(out)
    sink.stop()
  }
}

function directory(bench: Bench, name: string): string {
  const path = join(bench.work, name)
  mkdirSync(path)
  return path
}

/** What a bridge costs, and how fresh its points are, at a steady 10,000 a second. */
export const family: Family = {
  rows: [
    {
      id: 'share-lines',
      what: 'share of a core at 10,000 lines/s of 10 numbers, journaled and posted',
      against: 'Collector with file_storage at the same rate',
      unit: '%',
      goal: { atMost: 25 },
    },
    {
      id: 'share-spans',
      what: 'share of a core at 10,000 spans/s, journaled and sent on',
      against: 'Collector with file_storage at the same rate',
      unit: '%',
      goal: { atMost: 10 },
    },
    {
      id: 'age-p50',
      what: 'age of a point when it reaches the sink, at 10,000 lines/s, median',
      against: 'the time in its line; 50 points wait at any time, so no batch waits for its second',
      unit: 'ms',
      goal: { atMost: 60 },
    },
    { id: 'age-p99', what: 'the same, 99th percentile', against: 'the same', unit: 'ms', goal: { atMost: 250 } },
  ],
  async run(bench, wanted): Promise<Record<string, Measured>> {
    const needsLines = ['share-lines', 'age-p50', 'age-p99'].some((row) => wanted.has(row))
    const needsSpans = wanted.has('share-spans')
    let hasCollector = !bench.isQuick
    try {
      if (hasCollector) bench.peers.path('collector')
    } catch {
      hasCollector = false // the goals are shares of a core: they can do without
    }
    const found = await alternate(bench.isQuick ? 1 : bench.rounds, {
      lines: (round) => (needsLines ? lines(bench, round) : null),
      collectorLines: (round) => (hasCollector && wanted.has('share-lines') ? collectorLines(bench, round) : null),
      spans: (round) => (needsSpans ? spans(bench, round) : null),
      collectorSpans: (round) => (hasCollector && needsSpans ? collectorSpans(bench, round) : null),
    })
    const all = <T>(values: readonly (T | null)[]): T[] => values.filter((value) => value !== null)
    const beside = (values: readonly number[], theirs: readonly (number | null)[]): Measured =>
      hasCollector ? { values, ours: values, theirs: all(theirs), sideUnit: '%' } : { values }
    const ofLines = all(found.lines)
    return {
      'share-lines': beside(
        ofLines.map(({ share }) => share),
        found.collectorLines,
      ),
      'share-spans': beside(all(found.spans), found.collectorSpans),
      'age-p50': { values: ofLines.map(({ p50 }) => p50) },
      'age-p99': { values: ofLines.map(({ p99 }) => p99) },
    }
  },
}
