import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { demand, sleep, startDaemon, until } from '../harness/processes.ts'
import type { Bench, Family, Measured } from '../harness/row.ts'
import { alternate } from '../harness/statistics.ts'
import { startSender, startSink, type Sink } from '../load/parties.ts'
import { now } from '../load/sink.ts'
import { POINTS_A_SPAN } from '../load/spans.ts'
import { startCollector } from '../peers/collector.ts'

const PER_SECOND = 1000
const BEFORE_SECONDS = 3
const AFTER_SECONDS = 40
/** Longer outages and Collectors take minutes: this is enough of them. */
const MOST_ROUNDS = 3

interface Recovered {
  first: number
  drained: number
}

/** Sends at a steady rate through an outage; gives the seconds from the return of the sink to its first and its last missing span. */
async function outage(url: string, sink: Sink, seconds: number): Promise<Recovered & { sent: number }> {
  const sender = await startSender()
  try {
    const from = now()
    const spans = PER_SECOND * (BEFORE_SECONDS + seconds + 2)
    const sending = sender.send({ url, spans, perSecond: PER_SECOND, connections: 1 })
    await sleep(BEFORE_SECONDS * 1000)
    await sink.down()
    await sleep(seconds * 1000)
    const missing = (PER_SECOND * (now() - from)) / 1000
    const held = (await sink.account()).spans
    await sink.up()
    const back = now()
    const since = (): number => (now() - back) / 1000
    await until('a span after the outage', async () => (await sink.account()).spans > held, AFTER_SECONDS + 20)
    const first = since()
    await until(
      'the backlog of the outage',
      async () => (await sink.account()).spans >= missing - 512,
      AFTER_SECONDS + 20,
    )
    const drained = since()
    const { sent } = await sending
    await until('all spans', async () => (await sink.account()).spans >= sent, AFTER_SECONDS + 20)
    return { first, drained, sent }
  } finally {
    sender.stop()
  }
}

async function ours(bench: Bench, seconds: number, round: number): Promise<Recovered> {
  const sink = await startSink()
  try {
    const stateDir = join(bench.work, `state-${round}`)
    const daemon = await startDaemon(stateDir, ['--otlp-endpoint', sink.url])
    const { sent, ...recovered } = await outage(daemon.url, sink, seconds)
    await daemon.stop()
    demand(stateDir, { points: sent * POINTS_A_SPAN, spans: sent, isDelivered: true })
    return recovered
  } finally {
    sink.stop()
  }
}

async function theirs(bench: Bench, seconds: number, round: number): Promise<Recovered> {
  const work = join(bench.work, `collector-${round}`)
  mkdirSync(work)
  const command = bench.peers.path('collector')
  const sink = await startSink()
  try {
    const collector = await startCollector({ command, work, sink: sink.url, queue: 'disk' })
    const recovered = await outage(collector.url, sink, seconds)
    await collector.stop()
    return recovered
  } finally {
    sink.stop()
  }
}

/** The destination is away, its port closed, while spans go on coming. */
export const family: Family = {
  rows: [
    {
      id: 'back-first',
      what: 'first delivery after a dead destination is back',
      against: 'Collector with file_storage',
      unit: 's',
      goal: { atMost: 2 },
    },
    {
      id: 'back-drained',
      what: 'backlog of a 60 s outage at 1,000 spans/s drained',
      against: 'Collector with file_storage',
      unit: 's',
      goal: { atMost: 5 },
    },
  ],
  async run(bench): Promise<Record<string, Measured>> {
    const seconds = bench.isQuick ? 8 : 60
    let hasCollector = !bench.isQuick
    try {
      if (hasCollector) bench.peers.path('collector')
    } catch {
      hasCollector = false // the goal is in seconds: it can do without
    }
    const found = await alternate(bench.isQuick ? 1 : Math.min(MOST_ROUNDS, bench.rounds), {
      ours: (round) => ours(bench, seconds, round),
      theirs: (round) => (hasCollector ? theirs(bench, seconds, round) : null),
    })
    const measured = (of: (one: Recovered) => number): Measured => {
      const values = found.ours.map(of)
      const peer = found.theirs.filter((one) => one !== null).map(of)
      return {
        values,
        ...(peer.length === 0 ? {} : { ours: values, theirs: peer, sideUnit: 's' }),
        ...(bench.isQuick ? { note: `an outage of ${seconds} s` } : {}),
      }
    }
    return { 'back-first': measured(({ first }) => first), 'back-drained': measured(({ drained }) => drained) }
  },
}
