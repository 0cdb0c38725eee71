/**
 * Kills the daemon with `kill -9` at random moments while a trainer writes, starts it again with `--resume`, and compares
 * in the end what the tracker holds with what was written:
 *
 *     node test/long/kills.ts --kills 1000                 a fast stand-in that loses every twentieth answer
 *     node test/long/kills.ts --kills 50 --server-kills 50 a real MLflow, which is killed too
 *
 * What was written 250 ms before a kill must be there; no line may be there that was not written, and none twice.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { readJournal } from '../../src/journal/status.ts'
import { freePort, MlflowApi, startMlflow, type MlflowServer } from '../support/mlflow.ts'
import { MlflowModel } from '../support/mlflow-model.ts'
import { StandIn } from '../support/stand-in.ts'
import { journaled, journalPath, startDaemon, whenReady, type Daemon } from './parts.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '100' }, 'server-kills': { type: 'string', default: '0' } },
})
const KILLS = Number(values.kills)
const SERVER_KILLS = Number(values['server-kills'])
/** A line is written every so many milliseconds. */
const LINE_MS = 2
/** What was written this long before a kill is in the journal, as README says. */
const SAFE_MS = 250
/** Of the stand-in's answers, after it has stored what came. */
const LOST_ANSWERS = 0.05

const directory = mkdtempSync(join(tmpdir(), 'spanbridge-kills-'))
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

/** A tracker, and what it holds in the end as values by how often. */
interface Tracker {
  url: string
  kill(): Promise<void>
  values(runId: string): Promise<number[]>
  close(): Promise<void>
}

async function standIn(): Promise<Tracker> {
  const model = new MlflowModel()
  const server = await StandIn.start(model)
  server.mishap = () => (Math.random() < LOST_ANSWERS ? { kind: 'lost' } : null)
  return {
    url: server.url,
    kill: async () => server.dropConnections(),
    values: async (runId) => [...model.runs.get(runId)!.points.values()].map(({ value }) => Number(value)),
    close: () => server.down(),
  }
}

async function realMlflow(): Promise<Tracker> {
  const data = join(directory, 'mlflow')
  const port = await freePort()
  mkdirSync(data)
  let server: MlflowServer = await startMlflow(data, port)
  return {
    url: server.url,
    kill: async () => {
      process.kill(-server.process.pid!, 'SIGKILL')
      await sleep(Math.random() * 2000)
      server = await startMlflow(data, port)
    },
    values: async (runId) => (await new MlflowApi(server.url).history(runId, 'misc/loss')).map(({ value }) => value),
    close: () => server.stop(),
  }
}

const start = (url: string): Daemon => startDaemon({ stateDir: directory, url, input: 'pipe' })

/** Values of the journal, in order. */
function valuesJournaled(): number[] {
  const path = journalPath(directory)
  return path === null ? [] : Array.from(journaled(path), ({ value }) => value)
}

let next = 0
/** What each life has been told, with the time: its values are consecutive. */
interface Life {
  from: number
  times: number[]
}

/** Writes lines until `until` resolves. */
async function write(daemon: Daemon, until: Promise<unknown>): Promise<Life> {
  const life: Life = { from: next, times: [] }
  const over = new AbortController()
  void until.then(() => over.abort())
  while (!over.signal.aborted) {
    const value = next++
    // The time after the write: when the pipe has it.
    daemon.process.stdin!.write(`{"step":${value},"loss":${value}}\n`)
    life.times.push(performance.now())
    await sleep(LINE_MS)
  }
  return life
}

/** One life in four ends wherever it may be, on a slow machine before it is ready; the others are counted from there. */
async function endOf(ready: Promise<unknown>): Promise<void> {
  if (Math.random() >= 0.25) await ready
  await sleep(50 + Math.random() * 1500)
}

const tracker = SERVER_KILLS > 0 ? await realMlflow() : await standIn()
const from = performance.now()
let serverKills = 0
let safe = 0
let lost = 0
let strange = 0
let known = 0
for (let kill = 0; kill < KILLS; kill += 1) {
  const daemon = start(tracker.url)
  const watch = new AbortController()
  const ready = whenReady(directory, daemon.pid, watch.signal)
  const life = endOf(ready).then(() => {
    daemon.process.kill('SIGKILL')
    return performance.now()
  })
  // The server may be back only after that.
  const [written, killedAt] = await Promise.all([
    write(daemon, life),
    life,
    serverKills < SERVER_KILLS && serverKills <= (kill * SERVER_KILLS) / KILLS
      ? tracker.kill().then(() => (serverKills += 1))
      : null,
  ])
  watch.abort()
  const readyAt = await ready
  await daemon.exited
  const values = valuesJournaled()
  // A life that has been told nothing durable leaves nothing; one that has, a beginning of what it was told.
  const own = values.slice(known)
  strange += own.filter((value, i) => value !== written.from + i).length
  const wanted = written.times.filter((time) => time < killedAt - SAFE_MS).length
  // A process that was killed before it was ready has promised nothing.
  const promised = readyAt !== null && readyAt < killedAt - SAFE_MS ? wanted : 0
  if (own.length < promised) console.log(`kill ${kill + 1}: ${promised} promised, ${own.length} in the journal`)
  safe += promised
  lost += Math.max(0, promised - own.length)
  known = values.length
  if ((kill + 1) % 50 === 0) console.log(`${kill + 1} kills, ${next} lines, ${known} in the journal, ${lost} lost`)
}
const last = start(tracker.url)
await write(last, sleep(500))
last.process.stdin!.end()
const code = await last.exited
const kept = valuesJournaled()
const status = readJournal(journalPath(directory)!)
const there = await tracker.values(status.destinations[0]!.runId!)
const distinct = new Set(there)
const missing = kept.filter((value) => !distinct.has(value)).length
await tracker.close()
console.log(
  JSON.stringify({
    kills: KILLS,
    serverKills,
    seconds: Math.round((performance.now() - from) / 1000),
    linesWritten: next,
    written250msBeforeAKill: safe,
    lost,
    inTheJournal: kept.length,
    strangeInTheJournal: strange,
    atTheTracker: there.length,
    doubled: there.length - distinct.size,
    missingAtTheTracker: missing,
    exitCode: code,
  }),
)
if (code !== 0) console.log(last.said())
process.exitCode =
  lost + strange + missing + (there.length - distinct.size) + (there.length === kept.length ? 0 : 1) > 0 ? 1 : 0
