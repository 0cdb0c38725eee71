import { join } from 'node:path'
import { demand, startDaemon, until } from '../harness/processes.ts'
import type { Bench, Family, Measured } from '../harness/row.ts'
import { alternate } from '../harness/statistics.ts'
import { startSender, startSink } from '../load/parties.ts'
import { POINTS_A_SPAN, SPANS_A_REQUEST } from '../load/spans.ts'

const ROUND_TRIP_MS = 50
const RUNS = 4
const POINTS_A_TRIP = 1000

/** Points per second that arrive, of a backlog of all runs, as a share of the most that one request in flight per run allows. */
async function measure(bench: Bench, round: number): Promise<{ rate: number; ideal: number }> {
  const stateDir = join(bench.work, `state-${round}`)
  const sink = await startSink(ROUND_TRIP_MS)
  const sender = await startSender()
  try {
    await sink.down()
    const daemon = await startDaemon(stateDir, ['--mlflow-tracking-uri', sink.url, '--no-mlflow-traces'])
    const { sent } = await sender.send({
      url: daemon.url,
      spans: SPANS_A_REQUEST * RUNS * (bench.isQuick ? 10 : 40),
      instances: RUNS,
    })
    const points = sent * POINTS_A_SPAN
    await sink.up()
    await until('delivery of all points', async () => (await sink.account()).points >= points)
    const { firstAt, lastAt, points: taken } = await sink.account()
    if (taken !== points) throw new Error(`expected ${points} points at the sink, got ${taken}`)
    await daemon.stop()
    const runs = demand(stateDir, { points, isDelivered: true })
    if (runs.length !== RUNS) throw new Error(`expected ${RUNS} runs, got ${runs.length}`)
    return { rate: (points * 1000) / (lastAt! - firstAt!), ideal: (RUNS * POINTS_A_TRIP * 1000) / ROUND_TRIP_MS }
  } finally {
    sender.stop()
    sink.stop()
  }
}

/** A server far away: what counts is that no round trip is wasted. */
export const family: Family = {
  rows: [
    {
      id: 'round-trip',
      what: 'delivery of 4 runs through a round trip of 50 ms, points per second',
      against: 'the ideal of 1,000 a trip and run',
      unit: '%',
      goal: { atLeast: 90 },
    },
  ],
  async run(bench): Promise<Record<string, Measured>> {
    const { found } = await alternate(bench.rounds, { found: (round) => measure(bench, round) })
    return {
      'round-trip': {
        values: found.map(({ rate, ideal }) => (100 * rate) / ideal),
        ours: found.map(({ rate }) => rate),
        theirs: found.map(({ ideal }) => ideal),
        sideUnit: 'points/s',
      },
    }
  },
}
