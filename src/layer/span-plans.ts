import type { SpanColumns } from '../otlp/columns.ts'
import type { SpanTemplate, TemplateList } from '../otlp/span-template.ts'
import type { ColumnReader } from './columns.ts'
import type { Told } from './known.ts'
import { levelOfWord, type SpanLayerOptions } from './span-rules.ts'

/** A number of a template: where it stands in the Span message, and how many bytes it has. */
export interface Place {
  at: number
  size: number
}

/** The numbers of a span, or of one of its events, and where their step stands. */
export interface ListPlan {
  prefix: number
  step: Place
  /** Where the time of an event stands; -1: it has none. */
  timeAt: number
  /** By `Names`: of numbers that may become points. */
  names: readonly number[]
  at: Int32Array
  sizes: Uint8Array
}

/** What becomes of each span of a template, as far as its steps are integers. */
export interface SpanPlan {
  told: Told | null
  /** The number that goes with it; null: there is none. */
  toldNumber: Place | null
  /** Of the span itself; null: it has no numbers. */
  own: ListPlan | null
  /** Of its events that have numbers. */
  events: readonly ListPlan[]
  eventCount: number
  isMeasured: boolean
  /** Of whose spans this holds: filters may be others. */
  isRust: boolean
}

/** What stands where, in a span of a template that has been unfolded. */
interface Unfolded {
  columns: SpanColumns
  span: number
  template: SpanTemplate
  isRust: boolean
}

/**
 * Finds what becomes of all spans of a template; null where that is not known from their names, kinds and texts alone: where a step
 * or a category comes from the spans around, an event is configuration, kept out by a filter or kept in the journal.
 */
export class SpanPlanner {
  readonly #reader: ColumnReader
  readonly #allows: SpanLayerOptions['allows']
  readonly #inherits: boolean

  constructor(reader: ColumnReader, { allows, rules }: SpanLayerOptions) {
    this.#reader = reader
    this.#allows = allows
    this.#inherits = rules.inherit
  }

  plan(unfolded: Unfolded): SpanPlan | null {
    const { columns, span, template } = unfolded
    const reader = this.#reader
    const [from, to] = [columns.attributesFrom[span]!, columns.attributesTo[span]!]
    const told = reader.told(from, to)
    const tellers = reader.numbersTold()
    if (tellers.length > 1) return null
    const isMeasured = reader.isMeasuredName(columns.name[span]!)
    const own = this.#list(unfolded, from, to, template.lists[0]!, isMeasured)
    if (own === null) return null
    const events: ListPlan[] = []
    const first = columns.eventsFrom[span]!
    for (let event = first; event < columns.eventsTo[span]!; event += 1) {
      const plan = this.#event(unfolded, event, template.lists[1 + event - first]!)
      if (plan === null) return null
      if (plan !== 'nothing') events.push(plan)
    }
    return {
      told,
      toldNumber: tellers.length === 0 ? null : placeIn(template.lists[0]!, tellers[0]! - from),
      own: own === 'nothing' ? null : own,
      events,
      eventCount: columns.eventsTo[span]! - first,
      isMeasured,
      isRust: unfolded.isRust,
    }
  }

  #event(unfolded: Unfolded, event: number, list: TemplateList): ListPlan | 'nothing' | null {
    const { columns } = unfolded
    const reader = this.#reader
    if (reader.isConfig(event)) return null
    const [from, to] = [columns.eventFrom[event]!, columns.eventTo[event]!]
    reader.list(from, to)
    const { target, level } = reader.filtered()
    if (reader.isKept(event, level)) return null
    const plan = this.#list(unfolded, from, to, list)
    if (plan === null || plan === 'nothing') return plan
    return this.#allows(target, levelOfWord(level), unfolded.isRust) ? plan : null
  }

  /** 'nothing': it has no numbers, so that a step is not asked for, unless the span `isMeasured`. */
  #list(
    { columns, span, template }: Unfolded,
    from: number,
    to: number,
    list: TemplateList,
    isMeasured = false,
  ): ListPlan | 'nothing' | null {
    const reader = this.#reader
    const isOwn = reader.list(from, to)
    const numbers = reader.numbers()
    if (numbers.length === 0 && !isMeasured) return 'nothing'
    let prefix = reader.hasCategory || !this.#inherits ? reader.prefix : -1
    let outer = -1
    if (!isOwn) {
      // What the span tells its events is known, too.
      outer = columns.attributesFrom[span]!
      if (from === outer) return null
      reader.list(outer, columns.attributesTo[span]!)
      if (prefix < 0) prefix = reader.hasCategory ? reader.prefix : -1
    }
    if (prefix < 0) return null
    let step = reader.surestStep(from, to, prefix)
    let place = step < 0 ? null : placeIn(list, step - from)
    if (place === null && outer >= 0) {
      step = reader.surestStep(outer, columns.attributesTo[span]!, prefix)
      place = step < 0 ? null : placeIn(template.lists[0]!, step - outer)
    }
    if (place === null) return null
    return {
      prefix,
      step: place,
      timeAt: list.timeAt,
      names: numbers.map((i) => columns.attributes.name[i]!),
      at: Int32Array.from(numbers, (i) => list.at[i - from]!),
      sizes: Uint8Array.from(numbers, (i) => list.sizes[i - from]!),
    }
  }
}

const placeIn = (list: TemplateList, i: number): Place => ({ at: list.at[i]!, size: list.sizes[i]! })
