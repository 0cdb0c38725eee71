/**
 * Somebody with the page open, as far as the daemon can tell: asks for a run and its charts, listens for what is new, and
 * zooms about if told to. A process of its own, started by `startModule('load/page-reader.ts', [WEB_URL])`.
 */
import type { Live, LivePoints, RunDetail, State } from '../../src/web/api.ts'

/** What is asked of the reader. */
export type Ask =
  /** Opens a run (by its place in the list, newest first) and listens; answers when nine charts are there. */
  | { is: 'open'; nth: number }
  /** Looks at another stretch of a chart of that run each `everyMs`, from now on. */
  | { is: 'zoom'; nth: number; everyMs: number }
  /** Answers what was heard so far. */
  | { is: 'account' }

export interface PageAccount {
  /** From the request for the list to the ninth chart. */
  openMs: number
  /** Ages of points when they are heard, by the time in their lines. */
  ages: number[]
  points: number
  reloads: number
  /** How long stretches took. */
  zoomMs: number[]
  bytes: number
}

const CHARTS = 9
const WIDTH = 430

const url = new URL(process.argv[2]!)
const headers = { authorization: `Bearer ${url.searchParams.get('token')!}` }
const account: PageAccount = { openMs: 0, ages: [], points: 0, reloads: 0, zoomMs: [], bytes: 0 }

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(new URL(`/api/v1${path}`, url), { headers })
  const text = await answer.text()
  account.bytes += text.length
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`)
  return JSON.parse(text) as T
}

const keysOf = async (run: string): Promise<string[]> =>
  (await get<RunDetail>(`/runs/${run}`)).series.map(({ key }) => key)

const chart = (run: string, key: string, range = ''): Promise<unknown> =>
  get(`/series?${new URLSearchParams({ run, key, width: String(WIDTH) }).toString()}${range}`)

async function runAt(nth: number): Promise<string> {
  const { runs } = await get<State>('/state')
  const run = runs[nth]?.run
  if (run === undefined) throw new Error(`there are ${runs.length} runs, none is at place ${nth}`)
  return run
}

async function open(nth: number): Promise<void> {
  const from = performance.now()
  const run = await runAt(nth)
  const keys = await keysOf(run)
  await Promise.all(keys.slice(0, CHARTS).map((key) => chart(run, key)))
  account.openMs = performance.now() - from
  void listen(run)
}

/** Reads server-sent events until the daemon ends. */
async function listen(run: string): Promise<void> {
  try {
    const { body } = await fetch(new URL(`/api/v1/live?run=${run}`, url), { headers })
    let text = ''
    for await (const part of body!.pipeThrough(new TextDecoderStream())) {
      account.bytes += part.length
      text += part
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        hear(text.slice(0, end))
        text = text.slice(end + 2)
      }
    }
  } catch {
    // It has ended.
  }
}

function hear(message: string): void {
  const name = /^event: (.*)$/m.exec(message)?.[1] as keyof Live | undefined
  if (name === 'reload') account.reloads += 1
  if (name !== 'points') return
  const { series } = JSON.parse(/^data: (.*)$/m.exec(message)![1]!) as LivePoints
  const now = Date.now()
  for (const { times } of series) {
    account.points += times.length
    account.ages.push(now - times[0]!)
  }
}

async function zoom(nth: number, everyMs: number): Promise<void> {
  const run = await runAt(nth)
  const { series } = await get<RunDetail>(`/runs/${run}`)
  for (let i = 0; ; i += 1) {
    const { key, first, last } = series[i % series.length]!
    const width = (last.step - first.step) / 2 ** (i % 8)
    const start = Math.floor(first.step + ((i * 7919) % 97) * ((last.step - first.step - width) / 97))
    const from = performance.now()
    await chart(run, key, `&from=${start}&to=${Math.ceil(start + width)}`)
    account.zoomMs.push(performance.now() - from)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

process.on('message', (ask: Ask) => {
  void (async () => {
    if (ask.is === 'open') await open(ask.nth)
    // The daemon ends in the middle of it.
    if (ask.is === 'zoom') void zoom(ask.nth, ask.everyMs).catch(() => {})
    process.send!(account)
  })()
})
process.send!('ready')
