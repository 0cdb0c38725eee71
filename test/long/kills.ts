/**
 * Kills the daemon with `kill -9` at random moments while a trainer writes, starts it again with `--resume`, and compares
 * in the end what the tracker holds with what was written:
 *
 *     node test/long/kills.ts --kills 1000                 a fast stand-in that loses every twentieth answer
 *     node test/long/kills.ts --kills 50 --server-kills 50 a real MLflow, which is killed too
 *
 * What was written 250 ms before a kill must be there; no line may be there that was not written, and none twice.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { columnsOf } from '../../src/channel/chunk.ts'
import { readJournal } from '../../src/journal/status.ts'
import { freePort, MlflowApi, startMlflow, type MlflowServer } from '../support/mlflow.ts'
import { MlflowModel } from '../support/mlflow-model.ts'
import { cleanEnv, SPANBRIDGE } from '../support/spanbridge.ts'

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
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    const answer = (): void => {
      const url = new URL(request.url!, 'http://x')
      if (url.pathname === '/version') {
        response.end(model.version)
        return
      }
      const text = Buffer.concat(chunks).toString()
      const body: unknown = text === '' ? Object.fromEntries(url.searchParams) : JSON.parse(text)
      const { status, json } = model.answer({ path: url.pathname.replace('/api/2.0/mlflow/', ''), body })
      if (Math.random() < LOST_ANSWERS) request.socket.destroy()
      else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    }
    request.on('end', answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    kill: async () => server.closeAllConnections(),
    values: async (runId) => [...model.runs.get(runId)!.points.values()].map(({ value }) => Number(value)),
    close: async () => {
      server.closeAllConnections()
      server.close()
    },
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

type Daemon = ChildProcessByStdio<Writable, null, Readable>

function start(url: string): { daemon: Daemon; exited: Promise<number | null>; stderr: () => string } {
  const args = ['--quiet', '--state-dir', directory, '--run-name', 'kills', '--resume', '--wait']
  const daemon = spawn(SPANBRIDGE, [...args, '--otlp-http-listen', 'off', '--mlflow-tracking-uri', url], {
    env: cleanEnv(),
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  daemon.stdin.on('error', () => {}) // it is killed while we write
  let said = ''
  daemon.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)))
  return { daemon, exited: new Promise((resolve) => daemon.once('close', resolve)), stderr: () => said }
}

/** When the file was seen that a daemon writes once it is ready, or null. */
async function whenReady(pid: number, until: AbortSignal): Promise<number | null> {
  while (!until.aborted) {
    if (existsSync(join(directory, 'daemons', `${pid}.json`))) return performance.now()
    await sleep(10)
  }
  return null
}

/** Values of the journal, in order. */
function journaled(): number[] {
  const path = journalPath()
  if (path === null) return []
  const database = new DatabaseSync(path, { readOnly: true, timeout: 2000 })
  const found: number[] = []
  try {
    for (const { count, data } of database.prepare('SELECT count, data FROM blocks ORDER BY first').iterate())
      found.push(...columnsOf((data as Uint8Array).slice().buffer, Number(count)).value)
  } finally {
    database.close()
  }
  return found
}

const journalPath = (): string | null => {
  const name = readdirSync(directory).find((file) => file.endsWith('.sqlite'))
  return name === undefined ? null : join(directory, name)
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
    daemon.stdin.write(`{"step":${value},"loss":${value}}\n`)
    life.times.push(performance.now())
    await sleep(LINE_MS)
  }
  return life
}

const tracker = SERVER_KILLS > 0 ? await realMlflow() : await standIn()
const from = performance.now()
let serverKills = 0
let safe = 0
let lost = 0
let strange = 0
let known = 0
for (let kill = 0; kill < KILLS; kill += 1) {
  const { daemon, exited } = start(tracker.url)
  const watch = new AbortController()
  const ready = whenReady(daemon.pid!, watch.signal)
  const life = sleep(50 + Math.random() * 2000).then(() => daemon.kill('SIGKILL'))
  const [written] = await Promise.all([
    write(daemon, life),
    serverKills < SERVER_KILLS && serverKills <= (kill * SERVER_KILLS) / KILLS
      ? tracker.kill().then(() => (serverKills += 1))
      : null,
  ])
  const killedAt = performance.now()
  watch.abort()
  const readyAt = await ready
  await exited
  const values = journaled()
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
await write(last.daemon, sleep(500))
last.daemon.stdin.end()
const code = await last.exited
const kept = journaled()
const status = readJournal(journalPath()!)
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
if (code !== 0) console.log(last.stderr())
process.exitCode =
  lost + strange + missing + (there.length - distinct.size) + (there.length === kept.length ? 0 : 1) > 0 ? 1 : 0
