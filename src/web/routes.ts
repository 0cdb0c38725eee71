import { setImmediate } from 'node:timers/promises'
import { lockOf } from '../delivery/run.ts'
import { isBusy, isLocked } from '../journal/lock.ts'
import type { LineQuery, RunHistory } from '../store/history.ts'
import type { Pieces } from '../store/pieces.ts'
import { UnknownRun, type Store } from '../store/store.ts'
import type { Chart, RunChange, State } from './api.ts'
import { readChange } from './change.ts'
import { positionsIn, type LiveHub } from './live.ts'
import type { Query } from './query.ts'
import { expected, PageRefusal } from './refusal.ts'
import type { EventStream } from './sse.ts'
import type { Turns } from './turns.ts'

/** Numbers are read this long at a time, so that other requests have their turn. */
const READ_MS = 25
const MAX_WIDTH = 8192
const MAX_RUNS = 64
const MAX_STEP = Number.MAX_SAFE_INTEGER

/** What serves the page, as far as it does not change. */
export type Serving = Omit<State, 'now' | 'runs' | 'unreadable'>

/** One request, as a route sees it. */
export interface Call {
  store: Store
  hub: LiveHub
  serving: Serving
  /** UTC ms. */
  now: () => number
  /** The run in the path; empty where it has none. */
  run: string
  query: Query
  /** Parsed; undefined where the route takes none. */
  body: unknown
  /** Positions that a reader shows when it comes again. */
  lastEventId: string | undefined
  /** Whoever asked has gone. */
  isGone: () => boolean
  /** Large answers are made one at a time: many together would take all memory. */
  turns: Turns
  /** Answers that are made of many spans. */
  spanTurns: Turns
  /** How many MB of answers wait for somebody to read them, where that is too much; else 0. */
  clogged: () => number
  /** Makes the answer a stream of events. */
  stream: () => EventStream
}

interface Route {
  method: 'GET' | 'PATCH' | 'DELETE'
  /** `{run}` is one part of the path. */
  path: string
  takesBody?: boolean
  /** The answer as it becomes JSON; undefined: it has answered itself. */
  handle: (call: Call) => unknown
}

/** All routes below `/api/v1`; `docs/openapi.json` describes them. */
export const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/state', handle: state },
  { method: 'GET', path: '/series', handle: series },
  { method: 'GET', path: '/live', handle: live },
  { method: 'GET', path: '/runs/{run}', handle: detail },
  { method: 'PATCH', path: '/runs/{run}', takesBody: true, handle: change },
  { method: 'DELETE', path: '/runs/{run}', handle: remove },
  { method: 'GET', path: '/runs/{run}/events', handle: events },
  { method: 'GET', path: '/runs/{run}/spans', handle: spans },
  { method: 'GET', path: '/runs/{run}/steps', handle: steps },
  { method: 'GET', path: '/runs/{run}/rejected', handle: rejected },
]

/** Nothing else may be in the query; and what there is now is looked at. */
function asked({ query, store, hub }: Call): void {
  query.done()
  hub.noticed(store.refresh())
}

/** The numbers of a run up to its last commit. */
async function caughtUp({ store, isGone }: Call, run: string): Promise<RunHistory> {
  for (;;) {
    const history = store.run(run)
    if (history.refresh(READ_MS)) return history
    await othersTurn(isGone)
  }
}

/** Lets other requests go first. @throws PageRefusal: nobody waits any more */
async function othersTurn(isGone: () => boolean): Promise<void> {
  await setImmediate()
  if (isGone()) throw new PageRefusal(499, 'whoever asked has gone')
}

/** Work on a run that takes long, a little at a time; two of its kind would only make each other late. */
function inPieces<T>(call: Call, begin: (history: RunHistory) => Pieces<T>): Promise<T> {
  const { store, run, isGone, spanTurns } = call
  store.summary(run)
  return spanTurns.take(async () => {
    let history = store.run(run)
    for (let work = begin(history); ;) {
      for (const until = performance.now() + READ_MS; performance.now() < until;) {
        const { done, value } = work.next()
        if (done === true) return value
      }
      await othersTurn(isGone)
      // It was closed in the meantime, or another file has taken its place.
      if (store.run(run) !== history) {
        history = store.run(run)
        work = begin(history)
      }
    }
  })
}

function state(call: Call): State {
  asked(call)
  const { store, hub, serving, now } = call
  hub.stateAsked()
  return { ...serving, now: now(), runs: store.runs(), unreadable: store.unreadable() }
}

async function detail(call: Call): Promise<unknown> {
  asked(call)
  const summary = call.store.summary(call.run)
  return (await caughtUp(call, call.run)).detail(summary)
}

async function series(call: Call): Promise<Chart> {
  const { query } = call
  const runs = query.texts('run')
  const key = query.required('key')
  const width = query.integer('width', 1, MAX_WIDTH)
  const axis = query.oneOf('axis', ['step', 'time', 'relative']) ?? 'step'
  const range = { ...given('from', query.number('from')), ...given('to', query.number('to')) }
  if (width === undefined) throw expected(`width to be a whole number from 1 to ${MAX_WIDTH}`, 'nothing')
  checkRuns(runs, 1)
  checkRange(range)
  asked(call)
  for (const run of runs) await caughtUp(call, run)
  return call.turns.take(() => chartOf(call, { key, axis, lines: [] }, runs, { axis, width, ...range }))
}

async function chartOf(call: Call, chart: Chart, runs: readonly string[], query: LineQuery): Promise<Chart> {
  for (const run of runs) {
    await othersTurn(call.isGone)
    const clogged = call.clogged()
    if (clogged > 0)
      throw new PageRefusal(503, `expected answers to be read, got ${clogged} MB that wait for it; ask again`, {
        'retry-after': '1',
      })
    const line = (await caughtUp(call, run)).line(chart.key, query)
    if (line !== null) chart.lines.push(line)
  }
  return chart
}

function live(call: Call): undefined {
  const { query, hub, store, lastEventId, stream } = call
  const runs = query.texts('run')
  const after = query.integers('after', 0, MAX_STEP)
  checkRuns(runs, 0)
  if (after.length > 0 && after.length !== runs.length)
    throw expected('an after for each run, or none', `${after.length} for ${runs.length} runs`)
  asked(call)
  for (const run of runs) store.summary(run)
  hub.join(stream(), runs, positionsIn(lastEventId, runs.length) ?? after.map((point) => ({ point, event: null })))
  return undefined
}

async function events(call: Call): Promise<unknown> {
  const { query, store, run } = call
  const search = query.text('search')
  const limit = query.integer('limit', 1, 1000) ?? 200
  const wanted = {
    ...given('level', query.oneOf('level', ['WARN', 'ERROR'])),
    ...given('before', query.integer('before', 0, MAX_STEP)),
    ...given('search', search),
    limit,
  }
  asked(call)
  return store.run(run).events(wanted)
}

async function spans(call: Call): Promise<unknown> {
  const { query } = call
  const range = { ...given('from', query.number('from')), ...given('to', query.number('to')) }
  const limit = query.integer('limit', 1, 20_000) ?? 5000
  checkRange(range)
  asked(call)
  return inPieces(call, (history) => history.spansInPieces({ ...range, limit }))
}

async function steps(call: Call): Promise<unknown> {
  const { query } = call
  const range = { ...given('from', query.number('from')), ...given('to', query.number('to')) }
  const buckets = query.integer('buckets', 1, 5000) ?? 200
  checkRange(range)
  asked(call)
  return inPieces(call, (history) => history.stepsInPieces({ ...range, buckets }))
}

function rejected(call: Call): unknown {
  const { query, store, run } = call
  const limit = query.integer('limit', 1, 10_000) ?? 100
  asked(call)
  return store.run(run).rejected(limit)
}

function change(call: Call): unknown {
  const { store, run, body, hub } = call
  const wanted: RunChange = readChange(body)
  asked(call)
  try {
    store.change(run, wanted)
  } catch (error) {
    throw error instanceof UnknownRun ? error : new PageRefusal(500, `not saved: ${(error as Error).message}`)
  }
  hub.look()
  return {}
}

function remove(call: Call): unknown {
  const { store, query, run, hub } = call
  const confirmed = query.text('confirm')
  if (confirmed !== run)
    throw expected(`confirm to be the run, ${run}`, confirmed === undefined ? 'nothing' : `'${confirmed}'`)
  asked(call)
  const { journal, name, pid } = store.summary(run)
  // To take the lock would wait for it a while, and everybody else with us.
  if (isLocked(lockOf(journal)))
    throw new PageRefusal(409, `the run ${name} is still written or delivered by process ${pid ?? 'unknown'}`)
  try {
    store.delete(run)
  } catch (error) {
    throw isBusy((error as Error).cause) ? new PageRefusal(409, (error as Error).message) : error
  }
  hub.noticed({ changed: [], gone: [run] })
  return {}
}

/** What is not asked for is not there. */
const given = <K extends string, T>(name: K, value: T | undefined): { [key in K]?: T } =>
  value === undefined ? {} : ({ [name]: value } as { [key in K]?: T })

function checkRuns(runs: readonly string[], least: number): void {
  if (runs.length < least) throw expected('run to be a run', 'nothing')
  if (runs.length > MAX_RUNS) throw expected(`${MAX_RUNS} runs at most`, `${runs.length}`)
  const twice = runs.find((run, i) => runs.indexOf(run) < i)
  if (twice !== undefined) throw expected('each run once', `${twice} again`)
}

function checkRange({ from, to }: { from?: number; to?: number }): void {
  if (from !== undefined && to !== undefined && from > to)
    throw expected('from to be no greater than to', `${from} and ${to}`)
}
