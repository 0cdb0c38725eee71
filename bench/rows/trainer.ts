import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startMlflow } from '../../test/support/mlflow.ts'
import { available } from '../harness/available.ts'
import { cleanEnv, demand, inBench, startDaemon, until } from '../harness/processes.ts'
import type { Bench, Family, Measured, Row } from '../harness/row.ts'
import { alternate, compared, median, quantile } from '../harness/statistics.ts'
import { startSender, startSink, type Sender } from '../load/parties.ts'
import { POINTS_A_SPAN } from '../load/spans.ts'
import type { PeerName } from '../peers/peers.ts'

const execute = promisify(execFile)

const NUMBERS = 10
/** Calls per second, where the client is fast enough for it. */
const RATE = 1000
/** What the bridge reads besides. */
const FULL_LOAD = 10_000
/** A trainer that writes as fast as the bridge is measured at. */
const WRITES_PER_SECOND = 10_000
const MOST_ROUNDS = 3

/** `pipe`: its lines go to the bridge; `otlp`: its spans; `own`: it has a way of its own. */
interface Client {
  id: string
  what: string
  peer?: PeerName
  to: 'pipe' | 'otlp' | 'own'
  /** A call that waits for a server: fewer do. */
  isSlow?: boolean
  command(bench: Bench, address: string, mlflow: string, calls: number, told: string): string[]
}

const python =
  (peer: PeerName, client: string, needsMlflow = false): Client['command'] =>
  (bench, address, mlflow, calls, told) => [
    bench.peers.path(peer),
    inBench('trainers/trainer.py'),
    client,
    String(calls),
    String(RATE),
    told,
    `${told}.work`,
    needsMlflow ? mlflow : address,
  ]

const node =
  (client: 'pino' | 'otlp'): Client['command'] =>
  (bench, address, _mlflow, calls, told) => [
    process.execPath,
    inBench('trainers/trainer.ts'),
    client,
    String(calls),
    String(RATE),
    told,
    client === 'pino' ? bench.peers.path('pino') : address,
  ]

const CLIENTS: readonly Client[] = [
  {
    id: 'trainer-rust',
    what: 'JSON line from Rust (tracing-subscriber)',
    peer: 'rust',
    to: 'pipe',
    command: (bench, _address, _mlflow, calls, told) => [bench.peers.path('rust'), String(calls), String(RATE), told],
  },
  {
    id: 'trainer-python',
    what: 'JSON line from Python (json, print)',
    peer: 'python',
    to: 'pipe',
    command: python('python', 'line'),
  },
  { id: 'trainer-pino', what: 'JSON line from Node.js (pino)', peer: 'pino', to: 'pipe', command: node('pino') },
  {
    id: 'trainer-otlp-python',
    what: 'OTLP span from the Python SDK',
    peer: 'trackers',
    to: 'otlp',
    command: python('trackers', 'otlp'),
  },
  { id: 'trainer-otlp-node', what: 'OTLP span from the JavaScript SDK', to: 'otlp', command: node('otlp') },
  {
    id: 'trainer-mlflow-sync',
    what: 'mlflow.log_metrics',
    peer: 'mlflow',
    to: 'own',
    isSlow: true,
    command: python('mlflow', 'mlflow-sync', true),
  },
  {
    id: 'trainer-mlflow-async',
    what: 'mlflow.log_metrics(synchronous=False)',
    peer: 'mlflow',
    to: 'own',
    isSlow: true,
    command: python('mlflow', 'mlflow-async', true),
  },
  {
    id: 'trainer-wandb',
    what: 'wandb.log, offline',
    peer: 'trackers',
    to: 'own',
    command: python('trackers', 'wandb'),
  },
  {
    id: 'trainer-tensorboard',
    what: 'TensorBoard, 10 add_scalar',
    peer: 'trackers',
    to: 'own',
    command: python('trackers', 'tensorboard'),
  },
  {
    id: 'trainer-tensorboardx',
    what: 'tensorboardX, 10 add_scalar',
    peer: 'trackers',
    to: 'own',
    command: python('trackers', 'tensorboardx'),
  },
]

const P999: Row = {
  id: 'trainer-p999',
  what: 'a line into the pipe of a busy bridge, 10,000 lines/s, 99.9th percentile of the writes',
  against: 'cat as the reader',
  unit: 'x',
  goal: { atMost: 3 },
  peer: 'python',
}

const durationsIn = (file: string): number[] => JSON.parse(readFileSync(file, 'utf8')) as number[]

/** Somebody else who keeps the bridge busy: 10,000 spans a second, until it is ended. */
class FullLoad {
  #isOver = false
  readonly #sent: Promise<number>

  constructor(sender: Sender, url: string) {
    this.#sent = this.#send(sender, url)
    this.#sent.catch(() => {}) // told by `end`
  }

  /** How many spans it was. */
  end(): Promise<number> {
    this.#isOver = true
    return this.#sent
  }

  async #send(sender: Sender, url: string): Promise<number> {
    let sent = 0
    while (!this.#isOver) sent += (await sender.send({ url, spans: FULL_LOAD, perSecond: FULL_LOAD })).sent
    return sent
  }
}

/** The input stays open until the load has ended: its end would be that of the daemon. */
const LINGER = '"$@"; sleep 2'

/** Durations of the calls of one client, in microseconds, while a bridge takes 10,000 spans a second. */
async function calls(bench: Bench, client: Client, mlflow: string, round: number): Promise<number[]> {
  const count = client.isSlow === true ? (bench.isQuick ? 20 : 200) : bench.isQuick ? 1000 : 5000
  const stateDir = join(bench.work, `${client.id}-${round}`)
  const told = join(bench.work, `${client.id}-${round}.json`)
  mkdirSync(`${told}.work`)
  const sink = await startSink()
  const sender = await startSender()
  try {
    const destinations = ['--mlflow-tracking-uri', sink.url, '--otlp-endpoint', sink.url]
    const stdin = ['sh', '-c', LINGER, 'sh', ...client.command(bench, '', mlflow, count, told)]
    const daemon = await startDaemon(stateDir, destinations, client.to === 'pipe' ? { stdin } : {})
    const load = new FullLoad(sender, daemon.url)
    if (client.to === 'pipe') await until('end of the trainer', () => hasFile(told))
    else {
      const [command, ...args] = client.command(bench, daemon.url, mlflow, count, told)
      // Trackers read more of the environment than we would give them.
      await execute(command!, args, { env: { ...process.env, ...cleanEnv() } })
    }
    const sent = await load.end()
    await daemon.stop()
    const own = { pipe: count * NUMBERS, otlp: count * POINTS_A_SPAN, own: 0 }[client.to]
    const runs = demand(stateDir, { isDelivered: true })
    const [points, expected] = [runs.reduce((sum, run) => sum + run.journaled.points, 0), own + sent * POINTS_A_SPAN]
    if (points !== expected) throw new Error(`expected ${expected} points in the journal, got ${points}`)
    return durationsIn(told)
  } finally {
    sender.stop()
    sink.stop()
  }
}

function hasFile(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').endsWith(']')
  } catch {
    return false
  }
}

/** 99.9th percentile of writes into the pipe of a bridge and into that of `cat`, in turns of half a second. */
async function writes(bench: Bench, round: number): Promise<{ bridge: number; cat: number }> {
  const turns = bench.isQuick ? 5 : 21
  const told = join(bench.work, `writes-${round}.json`)
  const stdin = [
    bench.peers.path('python'),
    inBench('trainers/writes.py'),
    String(turns),
    String(WRITES_PER_SECOND),
    told,
  ]
  const sink = await startSink()
  try {
    const stateDir = join(bench.work, `writes-${round}`)
    const daemon = await startDaemon(stateDir, ['--mlflow-tracking-uri', sink.url], { stdin })
    await daemon.stop()
    demand(stateDir, { points: (turns * WRITES_PER_SECOND * NUMBERS) / 2, isDelivered: true })
    const { out, cat } = JSON.parse(readFileSync(told, 'utf8')) as Record<'out' | 'cat', number[]>
    return { bridge: quantile(out, 0.999), cat: quantile(cat, 0.999) }
  } finally {
    sink.stop()
  }
}

const rowOf = ({ id, what, peer }: Client): Row => ({
  id,
  what: `training loop, 10 numbers: ${what}`,
  against: 'its neighbours',
  unit: 'us',
  goal: null,
  ...(peer === undefined ? {} : { peer }),
})

/** What the training loop pays for a step of 10 numbers, with a bridge at full load on the same machine. */
export const family: Family = {
  rows: [P999, ...CLIENTS.map(rowOf)],
  async run(bench, wanted): Promise<Record<string, Measured | Error>> {
    const found: Record<string, Measured | Error> = {}
    const rounds = bench.isQuick ? 1 : Math.min(MOST_ROUNDS, bench.rounds)
    if (wanted.has(P999.id)) {
      try {
        const { found: pairs } = await alternate(bench.rounds, { found: (round) => writes(bench, round) })
        const [bridge, cat] = [pairs.map((pair) => pair.bridge), pairs.map((pair) => pair.cat)]
        found[P999.id] = compared(bridge, cat, 'us')
      } catch (error) {
        found[P999.id] = error as Error
      }
    }
    const clients = available(CLIENTS, bench, wanted, found)
    const needsMlflow = clients.some(({ peer }) => peer === 'mlflow')
    const mlflow = needsMlflow ? await startMlflow() : null
    try {
      const all: Record<string, number[][]> = {}
      for (let round = 0; round < rounds; round += 1)
        for (const client of round % 2 === 0 ? clients : clients.toReversed()) {
          if (found[client.id] instanceof Error) continue
          try {
            ;(all[client.id] ??= []).push(await calls(bench, client, mlflow?.url ?? '', round))
          } catch (error) {
            found[client.id] = error as Error
          }
        }
      for (const [id, durations] of Object.entries(all)) {
        if (found[id] instanceof Error) continue
        const of = (q: number): string => median(durations.map((one) => quantile(one, q))).toFixed(0)
        const values = durations.map((one) => one.reduce((sum, us) => sum + us, 0) / one.length)
        found[id] = { values, note: `mean; p50 ${of(0.5)}, p99 ${of(0.99)}, slowest ${of(1)} us` }
      }
      return found
    } finally {
      await mlflow?.stop()
    }
  },
}
