import { once } from 'node:events'
import { join } from 'node:path'
import { cpuSeconds, demand, inBench, piped, startDaemon, until, type Daemon } from '../harness/processes.ts'
import type { Bench, Family, Measured } from '../harness/row.ts'
import { alternate, compared, median } from '../harness/statistics.ts'
import { lineAt, NUMBERS, writeLines } from '../load/lines.ts'
import { startSender, startSink, type Sink } from '../load/parties.ts'
import { POINTS_A_SPAN, SPANS_A_REQUEST } from '../load/spans.ts'

/** Key sets of 40 that take turns, for 10,000 series. */
const GROUPS = 250
const RUNS = 64
/** Each costs a minute or more. */
const MOST_ROUNDS = 3

/** Microseconds of processor time per point. */
const perPoint = (cpu: number, points: number): number => (cpu * 1e6) / points

/** Writes lines into a daemon and waits until the sink has them; gives the processor time per point. */
class Feed {
  readonly #daemon: Daemon
  readonly #sink: Sink
  readonly #groups: number
  #lines = 0

  constructor(daemon: Daemon, sink: Sink, groups = 1) {
    this.#daemon = daemon
    this.#sink = sink
    this.#groups = groups
  }

  get points(): number {
    return this.#lines * NUMBERS
  }

  async lines(count: number): Promise<number> {
    const before = cpuSeconds(this.#daemon.pid)
    for (const end = this.#lines + count; this.#lines < end;) {
      let text = ''
      for (const stop = Math.min(end, this.#lines + 500); this.#lines < stop; this.#lines += 1)
        text += lineAt(this.#lines, Date.now(), this.#groups)
      if (!this.#daemon.stdin!.write(text)) await once(this.#daemon.stdin!, 'drain')
    }
    await until('delivery of all points', async () => (await this.#sink.account()).points >= this.points)
    return perPoint(cpuSeconds(this.#daemon.pid) - before, count * NUMBERS)
  }
}

async function fed<T>(bench: Bench, name: string, groups: number, work: (feed: Feed) => Promise<T>): Promise<T> {
  const stateDir = join(bench.work, name)
  const sink = await startSink()
  try {
    const daemon = await startDaemon(stateDir, ['--mlflow-tracking-uri', sink.url], { stdin: 'pipe' })
    const feed = new Feed(daemon, sink, groups)
    const result = await work(feed)
    await daemon.stop()
    demand(stateDir, { points: feed.points, isDelivered: true })
    return result
  } finally {
    sink.stop()
  }
}

/** One long run: the cost of its last points, and that of its first behind the warming up. */
async function longRun(bench: Bench, round: number): Promise<{ first: number; last: number }> {
  const slice = bench.isQuick ? 30_000 : 100_000
  return fed(bench, `long-${round}`, 1, async (feed) => {
    await feed.lines(10_000)
    const first = await feed.lines(slice)
    for (let i = 0; i < 8; i += 1) await feed.lines(slice)
    return { first, last: await feed.lines(slice) }
  })
}

const manySeries = (bench: Bench, round: number, groups: number): Promise<number> =>
  fed(bench, `series-${groups}-${round}`, groups, async (feed) => {
    await feed.lines(20_000)
    return feed.lines(bench.isQuick ? 50_000 : 100_000)
  })

/** The same for the bare chain: what the parser of lines pays for many shapes is none of ours. */
async function bareRatio(bench: Bench): Promise<number> {
  const lines = bench.isQuick ? 50_000 : 100_000
  const [few, many] = [join(bench.work, 'few.jsonl'), join(bench.work, 'many.jsonl')]
  await writeLines(few, lines)
  await writeLines(many, lines, GROUPS * 40)
  const bare = (file: string) => () => piped(file, [process.execPath, inBench('load/parse-chain.ts')]).cpuSeconds
  const found = await alternate(3, { few: bare(few), many: bare(many) })
  return median(found.many) / median(found.few)
}

async function manyRuns(bench: Bench, round: number, instances: number): Promise<number> {
  const stateDir = join(bench.work, `runs-${instances}-${round}`)
  const sink = await startSink()
  const sender = await startSender()
  try {
    const daemon = await startDaemon(stateDir, ['--mlflow-tracking-uri', sink.url, '--no-mlflow-traces'])
    const { url, pid } = daemon
    let points = 0
    const send = async (requests: number): Promise<number> => {
      const before = cpuSeconds(pid)
      const { sent } = await sender.send({ url, spans: requests * SPANS_A_REQUEST, instances })
      points += sent * POINTS_A_SPAN
      await until('delivery of all points', async () => (await sink.account()).points >= points)
      return perPoint(cpuSeconds(pid) - before, sent * POINTS_A_SPAN)
    }
    // What V8 has yet to compile, and the making of the runs, are costs of the start.
    await send(RUNS * (bench.isQuick ? 1 : 3))
    const cost = await send(RUNS * (bench.isQuick ? 2 : 12))
    await daemon.stop()
    demand(stateDir, { points, isDelivered: true })
    return cost
  } finally {
    sender.stop()
    sink.stop()
  }
}

/** Whether a point costs the same when there are many: processor time per point, delivered. */
export const family: Family = {
  rows: [
    {
      id: 'growth-points',
      what: 'cost of a point at 10,000,000 points in one run',
      against: 'the first million of the same run, behind the first 100,000',
      unit: 'x',
      goal: { atMost: 1.2 },
    },
    {
      id: 'growth-series',
      what: 'cost of a point with 10,000 series',
      against: '40 series',
      unit: 'x',
      goal: { atMost: 1.2 },
    },
    { id: 'growth-runs', what: 'cost of a point with 64 runs', against: 'one run', unit: 'x', goal: { atMost: 1.2 } },
  ],
  async run(bench, wanted): Promise<Record<string, Measured>> {
    const rounds = bench.isQuick ? 1 : Math.min(MOST_ROUNDS, bench.rounds)
    const unit = 'us a point'
    const found: Record<string, Measured> = {}
    if (wanted.has('growth-points')) {
      const { runs } = await alternate(rounds, { runs: (round) => longRun(bench, round) })
      const note = bench.isQuick ? '3,000,000 points' : undefined
      found['growth-points'] = compared(
        runs.map(({ last }) => last),
        runs.map(({ first }) => first),
        unit,
        note,
      )
    }
    if (wanted.has('growth-series')) {
      const { many, few } = await alternate(rounds, {
        many: (round) => manySeries(bench, round, GROUPS),
        few: (round) => manySeries(bench, round, 1),
      })
      const note = `the bare chain of cutting, parsing and columns: ${(await bareRatio(bench)).toFixed(2)}x`
      found['growth-series'] = compared(many, few, unit, note)
    }
    if (wanted.has('growth-runs')) {
      const { many, one } = await alternate(rounds, {
        many: (round) => manyRuns(bench, round, RUNS),
        one: (round) => manyRuns(bench, round, 1),
      })
      found['growth-runs'] = compared(many, one, unit)
    }
    return found
  },
}
