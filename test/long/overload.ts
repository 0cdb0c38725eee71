/**
 * A trainer writes ten times what the disk under the journal can take, into the real daemon:
 *
 *     node test/long/overload.ts --minutes 3 [--times 10] [--disk-kb 500]
 *
 * The disk is slowed down from outside (`processes/slow-disk.ts`). Once a million points wait for it, the newest ones are
 * dropped and counted: memory is bounded, what is missing is what was counted, and the trainer writes as fast as into
 * `cat`, which the same run measures before and after.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { POINT_BYTES } from '../../src/channel/chunk.ts'
import { readJournal, type RunStatus } from '../../src/journal/status.ts'
import { Checksum, keysOf, valueAt } from '../support/written.ts'
import type { Report, TrackerReport } from './messages.ts'
import {
  journaled,
  journalPath,
  judge,
  median,
  Pipe,
  printTable,
  shown,
  sizeOfProcess,
  startDaemon,
  Tracker,
  train,
  trainIntoCat,
  whileAlive,
  whenReady,
  writesOf,
} from './parts.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    times: { type: 'string', default: '10' },
    'disk-kb': { type: 'string', default: '500' },
  },
})
const SECONDS = Number(values.minutes) * 60
const TIMES = Number(values.times)
const DISK_BYTES = Number(values['disk-kb']) * 1000
/** In an event; many, for it is points that the journal has to take. */
const NUMBERS = 20
const RATE = Math.round((DISK_BYTES * TIMES) / POINT_BYTES / NUMBERS)
/** Points that may wait for the journal: `channel.capacity`. */
const CAPACITY = 1_000_000
/** For `cat`, before and after. */
const CAT_SECONDS = Math.min(30, SECONDS / 2)
const SAMPLE_MS = 1000
/** The pool is drained at the disk's rate, and with it what is delivered. */
const DRAIN_MS = 60_000 + ((CAPACITY * POINT_BYTES) / DISK_BYTES) * 3000

/** Two threads of Node.js, the pool, and what garbage collectors let lie. */
const MAX_RSS_MB = 450
/** Of its events the trainer gets so many out in time. */
const MIN_RATE = 0.99
/** Beside `cat`: two processors have more to do, which shows where a write has to wait for one of them. */
const MAX_P50 = 2
const MAX_P99_US = 2000

const directory = mkdtempSync(join(tmpdir(), 'spanbridge-overload-'))
const stateDir = join(directory, 'state')
mkdirSync(stateDir)
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

const pace = { rate: RATE, seconds: SECONDS, numbers: NUMBERS }
const intoCat = (name: string): Promise<Report> =>
  trainIntoCat(join(directory, name), { ...pace, seconds: CAT_SECONDS })

interface Bridged {
  report: Report
  status: RunStatus
  held: TrackerReport
  rss: number[]
  code: number | null
  said: string
}

async function trainIntoBridge(): Promise<Bridged> {
  const tracker = await Tracker.start(0)
  const pipe = new Pipe(join(directory, 'pipe'))
  const preload = fileURLToPath(new URL('processes/slow-disk.ts', import.meta.url))
  const env = { NODE_OPTIONS: `--import ${preload}`, SLOW_DISK_BYTES: String(DISK_BYTES) }
  const daemon = pipe.give('read', (input) => startDaemon({ stateDir, url: tracker.url, input, env }))
  await whenReady(stateDir, daemon.pid, AbortSignal.timeout(30_000))
  const rss: number[] = []
  const sampling = setInterval(() => rss.push(sizeOfProcess(daemon.pid).rss), SAMPLE_MS)
  void daemon.exited.then(() => clearInterval(sampling))
  const report = await whileAlive(
    daemon,
    pipe.give('write', (fd) => train(fd, pace)),
  )
  pipe.close()
  const code = await Promise.race([daemon.exited, sleep(DRAIN_MS, null, { ref: false })])
  clearInterval(sampling)
  daemon.process.kill('SIGKILL')
  const held = await tracker.report(NUMBERS, report.events)
  tracker.close()
  return { report, status: readJournal(journalPath(stateDir)!), held, rss, code, said: daemon.said() }
}

/** What the journal holds of each key, and whether each point is one that was written, in order. */
function readAll(): { checksums: string[]; count: number; strange: number } {
  const keys = keysOf(NUMBERS)
  const of = new Map(keys.map((key, number) => [key, { number, last: -1, sum: new Checksum() }]))
  let count = 0
  let strange = 0
  for (const { key, step, value } of journaled(journalPath(stateDir)!)) {
    const series = of.get(key)
    count += 1
    if (series === undefined || step <= series.last || value !== valueAt(series.number, step)) strange += 1
    series?.sum.add(step, value)
    if (series !== undefined) series.last = step
  }
  return { checksums: keys.map((key) => of.get(key)!.sum.toJSON()), count, strange }
}

console.log(
  `a disk of ${shown(DISK_BYTES / 1000)} kB a second; ${shown(RATE)} events a second of ${NUMBERS} numbers, ${TIMES} times what it takes, for ${SECONDS} s`,
)
const before = await intoCat('cat')
const { report, status, held, rss, code, said } = await trainIntoBridge()
const after = await intoCat('cat-again')
const kept = readAll()

printTable(writesOf({ cat: before, spanbridge: report, 'cat again': after }))
const written = report.events * NUMBERS
const dropped = status.dropped['channel_full']!
const { points } = status.destinations[0]!
printTable([
  ['points written', written],
  ['received', status.points],
  ['dropped: channel_full', dropped],
  ['journaled', status.journaled.points],
  ['delivered', points.delivered],
  ['MB of memory, at most', Math.max(...rss)],
  ['MB, in the median', median(rss)],
])
const p50 = Math.max(before.p50, after.p50)
const isOk = judge([
  [code === 0, `the daemon ends with 0: ${code}`],
  [dropped > 0, `more came than could be taken: ${shown(dropped)} points are dropped`],
  [
    status.received.numbers === written && status.points === written,
    `all that was written is received: ${shown(status.received.numbers)}`,
  ],
  [
    status.journaled.points + dropped === written,
    `what is missing was counted: ${shown(written - status.journaled.points)}`,
  ],
  [
    Object.values(status.dropped).reduce((a, b) => a + b) === dropped,
    `for one reason: ${JSON.stringify(status.dropped)}`,
  ],
  [
    kept.count === status.journaled.points && kept.strange === 0,
    `the journal holds them: ${shown(kept.count)}, ${kept.strange} strange`,
  ],
  [held.points === kept.count && held.doubled === 0, `the tracker, too: ${shown(held.points)}, ${held.doubled} twice`],
  [held.checksums.join() === kept.checksums.join(), `by count and checksum of each key: ${kept.checksums[0]}, ...`],
  [
    points.delivered === kept.count && points.pending + points.evicted + points.rejected === 0,
    'all of it counts as delivered',
  ],
  [Math.max(...rss) <= MAX_RSS_MB, `memory is bounded by ${MAX_RSS_MB} MB: ${shown(Math.max(...rss))}`],
  [
    report.events / report.seconds >= RATE * MIN_RATE,
    `the trainer keeps its pace: ${shown(report.events / report.seconds)} of ${shown(RATE)} events a second`,
  ],
  [report.p50 <= p50 * MAX_P50, `p50 of its writes is within ${MAX_P50} times that with cat`],
  [report.p99 <= MAX_P99_US, `p99 is within ${shown(MAX_P99_US)} microseconds`],
])
if (!isOk) console.log(said)
