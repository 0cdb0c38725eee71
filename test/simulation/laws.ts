import { DatabaseSync } from 'node:sqlite'
import { isDeepStrictEqual } from 'node:util'
import type { EventRow } from '../../src/channel/messages.ts'
import { columnsOf } from '../../src/channel/chunk.ts'
import { mlflowKey } from '../../src/exporters/mlflow/keys.ts'
import { readJournal, type RunStatus } from '../../src/journal/status.ts'
import { idOf, type ModelRun, type StoredPoint } from '../support/mlflow-model.ts'
import { REFUSED_KEY, REFUSED_TEXT, REFUSED_VALUE, type Servers } from './servers.ts'
import type { Written } from './trainer.ts'

/** A journal that lacks points: they were delivered, and the disk had no room for them. */
export interface Partial {
  status: RunStatus
  isWhole: false
}

/** An event with its place in the run. */
export interface HeldEvent extends EventRow {
  sequence: number
}

/** What a journal at rest holds. */
export interface Held {
  isWhole: true
  status: RunStatus
  points: Written[]
  spans: string[]
  events: HeldEvent[]
  params: Map<string, string>
  tags: Map<string, string>
  /** Rows set aside. */
  rejected: { points: number[]; params: string[]; others: number }
  waiting: number
}

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)

/** Reads a journal as anybody may, by SQLite. */
export function readHeld(path: string): Held | Partial {
  const status = readJournal(path)
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const all = (sql: string): Record<string, any>[] => database.prepare(sql).all()
    const keys = new Map(all('SELECT id, key FROM series').map(({ id, key }) => [id as number, key as string]))
    const points: Written[] = []
    for (const { first, count, data } of all('SELECT first, count, data FROM blocks ORDER BY first')) {
      if (first !== status.notKept.points + points.length + 1) return { status, isWhole: false }
      const columns = columnsOf((data as Uint8Array).slice().buffer, count)
      for (let i = 0; i < count; i += 1)
        points.push({
          key: keys.get(columns.series[i]!)!,
          step: columns.step[i]!,
          time: columns.time[i]!,
          value: columns.value[i]!,
        })
    }
    const texts = (table: string): Map<string, string> =>
      new Map(all(`SELECT name, value FROM ${table}`).map(({ name, value }) => [name, value]))
    const rejected = all('SELECT kind, sequence, name FROM rejected WHERE destination IS NOT NULL ORDER BY sequence')
    // Nothing is left of what was in memory but the account.
    if (status.notKept.points + points.length !== status.journaled.points) return { status, isWhole: false }
    return {
      status,
      isWhole: true,
      points,
      spans: all('SELECT count, data FROM spans ORDER BY first').flatMap(({ count, data }) => idsIn(count, data)),
      events: all('SELECT * FROM events ORDER BY sequence').map((row) => ({ ...row }) as HeldEvent),
      params: texts('params'),
      tags: texts('tags'),
      rejected: {
        points: rejected.filter(({ kind }) => kind === 'points').map(({ sequence }) => sequence),
        params: rejected.filter(({ kind }) => kind === 'params').map(({ name }) => name),
        others: rejected.filter(({ kind }) => kind !== 'points' && kind !== 'params').length,
      },
      waiting: all('SELECT coalesce(sum(numbers), 0) AS n FROM waiting')[0]!['n'],
    }
  } finally {
    database.close()
  }
}

/** Ids of spans that are 28 bytes long or a little more, each behind its tag and its length. */
function idsIn(count: number, data: Uint8Array): string[] {
  const ids: string[] = []
  for (let at = 0; at < data.length; at += 2 + data[at + 1]!) {
    if (data[at] !== 0x12 || data[at + 1]! > 127) throw new Error(`no span begins at byte ${at} of a block`)
    ids.push(Buffer.from(data.subarray(at + 22, at + 30)).toString('hex'))
  }
  if (ids.length !== count) throw new Error(`a block of ${count} spans has ${ids.length}`)
  return ids
}

/** The conservation law, which holds in every journal at every moment. */
export function checkAccount({ status, points, spans, events, waiting }: Held): string[] {
  const wrong: string[] = []
  const equal = (what: string, a: number, b: number): void => {
    if (a !== b) wrong.push(`${what}: ${a} is not ${b}`)
  }
  equal(
    'numbers = points + skipped + waiting',
    status.received.numbers,
    status.points + sum(status.skipped) + status.waiting,
  )
  equal('points = journaled + dropped', status.points, status.journaled.points + sum(status.dropped))
  equal('journaled points = rows', status.journaled.points, status.notKept.points + points.length)
  equal(
    'received spans = journaled + dropped',
    status.received.spans,
    status.journaled.spans + sum(status.spanAccount.dropped),
  )
  equal('journaled spans = rows', status.journaled.spans, status.notKept.spans + spans.length)
  const { eventAccount: of } = status
  equal('received events = journaled + dropped', of.received, of.journaled + sum(of.dropped))
  equal('journaled events = rows', of.journaled, of.notKept + events.length)
  equal('waiting = its rows', status.waiting, waiting)
  for (const { exporter, points: of, spans: ofSpans } of status.destinations) {
    if (exporter === 'mlflow')
      equal(
        'journaled = delivered + rejected + evicted + pending',
        status.journaled.points,
        of.delivered + of.rejected + of.evicted + of.pending,
      )
    if (ofSpans !== null)
      equal(
        'spans = delivered + rejected + evicted + pending',
        status.journaled.spans,
        ofSpans.delivered + ofSpans.rejected + ofSpans.evicted + ofSpans.pending,
      )
  }
  return wrong
}

/** Most events that a run keeps: the first ones, and the newest. */
const FIRST = 1000
const NEWEST = 9000

/**
 * Events that were acknowledged are counted, and those that are there were written, each once. `isWhole`: nothing has made
 * the journal drop more than it does with any run.
 */
export function checkEvents({ held, written, acked, isWhole }: EventsOf): string[] {
  const { journaled } = held.status.eventAccount
  if (journaled < acked) return [`${acked} events were acknowledged, ${journaled} are counted in the journal`]
  if (journaled > written.length) return [`${journaled} events are in the journal, ${written.length} were written`]
  const wrong = held.events.find(({ sequence, ...event }) => !isDeepStrictEqual(event, written[sequence - 1]))
  if (wrong !== undefined) return [`event ${wrong.sequence} of the journal is not the one that was written`]
  const isKept = (sequence: number): boolean => sequence <= FIRST || sequence > journaled - NEWEST
  if (held.events.some(({ sequence }) => !isKept(sequence))) return ['an event is kept that should not be']
  const kept = Math.min(journaled, FIRST + NEWEST)
  return isWhole && held.events.length !== kept ? [`${held.events.length} events are kept, expected ${kept}`] : []
}

interface EventsOf {
  held: Held
  written: readonly EventRow[]
  acked: number
  isWhole: boolean
}

/** What was acknowledged is there, and what is there was written, in order and without a gap. */
export function checkPrefix<T>({ what, held, written, acked, notKept, isSame }: Prefix<T>): string[] {
  const count = notKept + held.length
  if (count < acked) return [`${acked} ${what} were acknowledged, ${count} are in the journal`]
  if (count > written.length) return [`${count} ${what} are in the journal, ${written.length} were written`]
  const at = held.findIndex((item, i) => !isSame(item, written[notKept + i]!))
  return at < 0 ? [] : [`${what}: number ${notKept + at + 1} of the journal is not the one that was written`]
}

export interface Prefix<T> {
  what: string
  held: readonly T[]
  written: readonly T[]
  acked: number
  /** How many of the first ones its limit has made the journal drop. */
  notKept: number
  isSame: (a: T, b: T) => boolean
}

export const isSamePoint = (a: Written, b: Written): boolean =>
  a.key === b.key && a.step === b.step && a.time === b.time && Object.is(a.value, b.value)

const isPoison = ({ key, value }: Written): boolean => key === REFUSED_KEY || value === REFUSED_VALUE

const rowOf = ({ key, step, time, value }: Written): StoredPoint => ({
  key: mlflowKey(key),
  step,
  timestamp: time,
  value: Number.isFinite(value) ? value : String(value),
})

/** Everything is where it belongs, once: `extra` allows rows that were delivered from a memory that has died since. */
export function checkDelivered(held: Held, servers: Servers, extra: readonly Written[]): string[] {
  const wrong: string[] = []
  const { status } = held
  for (const destination of status.destinations)
    if (destination.state !== 'disabled') {
      const { points, params, tags, spans, ended } = destination
      const pending = points.pending + params.pending + tags.pending + (spans?.pending ?? 0)
      if (pending > 0 || !ended) wrong.push(`${destination.exporter}: ${pending} items are pending, ended: ${ended}`)
    }
  // Its process has died before it knew of a destination: nothing is in it.
  if (status.destinations.length === 0 && held.points.length + held.spans.length === 0) return wrong
  const runs = [...servers.mlflow.runs.values()].filter(
    ({ tags, info }) => tags.get('spanbridge.run') === status.run && info.lifecycle_stage === 'active',
  )
  const known = status.destinations.find(({ exporter }) => exporter === 'mlflow')?.runId
  const run = runs.find(({ info }) => info.run_id === known)
  if (run === undefined || (runs.length > 1 && !servers.isLenient))
    return [...wrong, `${runs.length} runs of the tracker bear the tag ${status.run}`]
  wrong.push(...checkPoints(held, run, extra, servers.isLenient), ...checkTexts(held, run, servers.isLenient))
  if (run.info.status.toLowerCase() !== status.status && !servers.overtaken.has(run.info.run_id))
    wrong.push(`the run is ${run.info.status}, expected ${status.status}`)
  const lost = held.spans.filter((id) => !servers.spans.has(id))
  if (lost.length > 0) wrong.push(`${lost.length} spans have not arrived`)
  return wrong
}

function checkPoints(held: Held, run: ModelRun, extra: readonly Written[], isLenient: boolean): string[] {
  const wrong: string[] = []
  const wanted = new Set(held.points.filter((point) => !isPoison(point)).map((point) => idOf(rowOf(point))))
  const missing = [...wanted].filter((id) => !run.points.has(id))
  if (missing.length > 0) wrong.push(`${missing.length} points are missing at the tracker, the first: ${missing[0]}`)
  const allowed = new Set(extra.map((point) => idOf(rowOf(point))))
  const strange = [...run.points.keys()].filter((id) => !wanted.has(id) && !allowed.has(id))
  if (strange.length > 0)
    wrong.push(`${strange.length} points are at the tracker that were never journaled, the first: ${strange[0]}`)
  const { notKept } = held.status
  const poison = held.points.flatMap((point, i) => (isPoison(point) ? [notKept.points + i + 1] : []))
  const rejected = held.rejected.points.filter((at) => at > notKept.points)
  const wronged = rejected.filter((at) => !poison.includes(at))
  // What a memory knew that has died is not known: those that it had set aside count as delivered.
  if (isLenient ? wronged.length > 0 : poison.join() !== rejected.join())
    wrong.push(`rejected are ${rejected.join()}, refused were ${poison.join()}`)
  if (held.rejected.others > 0) wrong.push(`${held.rejected.others} rows that are no points or params are rejected`)
  return wrong
}

function checkTexts({ params, tags, rejected }: Held, run: ModelRun, isLenient: boolean): string[] {
  const wrong: string[] = []
  const refused = [...params].flatMap(([name, value]) => (value === REFUSED_TEXT ? [name] : []))
  // A memory that has died may have delivered another value.
  const isTaken = (name: string): boolean => isLenient && rejected.params.includes(name) && run.params.has(name)
  const isWrong = isLenient
    ? rejected.params.some((name) => !refused.includes(name) && !isTaken(name))
    : refused.join() !== rejected.params.join()
  if (isWrong) wrong.push(`rejected are the params ${rejected.params.join()}, refused were ${refused.join()}`)
  for (const [name, value] of params)
    if (value !== REFUSED_TEXT && run.params.get(name) !== value && !isTaken(name))
      wrong.push(`the param ${name} is ${run.params.get(name)}, expected ${value}`)
  for (const [name, value] of tags)
    if (run.tags.get(name) !== value) wrong.push(`the tag ${name} is ${run.tags.get(name)}, expected ${value}`)
  return wrong
}
