import type { SpanColumns } from '../otlp/columns.ts'
import { DOUBLE_BYTES, numberAt, type SpanTemplate } from '../otlp/span-template.ts'
import { msOf } from '../otlp/times.ts'
import type { ColumnReader, RunSlots } from './columns.ts'
import type { SpanLayerOptions } from './span-rules.ts'
import { SpanPlanner, type ListPlan, type SpanPlan } from './span-plans.ts'

/** Most plans that are kept; they are made anew when templates go. */
const MOST = 1024

/** Series of the numbers of a plan, in one run. */
type PlanSeries = readonly Int32Array[] | null

/** Takes the numbers of spans that are known by a template where they stand: with which series and step was found out once. */
export class PlannedSpans {
  readonly #planner: SpanPlanner
  readonly #plans = new Map<SpanTemplate, SpanPlan | null>()
  readonly #series = new WeakMap<RunSlots, Map<SpanPlan, PlanSeries>>()
  #columns!: SpanColumns
  #slots!: RunSlots
  #seriesOf!: Map<SpanPlan, PlanSeries>
  #now = 0
  #values = new Float64Array(64)
  /** Steps of a span's events: each is read once, for all of them have to be integers before a number is taken. */
  #steps = new Float64Array(16)
  #lastTemplate: SpanTemplate | null = null
  #lastPlan: SpanPlan | null = null
  #lastSeriesOf: SpanPlan | null = null
  #lastSeries: PlanSeries = null

  constructor(reader: ColumnReader, options: SpanLayerOptions) {
    this.#planner = new SpanPlanner(reader, options)
  }

  begin(columns: SpanColumns, slots: RunSlots, now: number): void {
    let series = this.#series.get(slots)
    if (series === undefined) this.#series.set(slots, (series = new Map()))
    this.#columns = columns
    this.#slots = slots
    this.#seriesOf = series
    this.#now = now
    this.#lastSeriesOf = null
  }

  /** The plan of a span; null: it has none, and is in the columns. */
  planOf(span: number, isRust: boolean): SpanPlan | null {
    const template = this.#columns.template[span]!
    if (template === null) return null
    if (template !== this.#lastTemplate) {
      this.#lastPlan = this.#find(template, span, isRust)
      this.#lastTemplate = template
    }
    const plan = this.#lastPlan
    if (plan !== null && plan.isRust === isRust) return plan
    if (this.#columns.template[span] !== null) this.#columns.unfold(span)
    return null
  }

  #find(template: SpanTemplate, span: number, isRust: boolean): SpanPlan | null {
    const known = this.#plans.get(template)
    if (known !== undefined) return known
    if (this.#plans.size >= MOST) this.#plans.clear()
    const columns = this.#columns
    columns.unfold(span)
    const plan = this.#planner.plan({ columns, span, template, isRust })
    this.#plans.set(template, plan)
    if (plan !== null) columns.template[span] = template
    return plan
  }

  /** The number that goes with what a span tells. */
  toldNumber(span: number, { toldNumber }: SpanPlan): number {
    if (toldNumber === null) return 0
    return numberAt(this.#columns.view, this.#columns.from[span]! + toldNumber.at, toldNumber.size)
  }

  /** Takes the numbers of a span and its events; false: they have to be taken in columns. */
  take(span: number, plan: SpanPlan): boolean {
    const columns = this.#columns
    const { view } = columns
    const from = columns.from[span]!
    const { own, events, eventCount } = plan
    const step = own === null ? 0 : stepOf(view, from, own)
    if (!Number.isSafeInteger(step)) return false
    if (events.length > this.#steps.length) this.#steps = new Float64Array(events.length * 2)
    const steps = this.#steps
    for (let i = 0; i < events.length; i += 1) {
      steps[i] = stepOf(view, from, events[i]!)
      if (!Number.isSafeInteger(steps[i])) return false
    }
    const series = this.#seriesFor(span, plan)
    if (series === null) return false
    const isMeasured = own !== null && plan.isMeasured && columns.durationMs[span]! >= 0
    const duration = isMeasured ? this.#slots.durationSeries(own.prefix, columns.name[span]!) : -1
    if (isMeasured && duration < 0) return false
    const { layer } = this.#slots
    const time = columns.endMs[span]! || columns.startMs[span]! || this.#now
    let points = 0
    if (own !== null) {
      points += this.#takeList(from, own, series[0]!, step, time)
      if (isMeasured) {
        layer.point(duration, step, time, columns.durationMs[span]!)
        points += 1
      }
    }
    for (let i = 0; i < events.length; i += 1) {
      const event = events[i]!
      const { timeAt } = event
      const own = timeAt < 0 ? 0 : msOf(view.getUint32(from + timeAt + 4, true), view.getUint32(from + timeAt, true))
      points += this.#takeList(from, event, series[i + 1]!, steps[i]!, own || time)
    }
    layer.countEvents(eventCount)
    layer.countPoints(points)
    return true
  }

  #takeList(from: number, { at, sizes }: ListPlan, series: Int32Array, step: number, time: number): number {
    const { view } = this.#columns
    if (at.length > this.#values.length) this.#values = new Float64Array(at.length * 2)
    const values = this.#values
    for (let i = 0; i < at.length; i += 1) {
      const place = from + at[i]!
      values[i] = sizes[i] === DOUBLE_BYTES ? view.getFloat64(place, true) : numberAt(view, place, sizes[i]!)
    }
    this.#slots.layer.points(at.length, series, step, time, values)
    return at.length
  }

  #seriesFor(span: number, plan: SpanPlan): PlanSeries {
    if (plan === this.#lastSeriesOf) return this.#lastSeries
    let series = this.#seriesOf.get(plan)
    if (series === undefined) {
      series = this.#lookUp(span, plan)
      if (this.#seriesOf.size >= MOST) this.#seriesOf.clear()
      this.#seriesOf.set(plan, series)
    }
    this.#lastSeriesOf = plan
    this.#lastSeries = series
    return series
  }

  /** In the order in which they become points; null: a number has no series. */
  #lookUp(span: number, { own, events, isMeasured }: SpanPlan): PlanSeries {
    const slots = this.#slots
    const all: Int32Array[] = []
    for (const list of own === null ? [null, ...events] : [own, ...events]) {
      const series = Int32Array.from(list?.names ?? [], (name) => slots.series(list!.prefix, name))
      if (series.some((slot) => slot < 0)) return null
      if (list === own && list !== null && isMeasured && this.#columns.durationMs[span]! >= 0)
        if (slots.durationSeries(list.prefix, this.#columns.name[span]!) < 0) return null
      all.push(series)
    }
    return all
  }
}

const stepOf = (view: DataView, from: number, { step }: ListPlan): number =>
  numberAt(view, from + step.at, step.size) + 0
