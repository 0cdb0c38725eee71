import { effect, signal } from '@preact/signals'
import type { Live, LivePoints, SeriesSummary, State } from '../../web/api.ts'
import { ask, RequestFailed } from './api.ts'
import { expireRun, takePoints } from './charts.ts'
import { loadEvents, takeEvents } from './events.ts'
import * as store from './runs.ts'
import { addToSeries } from './series.ts'

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
/** Nothing has come for a while although a run goes on: its trainer is quiet, or nobody is heard any more. */
export const isQuiet = signal(false)
/** What each run had received lately, and each of its trackers taken, for their rates. */
const paces = new Map<string, { at: number; points: number; taken: number[] }[]>()
export const paceVersion = signal(0)

const RETRY_MS = 1000
const QUIET_MS = 10_000
/** How long an answer may take: to somebody who has just come, and to the question whether anybody is there. */
const STATE_MS = 10_000
const PROBE_MS = 2000

let stream: EventSource | null = null
let retry: ReturnType<typeof setTimeout> | undefined
/** Counts beginnings and rests: what was begun before the last one comes to nothing, and two never listen at once. */
let turn = 0
/** Sequence number of the last point of each run that has come. */
const seen = new Map<string, number>()

/** Points per second of a run over the last ten seconds; null before a second account came. */
export const paceOf = (run: string): number | null => perSecond(run, ({ points }) => points)

/** The same of what one of its trackers, by its place among them, has taken. */
export const takenPaceOf = (run: string, tracker: number): number | null =>
  perSecond(run, ({ taken }) => taken[tracker] ?? 0)

function perSecond(run: string, countOf: (account: { points: number; taken: number[] }) => number): number | null {
  const all = paces.get(run) ?? []
  const first = all[0]
  const last = all.at(-1)
  if (first === undefined || last === undefined || last.at <= first.at) return null
  return ((countOf(last) - countOf(first)) * 1000) / (last.at - first.at)
}

function notePaces(now: number, runs: State['runs']): void {
  for (const { run, points, destinations } of runs) {
    const kept = (paces.get(run) ?? []).filter(({ at }) => at > now - 10_000)
    const taken = destinations.map((destination) => destination.points.delivered + destination.points.rejected)
    paces.set(run, [...kept, { at: now, points, taken }])
  }
  paceVersion.value++
}

/** Loads everything, then listens; called at the start, after a fault, and when the page is seen again. */
async function begin(): Promise<void> {
  const mine = hush()
  const isLate = (): boolean => mine !== turn || document.hidden
  try {
    const state = await ask<State>('state', {}, STATE_MS)
    if (isLate()) return
    store.takeState(state)
    notePaces(state.now, state.runs)
    const wanted = store.shown.peek().map(({ run }) => run)
    await load(wanted)
    if (isLate()) return
    asOf.value = Date.now()
    store.failure.value = null
    listen()
  } catch (error) {
    if (!isLate()) fail(error)
  }
}

/** Ends what goes on: the stream, and whatever was begun. */
function hush(): number {
  clearTimeout(retry)
  stream?.close()
  stream = null
  return ++turn
}

const load = async (wanted: readonly string[]): Promise<void> => {
  await Promise.all([store.loadRuns(wanted), ...wanted.map(loadEvents)])
}

function fail(error: unknown): void {
  const { status = 0, message } = error as Partial<RequestFailed>
  hush()
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
    void load([run]).then(() => expireRun(run), fail)
  })
  on('events', ({ run, rows }) => {
    takeEvents(run, rows)
  })
  source.addEventListener('error', () => {
    if (source === stream) fail(new RequestFailed(0, 'the connection broke'))
  })
}

/** Keeps the short account of each series in step with the points that came. */
function noteSeries(message: LivePoints): void {
  const { run } = message
  const known = store.seriesOf.get(run) ?? new Map<string, SeriesSummary>()
  store.seriesOf.set(run, known)
  const { isNew, isMissing } = addToSeries(known, message)
  const earliest = message.series.reduce((least, { times }) => times.reduce((a, b) => Math.min(a, b), least), Infinity)
  const isEarlier = store.noteOrigin(run, earliest === Infinity ? null : earliest)
  if (isNew || isEarlier) store.seriesVersion.value++
  if (isMissing) void load([run]).catch(fail)
}

function noteQuiet(): void {
  const goesOn = store.shown.peek().some(({ status }) => status === 'running')
  isQuiet.value = goesOn && connection.peek().state === 'live' && Date.now() - asOf.peek() > QUIET_MS
}

/**
 * Somebody looks at a page that hears nothing: now it matters whether anybody is there. A broken tunnel and a process that
 * stands still are not seen otherwise, and to ask all the time would cost those who only wait.
 */
async function probe(): Promise<void> {
  if (!isQuiet.peek()) return
  isQuiet.value = false
  const mine = turn
  try {
    const state = await ask<State>('state', {}, PROBE_MS)
    if (mine !== turn) return
    store.takeState(state)
    asOf.value = Date.now()
  } catch (error) {
    if (mine === turn) fail(error)
  }
}

function rest(): void {
  hush()
  if (connection.peek().state === 'live') connection.value = { state: 'paused' }
}

/** Starts listening, and goes on until the page is closed. A page that is not seen costs nothing. */
export function follow(): void {
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) rest()
    else void begin()
  })
  setInterval(noteQuiet, 1000)
  for (const name of ['pointermove', 'keydown', 'focus']) addEventListener(name, () => void probe())
  let before: string | null = null
  effect(() => {
    const now = store.shownIds.value
    if (before !== null && before !== now && connection.peek().state === 'live') void begin()
    before = now
  })
  void begin()
}
