/**
 * A tracker that takes a third of what comes, for an hour, and then what has waited; in virtual time:
 *
 *     node test/long/slow-tracker.ts --hours 1 [--serves 500] [--times 3] [--seed 1]
 *
 * The real delivery thread, journal and MLflow exporter, as in `test/simulation`. What waits is in the journal and not in
 * memory; once the input has ended it is delivered as fast as the server takes it, all of it and nothing twice.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { CHUNK_POINTS, columnsOf, POINT_BYTES } from '../../src/channel/chunk.ts'
import type { RunMessage, RunStart } from '../../src/channel/messages.ts'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { sizeOf } from '../../src/journal/room.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, NUMBERS, POINTS } from '../../src/telemetry/counters.ts'
import { Disk } from '../simulation/disk.ts'
import { Network, type Answer, type Request } from '../simulation/network.ts'
import { Process } from '../simulation/process.ts'
import { Random } from '../simulation/random.ts'
import { Time } from '../simulation/time.ts'
import { Trainer } from '../simulation/trainer.ts'
import { ColumnModel } from '../support/column-model.ts'
import { Checksum, keysOf, valueAt } from '../support/written.ts'
import { judge, printTable, shown } from './parts.ts'

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '1' },
    serves: { type: 'string', default: '500' },
    times: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
  },
})
const INPUT_MS = Number(values.hours) * 3_600_000
/** Points a second that the server takes, and what it needs for a request beside. */
const SERVES = Number(values.serves)
const REQUEST_MS = 5
/** Points a second that come, in pieces. */
const COMES = SERVES * Number(values.times)
const PIECE_MS = 100
const KEYS = keysOf(3)
const STEPS = Math.round((COMES * PIECE_MS) / 1000 / KEYS.length)
const SAMPLES = 12
/** Of what the server can take. */
const MIN_SHARE = 0.9
/** For everything that does not grow with what waits: a batch, the block it is read from, requests. */
const MAX_GROWTH_MB = 8
const HOST = 'mlflow.test'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const directory = mkdtempSync(join(tmpdir(), 'spanbridge-slow-'))
const stateDir = join(directory, 'state')
mkdirSync(stateDir)
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

const random = new Random(Number(values.seed))
const time = new Time(random)
const model = new ColumnModel()
let requests = 0
/** How long the server was at work. */
let busyMs = 0

function serve({ path, method, body }: Request): Answer {
  if (path === '/version') return { status: 200, type: 'text/plain', body: model.version }
  const url = new URL(path, `http://${HOST}`)
  const before = model.points + model.repeats + model.doubled
  const { status, json } = model.answer({
    path: url.pathname.replace('/api/2.0/mlflow/', ''),
    body: method === 'GET' ? Object.fromEntries(url.searchParams) : JSON.parse(body as string),
  })
  const points = model.points + model.repeats + model.doubled - before
  const ms = REQUEST_MS + (points * 1000) / SERVES
  requests += 1
  busyMs += ms
  return { status, type: 'application/json', body: JSON.stringify(json), ms }
}

const run: RunStart = {
  run: '01SLOW',
  identity: null,
  trackerRun: null,
  name: 'slow',
  source: 'stdin',
  directory: '/nowhere',
  command: [],
  startedAt: time.date(),
  params: [],
  tags: [],
}
const path = join(stateDir, `${run.run}.sqlite`)
const trainer = new Trainer(0, run, random)
const { settings } = loadSettings(readFlags(['--mlflow-tracking-uri', `http://${HOST}`, '--wait'], false), {})
const daemon = new Process({
  time,
  random,
  disk: new Disk(time, random),
  network: new Network(time, random, serve),
  settings,
  batch: 1000,
  stateDir,
  trace: () => {},
  trainerOf: () => trainer,
})

let step = 0
const checksums = KEYS.map(() => new Checksum())

/** The next steps of all series, as one chunk. */
function piece(): RunMessage {
  const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
  const columns = columnsOf(buffer, CHUNK_POINTS)
  const count = STEPS * KEYS.length
  for (let i = 0; i < count; i += 1) {
    const series = i % KEYS.length
    const value = valueAt(series, step)
    columns.value[i] = value
    columns.step[i] = step
    columns.time[i] = time.date()
    columns.series[i] = series
    checksums[series]!.add(step, value)
    if (series === KEYS.length - 1) step += 1
  }
  const counts = new Float64Array(COUNTERS.length)
  counts[NUMBERS] = count
  counts[POINTS] = count
  return { kind: 'points', buffer, count, counts }
}

function feed(): void {
  if (time.now >= INPUT_MS) return
  daemon.say(trainer, [piece()], false)
  time.after(PIECE_MS, feed, daemon.life)
}

interface Sample {
  /** Virtual minutes. */
  at: number
  pending: number
  /** MB. */
  journal: number
  memory: number
  rss: number
}

function sample(): Sample {
  // Buffers are freed beside the program; the second one waits until they are.
  collect()
  collect()
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
  const { pending } = readJournal(path).destinations[0]!.points
  const memory = (heapUsed + arrayBuffers - model.bytes) / 1e6
  return { at: time.now / 60_000, pending, journal: sizeOf(path) / 1e6, memory, rss: rss / 1e6 }
}

/** Runs the clock on to `until`, looking `SAMPLES` times, or until the process has ended. */
async function watch(until: number): Promise<Sample[]> {
  const samples: Sample[] = []
  const piece = (until - time.now) / SAMPLES
  while (time.now < until && daemon.outcome === null) {
    await time.run(() => daemon.outcome !== null, Math.min(until, time.now + piece))
    samples.push(sample())
  }
  return samples
}

console.log(
  `${shown(COMES)} points a second come, ${shown(SERVES)} are taken, for ${values.hours} h; seed ${values.seed}`,
)
const began = Date.now()
time.install()
await time.enter(daemon.life, () => {
  daemon.begin({ start: run, resume: null })
})
await time.run(() => daemon.isReady && daemon.runs.length > 0, 1000)
await time.enter(daemon.life, () => {
  daemon.say(
    trainer,
    KEYS.map((key, id) => ({ kind: 'series', id, key })),
    false,
  )
  feed()
})
const input = await watch(INPUT_MS)
const atEnd = { now: time.now, busyMs, points: model.points }
await time.enter(daemon.life, () => {
  daemon.say(trainer, [{ kind: 'end', status: 'FINISHED', time: time.date() }], false)
  daemon.post({ kind: 'finish', limitMs: null })
})
const drain = await watch(INPUT_MS * (1 + 2 * Number(values.times)))
time.uninstall()

const all = [...input, ...drain]
const waited = Math.max(...input.map(({ pending }) => pending))
const growth =
  Math.max(...all.filter(({ pending }) => pending > waited / 2).map(({ memory }) => memory)) -
  Math.min(...all.map(({ memory }) => memory))

printTable([
  ['minute', 'waiting', 'journal MB', 'memory MB', 'resident MB'],
  ...all.map(({ at, pending, journal, memory, rss }) => [shown(at), pending, journal, memory, rss]),
])
const written = step * KEYS.length
const status = readJournal(path)
const { points } = status.destinations[0]!
const seconds = (time.now - atEnd.now) / 1000
const rate = (model.points - atEnd.points) / seconds
const could = (model.points - atEnd.points) / ((busyMs - atEnd.busyMs) / 1000)
console.log(
  `${shown(written)} points in ${shown(requests)} requests; ${shown(waited)} waited (${shown((waited * POINT_BYTES) / 1e6)} MB); ${shown((Date.now() - began) / 1000)} s of real time`,
)
const expected = checksums.map((checksum) => checksum.toJSON()).join()
judge([
  [daemon.outcome?.complete === true, `all is delivered at the end: ${JSON.stringify(daemon.outcome)}`],
  [waited > written / 2, `most of it had to wait: ${shown(waited)} of ${shown(written)} points`],
  [
    growth <= MAX_GROWTH_MB,
    `what waits is not in memory: of ${shown((waited * POINT_BYTES) / 1e6)} MB ${shown(growth)} at most`,
  ],
  [daemon.buffers === 0, `all buffers of points have come back: ${daemon.buffers} have not`],
  [
    atEnd.busyMs >= atEnd.now * MIN_SHARE,
    `while there is input the server is at work ${shown((atEnd.busyMs / atEnd.now) * 100)} % of the time`,
  ],
  [
    rate >= could * MIN_SHARE,
    `what has waited is delivered at the server's own rate: ${shown(rate)} of ${shown(could)} points a second`,
  ],
  [
    points.delivered === written && points.pending + points.evicted + points.rejected === 0,
    `all of it counts as delivered: ${shown(points.delivered)}`,
  ],
  [
    model.points === written && model.doubled + model.repeats === 0,
    `the tracker has all of it, once: ${shown(model.points)}, ${model.repeats + model.doubled} came again`,
  ],
  [KEYS.map((key) => model.checksum(key).toJSON()).join() === expected, `count and checksum of each key: ${expected}`],
])
