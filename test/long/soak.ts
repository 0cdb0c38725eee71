/**
 * A trainer writes into the daemon for a long time while one thing after another goes wrong, and the daemon is watched:
 *
 *     node test/long/soak.ts --minutes 30 --rate 5000 [--numbers 3] [--spans 100] [--journal-mb 64] [--kills] [--seed N]
 *
 * The seed, which is printed, decides what goes wrong and when: the server is away, hangs, is slow, refuses (429, 500,
 * 503), its answers are lost or break off after it has stored; with `--kills` the daemon is killed as well, and goes on.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { sizeOf } from '../../src/journal/room.ts'
import { readJournal, type RunStatus } from '../../src/journal/status.ts'
import { Random } from '../simulation/random.ts'
import { Checksum, valueAt } from '../support/written.ts'
import { WEATHERS, type Progress, type Report, type Weather } from './messages.ts'
import {
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
  whenReady,
  writesOf,
  type Daemon,
  type Size,
} from './parts.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '5000' },
    numbers: { type: 'string', default: '3' },
    /** Every so many events there is a span. */
    spans: { type: 'string', default: '100' },
    'journal-mb': { type: 'string', default: '64' },
    kills: { type: 'boolean', default: false },
    seed: { type: 'string' },
  },
})
const SECONDS = Number(values.minutes) * 60
const RATE = Number(values.rate)
const NUMBERS = Number(values.numbers)
const SPANS = Number(values.spans)
const JOURNAL_BYTES = Number(values['journal-mb']) * 1e6
const SEED = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed)

/** How often the daemon is looked at; more often in a short run. */
const SAMPLE_MS = Math.min(10_000, (SECONDS * 1000) / 60)
/** What goes wrong takes so long, and so long all is well; together with the pauses of a suspended destination far less than the journal holds. */
const FAULT_MS = [500, 15_000] as const
const FAIR_MS = [3000, 15_000] as const
/** The beginning, in which Node.js takes the memory that it goes on to use, is no part of the trend. */
const WARM_UP = Math.min(120, SECONDS / 2)
/** Of the times when something else goes wrong, the daemon is killed in so many. */
const KILLS = 0.5
/** What may be lost when the daemon is killed: what was written this long before, as README says. */
const SAFE_MS = 250
/** The writes of the same trainer into `cat`, beforehand. */
const CAT_SECONDS = Math.min(20, SECONDS / 4)
/** What a pipe holds at most, which the trainer may have written since it last told how far it was. */
const PIPE_EVENTS = 1100
/** For what is left once the trainer has ended. */
const DRAIN_MS = 180_000

/** Between the first and the last quarter, memory may grow by this share and so many MB, which is what a collection leaves to chance. */
const RSS_SHARE = 1.1
const RSS_MB = 16
/** Connections come and go. */
const MAX_MORE_FDS = 4
const MAX_MORE_THREADS = 2
/** Above its limit: one look's input, the pages that are being dropped, and a write-ahead log between two checkpoints. */
const JOURNAL_SHARE = 1.05
const WAL_BYTES = 16e6

interface Sample extends Size {
  /** Seconds from the beginning. */
  at: number
  /** MB of the journal with its write-ahead log. */
  journal: number
  pending: number
}

const random = new Random(SEED)
const directory = mkdtempSync(join(tmpdir(), 'spanbridge-soak-'))
const stateDir = join(directory, 'state')
mkdirSync(stateDir)
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

console.log(`seed ${SEED}; ${RATE} events a second, ${NUMBERS} numbers each, for ${SECONDS} s`)
const tracker = await Tracker.start(SEED)
const pace = { rate: RATE, seconds: SECONDS, numbers: NUMBERS, spans: SPANS }
const cat = await trainIntoCat(join(directory, 'cat'), { ...pace, seconds: CAT_SECONDS })
const pipe = new Pipe(join(directory, 'pipe'))
const began = performance.now()
const elapsed = (): number => (performance.now() - began) / 1000
let fault = ''
/** How often each thing went wrong. */
const faults = new Map<string, number>()
/** What the trainer had written at the times of kills, and SAFE_MS before: that much may be missing. */
const mayMiss: [from: number, to: number][] = []
const progress: Progress[] = []
const samples: Sample[] = []

function start(): Daemon {
  const flags = ['--journal-max-run-bytes', String(JOURNAL_BYTES)]
  const started = pipe.give('read', (input) => startDaemon({ stateDir, url: tracker.url, input, flags }))
  void started.exited.then((code) => {
    if (mayEnd) return
    console.log(`the daemon has ended with ${code} while there was input: ${started.said()}`)
    process.exit(1)
  })
  return started
}
/** It is killed, or its input is over. */
let mayEnd = false
let daemon = start()
// The start of Node.js is no part of what the trainer's writes cost.
await whenReady(stateDir, daemon.pid, AbortSignal.timeout(30_000))

async function kill(): Promise<void> {
  // One that was killed before it was ready has promised nothing.
  await whenReady(stateDir, daemon.pid, AbortSignal.timeout(10_000))
  await sleep(500 + random.whole(0, 2000))
  const killedAt = Date.now()
  faults.set('kill', (faults.get('kill') ?? 0) + 1)
  mayEnd = true
  daemon.process.kill('SIGKILL')
  await daemon.exited
  mayEnd = false
  await sleep(50) // what the trainer has to say of the moment
  const safe = progress.findLast(({ at }) => at < killedAt - SAFE_MS)?.step ?? 0
  const told = progress.findLast(({ at }) => at <= killedAt)?.step ?? 0
  mayMiss.push([safe, told + PIPE_EVENTS])
  daemon = start()
}

/** One thing after the other goes wrong, until `over`. */
async function trouble(over: AbortSignal): Promise<void> {
  const kinds = [...WEATHERS.filter((weather) => weather !== 'fair'), 'hang'] as const
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: over }).catch(() => {})
  await pause(random.long(...FAIR_MS))
  while (!over.aborted) {
    fault = random.of(kinds)
    faults.set(fault, (faults.get(fault) ?? 0) + 1)
    if (fault === 'hang') tracker.stop()
    else tracker.weather(fault as Weather)
    await pause(random.long(...FAULT_MS))
    if (values.kills && random.chance(KILLS) && !over.aborted) await kill()
    tracker.goOn()
    tracker.weather('fair')
    fault = ''
    await pause(random.long(...FAIR_MS))
  }
}

const HEAD = ['   time', ' rss MB', '  fds', 'threads', 'journal MB', '  backlog', ' fault']

function sample(): void {
  try {
    const path = journalPath(stateDir)
    const status = path === null ? null : readJournal(path)
    const pending = status?.destinations[0]?.points.pending ?? 0
    const taken = {
      ...sizeOfProcess(daemon.pid),
      at: elapsed(),
      journal: path === null ? 0 : sizeOf(path) / 1e6,
      pending,
    }
    samples.push(taken)
    const cells = [
      `${taken.at.toFixed(0)} s`,
      shown(taken.rss),
      taken.fds,
      taken.threads,
      shown(taken.journal),
      shown(pending),
      fault,
    ]
    console.log(cells.map((cell, i) => String(cell).padStart(HEAD[i]!.length)).join('  '))
  } catch {
    // It has just been killed, or has not begun its journal.
  }
}

/** What became of it all. */
function laws(
  report: Report,
  status: RunStatus,
  held: Awaited<ReturnType<Tracker['report']>>,
  code: number | null,
): boolean {
  const written = report.events * NUMBERS
  const isAllowed = ([from, to]: [number, number]): boolean => mayMiss.some(([a, b]) => a <= from && to <= b)
  const lost = held.gaps.flat().filter((gap) => !isAllowed(gap))
  const missing = held.gaps.flat().reduce((sum, [from, to]) => sum + to - from + 1, 0)
  const expected = values.kills ? held.gaps.map((gaps, key) => withoutGaps(report.events, key, gaps)) : report.checksums
  const { points } = status.destinations.find(({ exporter }) => exporter === 'mlflow')!
  const spans = status.destinations.find((each) => each.spans !== null)?.spans
  const steady = samples.filter(({ at }) => at >= WARM_UP && at <= report.seconds)
  const quarter = Math.max(1, steady.length >> 2)
  const trend = (of: keyof Sample): [number, number] =>
    [steady.slice(0, quarter), steady.slice(-quarter)].map((part) => median(part.map((each) => each[of]))) as [
      number,
      number,
    ]
  const [rss, fds, threads] = [trend('rss'), trend('fds'), trend('threads')]
  const journal = Math.max(...samples.map((each) => each.journal))
  printTable([
    ['', 'first quarter', 'last quarter', 'a hour', 'most'],
    ...(['rss', 'fds', 'threads', 'journal', 'pending'] as const).map((of) => [
      of,
      ...trend(of),
      slope(steady, of) * 3600,
      Math.max(...samples.map((each) => each[of])),
    ]),
  ])
  console.log(`what went wrong: ${[...faults].map(([kind, n]) => `${kind} ${n}`).join(', ')}`)
  printTable(writesOf({ cat, spanbridge: report }))
  console.log(
    `the tracker: ${shown(held.points)} points in ${shown(held.requests)} requests, ${shown(held.repeats)} came again and were kept once`,
  )
  // With kills no process lives long enough to have a trend.
  const flatness: [boolean, string][] = [
    [rss[1] <= rss[0] * RSS_SHARE + RSS_MB, `memory is flat: ${shown(rss[0])} MB, then ${shown(rss[1])}`],
    [fds[1] <= fds[0] + MAX_MORE_FDS, `open files are flat: ${fds[0]}, then ${fds[1]}`],
    [threads[1] <= threads[0] + MAX_MORE_THREADS, `threads are flat: ${threads[0]}, then ${threads[1]}`],
  ]
  return judge([
    [code === 0, `the daemon ends with 0: ${code}`],
    [values.kills || missing === 0, `of ${shown(written)} points ${shown(missing)} are missing at the tracker`],
    [
      lost.length === 0,
      `what is missing was written less than ${SAFE_MS} ms before a kill: ${lost.length} ranges were not`,
    ],
    [held.doubled === 0, `nothing is there twice: ${held.doubled}`],
    [held.checksums.join() === expected.join(), `count and checksum of each key: ${held.checksums.join(', ')}`],
    [held.statuses.join() === 'FINISHED', `one run, finished: ${held.statuses.join()}`],
    [
      points.delivered === status.journaled.points && points.evicted + points.rejected + points.pending === 0,
      `all that was journaled is delivered: ${shown(points.delivered)} of ${shown(status.journaled.points)}, ${points.evicted} evicted`,
    ],
    [
      (values.kills || status.journaled.spans === report.spans) && held.spans === status.journaled.spans,
      `of ${shown(report.spans)} spans ${shown(status.journaled.spans)} are journaled, ${shown(held.spans)} at the tracker`,
    ],
    [
      SPANS === 0 ||
        (spans?.delivered === status.journaled.spans && spans.evicted + spans.rejected + spans.pending === 0),
      `and all of them count as delivered: ${JSON.stringify(spans)}`,
    ],
    [Object.values(status.dropped).every((n) => n === 0), `nothing is dropped: ${JSON.stringify(status.dropped)}`],
    [
      status.notKept.points > 0,
      `the journal has reached its limit, and dropped ${shown(status.notKept.points)} delivered points`,
    ],
    [
      journal * 1e6 <= JOURNAL_BYTES * JOURNAL_SHARE + WAL_BYTES,
      `the journal keeps to ${shown(JOURNAL_BYTES / 1e6)} MB: ${shown(journal)}`,
    ],
    ...(values.kills ? [] : flatness),
  ])
}

/** What should be there of a key of which some steps are missing. */
function withoutGaps(events: number, key: number, gaps: [from: number, to: number][]): string {
  const sum = new Checksum()
  let gap = 0
  for (let step = 0; step < events; step += 1) {
    if (step > (gaps[gap]?.[1] ?? Infinity)) gap += 1
    if (step < (gaps[gap]?.[0] ?? Infinity)) sum.add(step, valueAt(key, step))
  }
  return sum.toJSON()
}

/** Growth per second, by least squares. */
function slope(of: readonly Sample[], name: keyof Sample): number {
  const mean = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length
  const [x, y] = [mean(of.map(({ at }) => at)), mean(of.map((each) => each[name]))]
  const spread = of.reduce((sum, { at }) => sum + (at - x) ** 2, 0)
  return of.reduce((sum, each) => sum + (each.at - x) * (each[name] - y), 0) / spread
}

console.log(HEAD.join('  '))
const sampling = setInterval(sample, SAMPLE_MS)
const over = new AbortController()
const training = pipe.give('write', (fd) =>
  train(fd, pace, (each) => {
    progress.push(each)
    if (progress.length > 10_000) progress.splice(0, 5000)
  }),
)
const troubles = trouble(over.signal)
const report = await training
over.abort()
await troubles
mayEnd = true
pipe.close()
const code = await Promise.race([daemon.exited, sleep(DRAIN_MS, null, { ref: false })])
clearInterval(sampling)
const held = await tracker.report(NUMBERS, report.events)
if (!laws(report, readJournal(journalPath(stateDir)!), held, code)) console.log(daemon.said())
daemon.process.kill('SIGKILL')
tracker.close()
