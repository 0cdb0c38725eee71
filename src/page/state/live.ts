import { effect, signal } from '@preact/signals'
import type { Live, LivePoints, SeriesSummary, State } from '../../web/api.ts'
import { ask, RequestFailed } from './api.ts'
import { expireRun, takePoints } from './charts.ts'
import { loadEvents, takeEvents } from './events.ts'
import { numberOf } from './lines.ts'
import * as store from './runs.ts'

/** How the page and the process that serves it stand. */
export type Connection =
  | { state: 'connecting' }
  | { state: 'live' }
  | { state: 'paused' }
  | { state: 'gone'; since: number; why: string }
  | { state: 'refused'; why: string }

export const connection = signal<Connection>({ state: 'connecting' })
/** When the page last heard of anything, ms. */
export const asOf = signal(0)
/** Points that each run had received lately, for its rate. */
const paces = new Map<string, { at: number; points: number }[]>()
export const paceVersion = signal(0)

const RETRY_MS = 1000

let stream: EventSource | null = null
let retry: ReturnType<typeof setTimeout> | undefined
/** Sequence number of the last point of each run that has come. */
const seen = new Map<string, number>()

/** Points per second of a run over the last ten seconds; null before a second account came. */
export function paceOf(run: string): number | null {
  const all = paces.get(run) ?? []
  const first = all[0]
  const last = all.at(-1)
  if (first === undefined || last === undefined || last.at <= first.at) return null
  return ((last.points - first.points) * 1000) / (last.at - first.at)
}

function notePaces(now: number, runs: State['runs']): void {
  for (const { run, points } of runs) {
    const kept = (paces.get(run) ?? []).filter(({ at }) => at > now - 10_000)
    paces.set(run, [...kept, { at: now, points }])
  }
  paceVersion.value++
}

/** Loads everything, then listens; called at the start, after a fault, and when the page is seen again. */
async function begin(): Promise<void> {
  clearTimeout(retry)
  stream?.close()
  stream = null
  try {
    const state = await ask<State>('state')
    if (document.hidden) return
    store.takeState(state)
    notePaces(state.now, state.runs)
    const wanted = store.shown.peek().map(({ run }) => run)
    await Promise.all(wanted.map(loadQuietly))
    asOf.value = Date.now()
    store.failure.value = null
    listen()
  } catch (error) {
    fail(error)
  }
}

/** A run that was deleted in the meantime is no reason to stop. */
const loadQuietly = async (run: string): Promise<void> => {
  try {
    await Promise.all([store.loadRun(run), loadEvents(run)])
  } catch (error) {
    if (!(error instanceof RequestFailed) || error.status !== 404) throw error
  }
}

function fail(error: unknown): void {
  const { status = 0, message } = error as Partial<RequestFailed>
  stream?.close()
  stream = null
  if (status === 401 || status === 403) {
    connection.value = { state: 'refused', why: message ?? '' }
    return
  }
  const before = connection.peek()
  connection.value = {
    state: 'gone',
    since: before.state === 'gone' ? before.since : Date.now(),
    why: message ?? 'the connection broke',
  }
  if (asOf.peek() === 0) store.failure.value = message ?? null
  retry = setTimeout(() => void begin(), RETRY_MS)
}

function listen(): void {
  const shown = store.shown.peek()
  const query = new URLSearchParams()
  for (const { run, journaled } of shown) {
    query.append('run', run)
    query.append('after', String(seen.get(run) ?? journaled.points))
    if (!seen.has(run)) seen.set(run, journaled.points)
  }
  const source = (stream = new EventSource(`api/v1/live?${query.toString()}`))
  const on = <K extends keyof Live>(name: K, take: (data: Live[K]) => void): void =>
    source.addEventListener(name, ({ data }: MessageEvent<string>) => {
      if (source !== stream) return
      asOf.value = Date.now()
      take(JSON.parse(data) as Live[K])
    })
  on('hello', () => {
    connection.value = { state: 'live' }
  })
  on('runs', ({ now, changed, gone }) => {
    notePaces(now, changed)
    store.takeRuns(changed, gone)
  })
  on('points', (message) => {
    noteSeries(message)
    takePoints(message, seen.get(message.run) ?? 0)
    seen.set(message.run, message.upTo)
  })
  on('reload', ({ run, upTo }) => {
    seen.set(run, upTo)
    void loadQuietly(run).then(() => expireRun(run), fail)
  })
  on('events', ({ run, rows }) => {
    takeEvents(run, rows)
  })
  source.addEventListener('error', () => {
    if (source === stream) fail(new RequestFailed(0, 'the connection broke'))
  })
}

/** Keeps the short account of each series in step with the points that came. */
function noteSeries({ run, series, added }: LivePoints): void {
  const known = store.seriesOf.get(run) ?? new Map<string, SeriesSummary>()
  store.seriesOf.set(run, known)
  const fresh = added.filter(({ key }) => !known.has(key))
  for (const one of fresh) known.set(one.key, one)
  let missing = false
  for (const { key, steps, times, values } of series) {
    const summary = known.get(key)
    if (summary === undefined) missing = true
    if (summary === undefined || fresh.includes(summary) || values.length === 0) continue
    summary.count += values.length
    summary.last = { step: steps.at(-1)!, time: times.at(-1)!, value: values.at(-1)! }
    for (const value of values.map(numberOf)) {
      if (Number.isNaN(value)) summary.nan++
      else if (!Number.isFinite(value)) summary.infinite++
      else {
        summary.min = Math.min(summary.min ?? value, value)
        summary.max = Math.max(summary.max ?? value, value)
      }
    }
  }
  if (fresh.length > 0) store.seriesVersion.value++
  if (missing) void loadQuietly(run).catch(fail)
}

function rest(): void {
  clearTimeout(retry)
  stream?.close()
  stream = null
  if (connection.peek().state === 'live') connection.value = { state: 'paused' }
}

/** Starts listening, and goes on until the page is closed. A page that is not seen costs nothing. */
export function follow(): void {
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) rest()
    else void begin()
  })
  let before: string | null = null
  effect(() => {
    const now = store.shownIds.value
    if (before !== null && before !== now && connection.peek().state === 'live') void begin()
    before = now
  })
  void begin()
}
