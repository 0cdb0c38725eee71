import { drawnLine } from '../chart/drawn.ts'
import { parseFilter } from '../chart/glob.ts'
import type { RunHistory } from '../store/history.ts'
import type { RunSummary, SeriesSummary } from '../web/api.ts'
import type { ChartItem } from './chart.ts'
import type { Frame } from './frame.ts'
import { groupsOf, sortedSeries, titlesOf, withLast } from './series.ts'
import type { Source } from './source.ts'
import { INITIAL, pressed, type TopState } from './state.ts'
import { choicesOf, drawTop, layoutOf, type Model } from './view.ts'

/** Journals are looked at this often: what is committed is on the screen within half a second. */
export const REFRESH_MS = 250

/** Time that one look at a journal may take: keys are answered in between. */
const READ_MS = 80

type Drawn = Pick<ChartItem, 'line' | 'origin'>

/** What is shown and chosen, without the terminal that it is shown on. */
export class Session {
  readonly #source: Source
  readonly #stateDir: string
  readonly #now: () => number
  #state: TopState = INITIAL
  #runs: RunSummary[] = []
  #history: RunHistory | null = null
  #series: SeriesSummary[] = []
  #problem: string | null = null
  #readTo = 0
  /** Lines that were drawn, by series; they hold while the series has no new point. */
  readonly #lines = new Map<number, { mark: string; drawn: Drawn | null }>()

  /** `now` in UTC ms. */
  constructor(source: Source, stateDir: string, now: () => number) {
    this.#source = source
    this.#stateDir = stateDir
    this.#now = now
    this.refresh()
  }

  /** Looks at what was committed since. @returns whether anything is new */
  refresh(): boolean {
    const isNew = this.#source.refresh()
    this.#runs = this.#source.runs()
    const chosen = this.#runs.find(({ run }) => run === this.#state.run) ?? this.#runs[0]
    if (chosen !== undefined && chosen.run !== this.#state.run) this.#choose(chosen.run)
    return this.#read() || isNew
  }

  /** @returns null, or what the terminal has to do */
  press(key: string, width: number, height: number): 'quit' | 'suspend' | null {
    const model = this.#model()
    const before = this.#state
    const next = pressed(before, key, choicesOf(model, layoutOf(model, width, height)))
    if (typeof next === 'string') return next
    this.#state = next
    if (next.run !== null && next.run !== before.run) {
      this.#choose(next.run)
      this.#read()
    }
    return null
  }

  frame(width: number, height: number): Frame {
    return drawTop(this.#model(), width, height)
  }

  #choose(run: string): void {
    this.#state = { ...this.#state, run, isEnlarged: false }
    this.#history = null
    this.#series = []
    this.#lines.clear()
    this.#readTo = 0
  }

  /** @returns whether there is something new of the chosen run */
  #read(): boolean {
    const { run } = this.#state
    if (run === null) return false
    try {
      // The store closes what was not used for long.
      this.#history = this.#source.history(run)
      this.#history.refresh(READ_MS)
      this.#problem = null
    } catch (error) {
      this.#problem = `The journal cannot be read: ${(error as Error).message}`
      return true
    }
    if (this.#history.upTo === this.#readTo) return false
    this.#readTo = this.#history.upTo
    this.#series = sortedSeries(this.#history.series())
    return true
  }

  #model(): Model {
    const { filter } = this.#state
    const { matches, error } = parseFilter(filter)
    const groups = groupsOf(this.#series)
    // Another run may not have it.
    const group = groups.some(({ name }) => name === this.#state.group) ? this.#state.group : null
    const inGroup = this.#series.filter(({ category }) => group === null || category === group)
    const series = inGroup.filter(({ key, label }) => matches(key, label))
    const state = { ...this.#state, group, chart: Math.max(0, Math.min(this.#state.chart, series.length - 1)) }
    const known = this.#runs.find((each) => each.run === state.run) ?? null
    const run = known === null ? null : withLast(known, this.#series)
    const wanted = run?.journaled.points ?? 0
    return {
      state,
      now: this.#now(),
      stateDir: this.#stateDir,
      runs: this.#runs,
      run,
      series,
      groups,
      titleOf: titlesOf(group === null ? this.#series : inGroup),
      lineOf: (of, columns) => this.#lineOf(of, columns),
      progress: wanted === 0 ? 1 : Math.min(1, this.#readTo / wanted),
      problem: this.#problem ?? error,
    }
  }

  #lineOf({ id, key, count }: SeriesSummary, columns: number): Drawn | null {
    const { axis } = this.#state
    const mark = `${count} ${columns} ${axis}`
    const known = this.#lines.get(id)
    if (known?.mark === mark) return known.drawn
    const line = this.#history?.line(key, { axis, width: columns * 2 }) ?? null
    const drawn = line === null ? null : { line: drawnLine(line), origin: line.origin }
    this.#lines.set(id, { mark, drawn })
    return drawn
  }
}
