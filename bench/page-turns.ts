/**
 * How long the page's thread is held up while somebody looks at the timeline of a long run: the longest turn of its loop
 * during each request, and how long the request took. What is live on other pages waits for as long as a turn.
 *
 *     node bench/page-turns.ts [SPANS]      default: 1,000,000
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RunJournal } from '../src/journal/journal.ts'
import { Store } from '../src/store/store.ts'
import { listenForPage } from '../src/web/listen.ts'
import { PageFiles } from '../src/web/page-files.ts'
import { PageServer } from '../src/web/server.ts'
import { spanBytes } from './load/page-spans.ts'

const TOKEN = 'a-token-of-the-bench-0123456789ab'
const RUN = '01K00000000000000000000001'
const AT_ONCE = 10_000

function fill(path: string, spans: number): void {
  const start = {
    identity: null,
    trackerRun: null,
    name: 'long',
    source: 'stdin',
    command: [],
    directory: '/',
  } as const
  const journal = RunJournal.create(path, { ...start, run: RUN, startedAt: 5, params: [], tags: [] }, null)
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  for (let from = 0; from < spans; from += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, spans - from) }, (_, i) => spanBytes(from + i))
    let end = 0
    const ends = Uint32Array.from(some, ({ length }) => (end += length))
    journal.addSpans({ bytes: new Uint8Array(Buffer.concat(some)), ends, heads: new Uint32Array(some.length) })
    journal.commit()
  }
  journal.close()
}

interface Turns {
  /** Of a turn of this thread's loop. On a machine that is in use the clock runs while others have the processor. */
  longestMs: number
  longestCpuMs: number
  tookMs: number
}

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

async function watched(work: () => Promise<unknown>): Promise<Turns> {
  const found: Turns = { longestMs: 0, longestCpuMs: 0, tookMs: 0 }
  const from = performance.now()
  let [last, lastCpu, goesOn] = [from, cpuMs(), true]
  const turn = (): void => {
    const [now, cpu] = [performance.now(), cpuMs()]
    found.longestMs = Math.max(found.longestMs, now - last)
    found.longestCpuMs = Math.max(found.longestCpuMs, cpu - lastCpu)
    last = now
    lastCpu = cpu
    if (goesOn) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  goesOn = false
  return { ...found, tookMs: performance.now() - from }
}

async function main(spans: number): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), 'spanbridge-turns-'))
  const store = new Store({ stateDir, labels: {} })
  try {
    fill(join(stateDir, `${RUN}.sqlite`), spans)
    let server: PageServer | null = null
    const listener = await listenForPage({
      host: '127.0.0.1',
      port: 0,
      isNamed: true,
      take: (socket) => server!.take(socket.resume()),
    })
    server = new PageServer({
      guard: { token: TOKEN, host: '127.0.0.1', port: listener.port },
      store,
      files: new PageFiles(stateDir),
      serving: {
        version: '0',
        stateDir,
        server: { kind: 'view', pid: process.pid, startedAt: 1, run: null, listeners: {}, files: [], testLine: null },
      },
      openapi: () => '{}',
      now: Date.now,
      onFault: (error) => console.error(error),
    })
    const headers = { authorization: `Bearer ${TOKEN}` }
    const get = async (path: string): Promise<void> => {
      const answer = await fetch(`http://127.0.0.1:${listener.port}/api/v1${path}`, { headers })
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
      await answer.arrayBuffer()
    }
    await get('/state')
    console.log(
      `${spans.toLocaleString('en-US')} spans; the longest turn of the loop by the processor and by the clock`,
    )
    for (const path of ['spans', 'spans', 'spans?limit=20000', 'steps', 'steps']) {
      const { longestMs, longestCpuMs, tookMs } = await watched(() => get(`/runs/${RUN}/${path}`))
      const cells = [longestCpuMs, longestMs, tookMs].map((ms) => `${ms.toFixed(0).padStart(7)} ms`)
      console.log(`${path.padEnd(20)} ${cells[0]} ${cells[1]}, in all ${cells[2]}`)
    }
    listener.close()
    server.close()
  } finally {
    store.close()
    rmSync(stateDir, { recursive: true, force: true })
  }
}

await main(Number(process.argv[2] ?? 1_000_000))
