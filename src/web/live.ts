import type { RunHistory } from '../store/history.ts'
import type { Store } from '../store/store.ts'
import type { Live, LivePoints } from './api.ts'
import type { EventStream } from './sse.ts'

/** How often journals are looked at while somebody listens: they are committed each 50 ms. */
const LOOK_MS = 200
/** A run that could not be read is tried again after this long. */
const AGAIN_MS = 1000
/** Accounts change with each commit; they are told of this often, and so is that charts are to be asked for again. */
const ACCOUNTS_MS = 500
const RELOAD_MS = 1000
/** Points of a run that are sent at once; more are asked for as charts. */
const MAX_POINTS = 10_000
const MAX_EVENTS = 200
/** Numbers of one run are read this long at a time, so that others have their turn. */
const READ_MS = 20
/** A page asks for the state, for its charts, and then begins to listen: what changed in between it hears of. */
const BETWEEN_MS = 60_000

/** A run whose points somebody wants. */
interface Watched {
  run: string
  /** Sequence number of the last point that the reader knows; null: whatever is there when it comes. */
  after: number | null
  lastEvent: number | null
  /** Series that the reader knows. */
  known: Set<number>
  reloadAt: number
  /** When it could not be read last; null: it can. */
  failedAt: number | null
}

interface Reader {
  stream: EventStream
  watched: Watched[]
}

export interface LiveOptions {
  store: Store
  hello: () => Live['hello']
  /** UTC ms. */
  now: () => number
  /** A throw that nobody expects. */
  onFault: (error: unknown) => void
}

/** Tells all readers what is new. Looks only while there is one. */
export class LiveHub {
  readonly #options: LiveOptions
  readonly #readers = new Set<Reader>()
  #timer: NodeJS.Timeout | null = null
  #changed = new Set<string>()
  #gone = new Set<string>()
  /** When each was noticed, in monotonic milliseconds. */
  readonly #changedAt = new Map<string, number>()
  readonly #goneAt = new Map<string, number>()
  /** When the state was asked for lately. */
  #statesAt: number[] = []
  #accountsAt = -Infinity

  constructor(options: LiveOptions) {
    this.#options = options
  }

  /** `after`, in the order of the runs, tells how far each is known; what is missing there: from now on. */
  join(stream: EventStream, runs: readonly string[], after: readonly Position[]): void {
    const watched = runs.map((run, i) => ({
      run,
      after: after[i]?.point ?? null,
      lastEvent: after[i]?.event ?? null,
      known: new Set<number>(),
      reloadAt: -Infinity,
      failedAt: null,
    }))
    const reader = { stream, watched }
    stream.onClose(() => this.#leave(reader))
    stream.send('hello', this.#options.hello())
    this.#tellSinceState(reader)
    this.#readers.add(reader)
    this.#timer ??= setInterval(() => this.look(), LOOK_MS)
    this.look()
  }

  /** Somebody has got the state as it is now. */
  stateAsked(): void {
    const now = performance.now()
    this.#statesAt = [...this.#statesAt.filter((at) => at > now - BETWEEN_MS), now]
  }

  /** What others have found when they looked: each change is told of once. */
  noticed({ changed, gone }: { changed: readonly string[]; gone: readonly string[] }): void {
    const now = performance.now()
    for (const run of changed) {
      this.#goneAt.delete(run)
      this.#changedAt.set(run, now)
      this.#gone.delete(run)
      if (this.#readers.size > 0) this.#changed.add(run)
    }
    for (const run of gone) {
      this.#changedAt.delete(run)
      this.#goneAt.set(run, now)
      this.#changed.delete(run)
      if (this.#readers.size > 0) this.#gone.add(run)
    }
  }

  /** Tells all readers what there is by now, whenever they heard last, and ends their streams. */
  last(): void {
    this.#accountsAt = -Infinity
    this.look()
    for (const { stream } of this.#readers) stream.end()
  }

  look(): void {
    try {
      this.noticed(this.#options.store.refresh())
      this.#tellAccounts()
      for (const reader of this.#readers) for (const watched of reader.watched) this.#tellRun(reader, watched)
    } catch (error) {
      this.#options.onFault(error)
    }
  }

  /** One that cannot be read keeps nobody from hearing of the others; it is tried again, and told of once. */
  #tellRun(reader: Reader, watched: Watched): void {
    const { failedAt } = watched
    if (failedAt !== null && performance.now() - failedAt < AGAIN_MS) return
    try {
      this.#tellPoints(reader, watched)
      watched.failedAt = null
    } catch (error) {
      watched.failedAt = performance.now()
      if (failedAt === null) this.#options.onFault(error)
    }
  }

  #leave(reader: Reader): void {
    this.#readers.delete(reader)
    if (this.#readers.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }

  /** Which state a reader has is not known: the oldest that it may be is assumed. */
  #tellSinceState(reader: Reader): void {
    const since = this.#statesAt.find((at) => at > performance.now() - BETWEEN_MS) ?? Infinity
    const behind = (times: ReadonlyMap<string, number>): string[] =>
      [...times].filter(([, at]) => at > since).map(([run]) => run)
    const [changed, gone] = [behind(this.#changedAt), behind(this.#goneAt)]
    if (changed.length + gone.length > 0) this.#sendAccounts([reader], changed, gone)
  }

  #tellAccounts(): void {
    if (this.#changed.size + this.#gone.size === 0 || performance.now() - this.#accountsAt < ACCOUNTS_MS) return
    this.#accountsAt = performance.now()
    this.#sendAccounts([...this.#readers], [...this.#changed], [...this.#gone])
    this.#changed = new Set()
    this.#gone = new Set()
  }

  #sendAccounts(readers: readonly Reader[], runs: readonly string[], gone: readonly string[]): void {
    const { store, now } = this.#options
    const changed = runs.map((run) => store.summary(run))
    const data: Live['runs'] = { now: now(), changed, gone: [...gone] }
    for (const { stream } of readers) stream.send('runs', data)
  }

  #tellPoints(reader: Reader, watched: Watched): void {
    const history = this.#historyOf(watched.run)
    if (history === null) return
    const isAll = history.refresh(READ_MS)
    this.#tellEvents(reader, watched, history)
    // Whoever names no point has those that are there.
    if (watched.after === null && isAll) watched.after = history.upTo
    const { after } = watched
    if (after === null || after === history.upTo || (after > history.upTo && !isAll)) return
    const series = after > history.upTo ? null : history.since(after, MAX_POINTS)
    if (series === null) this.#tellReload(reader, watched, history.upTo)
    else this.#sendPoints(reader, watched, series, history)
  }

  #sendPoints(reader: Reader, watched: Watched, series: LivePoints['series'], history: RunHistory): void {
    watched.after = history.upTo
    const data: LivePoints = {
      run: watched.run,
      now: this.#options.now(),
      upTo: history.upTo,
      series,
      added: series.flatMap(({ id, steps }) => {
        if (watched.known.has(id)) return []
        watched.known.add(id)
        const summary = history.summary(id)
        // One that has no points but these is new.
        return summary !== null && summary.count === steps.length ? [summary] : []
      }),
    }
    reader.stream.send('points', data, positionsOf(reader))
  }

  #tellReload(reader: Reader, watched: Watched, upTo: number): void {
    if (performance.now() - watched.reloadAt < RELOAD_MS) return
    watched.reloadAt = performance.now()
    watched.after = upTo
    const data: Live['reload'] = { run: watched.run, upTo }
    reader.stream.send('reload', data, positionsOf(reader))
  }

  #tellEvents(reader: Reader, watched: Watched, history: RunHistory): void {
    if (watched.lastEvent === null) {
      watched.lastEvent = history.events({ limit: 1 }).rows[0]?.sequence ?? 0
      return
    }
    const rows = history.eventsSince(watched.lastEvent, MAX_EVENTS)
    if (rows.length === 0) return
    watched.lastEvent = rows.at(-1)!.sequence
    const data: Live['events'] = { run: watched.run, rows }
    reader.stream.send('events', data, positionsOf(reader))
  }

  /** Null: it is gone, or cannot be read. */
  #historyOf(run: string): RunHistory | null {
    try {
      return this.#options.store.run(run)
    } catch {
      return null
    }
  }
}

/** How far a reader has got in one run: sequence numbers of the last point and event, null where it has not said. */
export interface Position {
  point: number | null
  event: number | null
}

/** How far a reader has got, in the order of its runs; it shows that when it comes again. */
const positionsOf = ({ watched }: Reader): string =>
  watched.map(({ after, lastEvent }) => `${after ?? ''}:${lastEvent ?? ''}`).join(',')

/** The other way round. Null: that was not written by us. */
export function positionsIn(id: string | undefined, count: number): Position[] | null {
  const parts = (id ?? '').split(',').map((part) => /^(\d*):(\d*)$/.exec(part))
  if (id === undefined || parts.length !== count || parts.includes(null)) return null
  const numberIn = (text: string | undefined): number | null =>
    text === undefined || text === '' ? null : Number(text)
  return parts.map((part) => ({ point: numberIn(part![1]), event: numberIn(part![2]) }))
}
