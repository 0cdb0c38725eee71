import { DatabaseSync } from 'node:sqlite'
import { letGo } from '../channel/memory.ts'
import { pointsOfBlock, type StoredPoints } from '../journal/blocks.ts'
import { DamagedJournal } from '../journal/damage.ts'
import { Statements } from '../journal/statements.ts'
import { describeMetric } from '../registry/index.ts'
import type { Axis, Line, LivePoints, Pair, RunDetail, RunSummary, SeriesSummary, Value } from '../web/api.ts'
import { readEvents, readEventsSince, type EventsQuery } from './events.ts'
import { drawn, Extremes, type Drawn } from './extremes.ts'
import { Outline, type Point } from './outline.ts'
import { whole, type Pieces } from './pieces.ts'
import { readRejected } from './rejected.ts'
import { SpanIndex, STEP_FIELDS, type SpansQuery } from './spans.ts'
import { readSteps, type StepsQuery } from './steps.ts'
import type { EventRow, EventsPage, RejectedPage, SpansPage, StepsPage } from '../web/api.ts'

/** Bars of a series in a list. */
const SPARKLINE = 32

/** Points of a stretch of the axis; beyond, only the extremes of each pixel are read. */
const POINTS_PER_PIXEL = 2

export interface LineQuery {
  axis: Axis
  /** In units of the axis, both included; absent: all. */
  from?: number
  to?: number
  /** Pixels. */
  width: number
}

/** Points that are looked for together: a run that commits few at a time has as many blocks as commits. */
const COVERED = 8192

/** Parts of each series of a run that only a list shows: 4 KB instead of 64. */
const LIST_PARTS = 2 * SPARKLINE

/** Settings that what is read depends on. */
export interface ReadSettings {
  /** Labels of metrics. */
  labels?: Readonly<Record<string, string>>
  /** Attributes that hold the step of a span, strongest first. */
  stepFields?: readonly string[]
}

/** What neighbouring blocks cover, so that a stretch is read without the others. */
interface Covered {
  first: number
  last: number
  step: [least: number, greatest: number]
  time: [least: number, greatest: number]
}

/** JSON has no word for values that are not finite. */
export const valueOf = (value: number): Value => (Number.isFinite(value) ? value : (String(value) as Value))

/** The numbers of one run as of its last commit: an outline of each series, and the points themselves where they are asked for. */
export class RunHistory {
  readonly run: string
  readonly path: string
  #open: Statements | null
  readonly #mostParts: number | undefined
  readonly #labels: Readonly<Record<string, string>>
  readonly #stepFields: readonly string[]
  readonly #keys: string[] = []
  readonly #idOf = new Map<string, number>()
  readonly #outlines: (Outline | undefined)[] = []
  readonly #covered: Covered[] = []
  #spans: SpanIndex | null = null
  #upTo = 0
  #startedAt = Infinity

  /** `isShort`: `series()` is all that is wanted of it. @throws when the journal cannot be opened */
  constructor(
    run: string,
    path: string,
    { labels = {}, stepFields = STEP_FIELDS }: ReadSettings = {},
    { isShort = false }: { isShort?: boolean } = {},
  ) {
    this.run = run
    this.path = path
    this.#labels = labels
    this.#stepFields = stepFields
    this.#mostParts = isShort ? LIST_PARTS : undefined
    this.#open = openAt(path)
  }

  get #rows(): Statements {
    return (this.#open ??= openAt(this.path))
  }

  /** Sequence number of the last point that has been read. */
  get upTo(): number {
    return this.#upTo
  }

  /**
   * Reads what was committed since, for about `budgetMs`. @returns whether that was all
   * @throws DamagedJournal
   */
  refresh(budgetMs = Infinity): boolean {
    const deadline = performance.now() + budgetMs
    this.readKeys()
    for (;;) {
      const block = this.#blockBehind(this.#upTo)
      if (block === null) return true
      this.#read(block)
      letGo(block.value)
      if (performance.now() > deadline) return false
    }
  }

  /** Reads keys that are new, and no points. */
  readKeys(): void {
    for (const row of this.#rows.all('SELECT id, key FROM series WHERE id >= ? ORDER BY id', this.#keys.length)) {
      this.#keys[Number(row['id'])] = String(row['key'])
      this.#idOf.set(String(row['key']), Number(row['id']))
    }
  }

  /** All keys, whether they have points in the journal or not. */
  get keys(): readonly string[] {
    return this.#keys
  }

  keyOf(series: number): string {
    return this.#keys[series] ?? ''
  }

  /** Params and tags, in the order in which they came. */
  pairs(): { params: Pair[]; tags: Pair[] } {
    const read = (table: string): Pair[] =>
      this.#rows
        .all(`SELECT name, value FROM ${table} ORDER BY sequence`)
        .map((row) => ({ name: String(row['name']), value: String(row['value']) }))
    return { params: read('params'), tags: read('tags') }
  }

  detail(summary: RunSummary): RunDetail {
    const count = (level: string): number => readEvents(this.#rows, { level, limit: 0 }).total
    return {
      run: summary,
      series: this.series(),
      ...this.pairs(),
      events: { warn: count('WARN'), error: count('ERROR') },
      spans: summary.journaled.spans,
      origin: Number.isFinite(this.#startedAt) ? this.#startedAt : null,
    }
  }

  series(): SeriesSummary[] {
    return this.#outlines.flatMap((_, id) => this.summary(id) ?? [])
  }

  /** One series in short; null while it has no point. */
  summary(id: number): SeriesSummary | null {
    const outline = this.#outlines[id]
    if (outline === undefined || outline.first === null || outline.last === null) return null
    const { first, last, count, min, max, nan, infinite } = outline
    const key = this.keyOf(id)
    const { category, label, unit, thresholds } = describeMetric(key, this.#labels)
    const isEmpty = min > max
    return {
      run: this.run,
      id,
      key,
      category,
      label,
      unit,
      thresholds,
      count,
      first: { step: first.step, time: first.time },
      last: { step: last.step, time: last.time, value: valueOf(last.value) },
      min: isEmpty ? null : min,
      max: isEmpty ? null : max,
      nan,
      infinite,
      sparkline: outline.sparkline(SPARKLINE).map((value) => (Number.isFinite(value) ? value : null)),
    }
  }

  /** One series as a chart of `width` pixels draws it; null: the run has no such key. */
  line(key: string, query: LineQuery): Line | null {
    const id = this.#idOf.get(key)
    const outline = id === undefined ? undefined : this.#outlines[id]
    if (id === undefined || outline === undefined) return null
    const axis = query.axis === 'step' ? 'step' : 'time'
    const origin = query.axis === 'relative' ? this.#startedAt : 0
    const from = (query.from ?? -Infinity) + origin
    const to = (query.to ?? Infinity) + origin
    const isWhole = from <= this.#least(outline, axis) && to >= this.#greatest(outline, axis)
    // A part has two points. What is finer is read of all blocks of the run, which takes a second for ten million points.
    const isFine = outline.isRaw || 2 * outline.parts >= query.width
    const found =
      isFine && (isWhole || outline.isRaw)
        ? this.#fromOutline(outline, axis, from, to)
        : this.#fromBlocks(id, outline, axis, from, to, query.width)
    if (!found.isRaw && isWhole) addEnds(found.drawn, outline, axis)
    const odd = outline.odd.filter((point) => point[axis] >= from && point[axis] <= to)
    return {
      run: this.run,
      id,
      points: found.points,
      isRaw: found.isRaw,
      steps: found.drawn.steps,
      times: found.drawn.times,
      values: found.drawn.values.map(valueOf),
      means: found.drawn.means?.map(valueOf) ?? null,
      nan: found.nan,
      infinite: found.infinite,
      odd: odd.map(({ step, time, value }) => ({ step, time, value: valueOf(value) })),
      origin: this.#startedAt,
      upTo: this.#upTo,
    }
  }

  /** Points behind a sequence number, by series; null when they are more than `limit`. */
  since(after: number, limit: number): LivePoints['series'] | null {
    if (this.#upTo - after > limit) return null
    const bySeries = new Map<number, LivePoints['series'][number]>()
    for (const block of this.blocks(after)) {
      for (let i = Math.max(0, after + 1 - block.first); i < block.count && block.first + i <= this.#upTo; i += 1) {
        const id = block.series[i]!
        let of = bySeries.get(id)
        if (of === undefined) bySeries.set(id, (of = this.#noneOf(id)))
        of.steps.push(block.step[i]!)
        of.times.push(block.time[i]!)
        of.values.push(valueOf(block.value[i]!))
      }
    }
    return [...bySeries.values()]
  }

  #noneOf(id: number): LivePoints['series'][number] {
    return { id, key: this.keyOf(id), count: this.#outlines[id]?.count ?? 0, steps: [], times: [], values: [] }
  }

  /** Raw points in order, block by block, from the one behind `after`. */
  *blocks(after = 0): Generator<StoredPoints> {
    for (let behind = after; ;) {
      const block = this.#blockBehind(behind)
      if (block === null) return
      yield block
      behind = block.first + block.count - 1
    }
  }

  events(query: EventsQuery): EventsPage {
    return readEvents(this.#rows, query)
  }

  /** Events behind a sequence number, oldest first. */
  eventsSince(after: number, limit: number): EventRow[] {
    return readEventsSince(this.#rows, after, limit)
  }

  spans(query: SpansQuery): SpansPage {
    return whole(this.spansInPieces(query))
  }

  spansInPieces(query: SpansQuery): Pieces<SpansPage> {
    return this.#spanIndex().read(query)
  }

  /** How long spans of each name took, by step, without the spans inside them: so they add up. */
  steps(query: StepsQuery): StepsPage {
    return whole(this.stepsInPieces(query))
  }

  *stepsInPieces(query: StepsQuery): Pieces<StepsPage> {
    const { counted, total, durations } = yield* this.#spanIndex().durations()
    return { ...(yield* readSteps(durations, query)), counted, total }
  }

  /** What destinations refused, newest first. */
  rejected(limit: number): RejectedPage {
    return readRejected(this.#rows, limit)
  }

  /** Lets go of the file, and keeps what was read: the next question opens it again. */
  close(): void {
    this.#open?.close()
    this.#open = null
    this.#spans = null
  }

  #spanIndex(): SpanIndex {
    this.#spans ??= new SpanIndex(this.#rows, this.#stepFields)
    return this.#spans
  }

  #read(block: StoredPoints): void {
    const { first, count, series, step, time, value } = block
    const { step: steps, time: times } = this.#coveredBy(first, count)
    for (let i = Math.max(0, this.#upTo + 1 - first); i < count; i += 1) {
      const id = series[i]!
      let outline = this.#outlines[id]
      if (outline === undefined) {
        if (id >= this.#keys.length) throw new DamagedJournal(this.path, `point ${first + i} is of no series`)
        this.#outlines[id] = outline = new Outline(this.#mostParts)
      }
      const s = step[i]!
      const t = time[i]!
      outline.add(s, t, value[i]!)
      if (s < steps[0]) steps[0] = s
      if (s > steps[1]) steps[1] = s
      if (t < times[0]) times[0] = t
      if (t > times[1]) times[1] = t
    }
    if (times[0] < this.#startedAt) this.#startedAt = times[0]
    this.#upTo = first + count - 1
  }

  /** Where it is noted what a block covers that has just come. */
  #coveredBy(first: number, count: number): Covered {
    const last = first + count - 1
    let covered = this.#covered.at(-1)
    if (covered === undefined || last - covered.first >= COVERED) {
      covered = { first, last, step: [Infinity, -Infinity], time: [Infinity, -Infinity] }
      this.#covered.push(covered)
    }
    covered.last = last
    return covered
  }

  #blockBehind(sequence: number): StoredPoints | null {
    const sql = 'SELECT first, count, data FROM blocks WHERE first > ? ORDER BY first LIMIT 1'
    const row = this.#rows.get(sql, sequence)
    return row === undefined ? null : pointsOfBlock(row, this.path)
  }

  #least(outline: Outline, axis: 'step' | 'time'): number {
    return outline.isAscending[axis] ? outline.first![axis] : -Infinity
  }

  #greatest(outline: Outline, axis: 'step' | 'time'): number {
    return outline.isAscending[axis] ? outline.last![axis] : Infinity
  }

  #fromOutline(outline: Outline, axis: 'step' | 'time', from: number, to: number): Found {
    const inRange = (point: Point): boolean => point[axis] >= from && point[axis] <= to
    const all = [...outline.points()].filter(inRange)
    const { isRaw } = outline
    // What is no number is drawn as a mark, and no point of the line where that is made of extremes.
    const points = isRaw ? all : all.filter(({ value }) => Number.isFinite(value))
    const odd = isRaw ? all.filter(({ value }) => !Number.isFinite(value)) : null
    const nan = odd?.filter(({ value }) => Number.isNaN(value)).length ?? outline.nan
    return {
      points: isRaw ? all.length : outline.count,
      isRaw,
      nan,
      infinite: odd === null ? outline.infinite : odd.length - nan,
      drawn: drawn(points, axis, outline.isAscending[axis], isRaw),
    }
  }

  /** Reads the stretch itself: all of its points when they are few, else the extremes of each pixel. */
  #fromBlocks(id: number, outline: Outline, axis: 'step' | 'time', from: number, to: number, width: number): Found {
    const raw: Point[] = []
    const range = this.#rangeOf(outline, axis, from, to)
    const extremes = new Extremes(range.from, range.to, width)
    const found = { points: 0, nan: 0, infinite: 0 }
    const mostRaw = width * POINTS_PER_PIXEL
    for (const { series, step, time, value, count } of this.#within(axis, from, to)) {
      const places = axis === 'step' ? step : time
      for (let i = 0; i < count; i += 1) {
        if (series[i] !== id || places[i]! < from || places[i]! > to) continue
        const v = value[i]!
        found.points += 1
        if (Number.isNaN(v)) found.nan += 1
        else if (v - v !== 0) found.infinite += 1
        if (raw.length <= mostRaw) raw.push({ step: step[i]!, time: time[i]!, value: v })
        extremes.add(places[i]!, step[i]!, time[i]!, v)
      }
    }
    const isRaw = found.points <= mostRaw
    const isAscending = isRaw ? outline.isAscending[axis] : false
    return { ...found, isRaw, drawn: drawn(isRaw ? raw : extremes.points(), axis, isAscending, isRaw) }
  }

  /** The stretch of the axis on which pixels are laid out. */
  #rangeOf(outline: Outline, axis: 'step' | 'time', from: number, to: number): { from: number; to: number } {
    if (Number.isFinite(from) && Number.isFinite(to)) return { from, to }
    let least = Math.max(from, this.#least(outline, axis))
    let greatest = Math.min(to, this.#greatest(outline, axis))
    if (Number.isFinite(least) && Number.isFinite(greatest)) return { from: least, to: greatest }
    least = Infinity
    greatest = -Infinity
    for (const { [axis]: range } of this.#covered) {
      least = Math.min(least, range[0])
      greatest = Math.max(greatest, range[1])
    }
    return { from: Math.max(from, least), to: Math.min(to, greatest) }
  }

  /** Blocks that may hold points of a stretch. */
  *#within(axis: 'step' | 'time', from: number, to: number): Generator<StoredPoints> {
    for (const { first, last, [axis]: range } of this.#covered) {
      if (range[1] < from || range[0] > to) continue
      for (let behind = first - 1; behind < last;) {
        const block = this.#blockBehind(behind)
        // Those that were there may have been dropped since.
        if (block === null || block.first > last) break
        yield block
        behind = block.first + block.count - 1
        letGo(block.value)
      }
    }
  }
}

const openAt = (path: string): Statements => new Statements(new DatabaseSync(path, { readOnly: true, timeout: 2000 }))

/** The ends of a series are seldom extremes, and its picture begins and ends with them all the same. */
function addEnds({ steps, times, values, means }: Drawn, { first, last }: Outline, axis: 'step' | 'time'): void {
  const places = axis === 'step' ? steps : times
  if (first !== null && Number.isFinite(first.value) && first[axis] < (places[0] ?? -Infinity)) {
    steps.unshift(first.step)
    times.unshift(first.time)
    values.unshift(first.value)
    means?.unshift(means[0] ?? first.value)
  }
  if (last !== null && Number.isFinite(last.value) && last[axis] > (places.at(-1) ?? Infinity)) {
    steps.push(last.step)
    times.push(last.time)
    values.push(last.value)
    means?.push(means.at(-1) ?? last.value)
  }
}

interface Found {
  points: number
  isRaw: boolean
  nan: number
  infinite: number
  drawn: Drawn
}
