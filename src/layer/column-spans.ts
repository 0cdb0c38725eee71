import { ID_WORDS, PARENT_WORD, type SpanColumns } from '../otlp/columns.ts'
import type { OtlpSpan } from '../otlp/traces.ts'
import { ROUNDED_INTEGERS } from '../telemetry/counters.ts'
import { ColumnReader, RunSlots } from './columns.ts'
import type { Fields, TracingEvent } from './event.ts'
import { fieldsOf, type KnownSpans, type Told } from './known.ts'
import { PlannedSpans } from './planned-spans.ts'
import type { Rules } from './rules.ts'
import {
  durationPath,
  eventOf,
  isRust,
  levelOfWord,
  lightOf,
  type EventOf,
  type SpanLayerOptions,
  type SpanRun,
} from './span-rules.ts'

/** Takes what has to be an object: because it must wait for spans that are not here, or is configuration. */
export interface AsObjects {
  span(light: OtlpSpan, run: SpanRun, now: number): void
  event(event: EventOf, run: SpanRun, now: number): void
  /** An event that the journal keeps, beside its numbers. */
  keep(event: EventOf, run: SpanRun, now: number): void
}

/**
 * Takes the numbers of spans in columns by the same rules as `SpanLayer` takes those of objects, without making any: spans
 * and events whose step is known, which are almost all. Everything else goes to `AsObjects`.
 */
export class ColumnSpans {
  readonly #rules: Rules
  readonly #allows: SpanLayerOptions['allows']
  readonly #known: KnownSpans
  readonly #objects: AsObjects
  readonly #reader: ColumnReader
  readonly #planned: PlannedSpans
  readonly #slotsOf = new WeakMap<SpanRun, RunSlots>()

  #columns!: SpanColumns
  #run!: SpanRun
  #slots!: RunSlots
  #now = 0
  // The span that is being taken, and what the spans around it tell; then the same with itself, for its events.
  #span = 0
  #event = -1
  #resource!: Fields
  #isRust = false
  #object: OtlpSpan | null = null
  #around: readonly Fields[] | null = null
  #aroundEvents: readonly Fields[] | null = null
  #isMissing = false

  constructor(options: SpanLayerOptions, known: KnownSpans, objects: AsObjects) {
    const { rules, isMeasured, allows } = options
    this.#rules = rules
    this.#allows = allows
    this.#known = known
    this.#objects = objects
    this.#reader = new ColumnReader(rules, isMeasured)
    this.#planned = new PlannedSpans(this.#reader, options)
  }

  /** Whether it matters what the text of an attribute of this name is. */
  asksText(name: string): boolean {
    return this.#reader.asksText(name)
  }

  /** Spans of a request are taken into a run from now on. */
  begin(columns: SpanColumns, run: SpanRun, now: number): void {
    let slots = this.#slotsOf.get(run)
    if (slots === undefined) {
      slots = new RunSlots(run.layer, this.#rules, (name) => durationPath(name, run.names))
      this.#slotsOf.set(run, slots)
    }
    this.#columns = columns
    this.#run = run
    this.#slots = slots
    this.#now = now
    this.#reader.begin(columns)
    slots.begin(columns.names)
    this.#planned.begin(columns, slots, now)
  }

  /** The spans that are learnt and taken from now on have this resource. */
  under(resource: Fields): void {
    this.#resource = resource
    this.#isRust = isRust(resource)
  }

  /** Notes what a span tells those inside it: the one that was added to `KnownSpans` last. */
  learn(span: number): void {
    const plan = this.#planned.planOf(span, this.#isRust)
    if (plan !== null) this.#known.tell(plan.told, this.#planned.toldNumber(span, plan))
    else this.#known.tell(this.#toldBy(span), this.#reader.toldNumber)
  }

  /** What a span tells those inside it; null: nothing. */
  #toldBy(span: number): Told | null {
    return this.#reader.told(this.#columns.attributesFrom[span]!, this.#columns.attributesTo[span]!)
  }

  /** Takes a span and its events. */
  take(span: number): void {
    const plan = this.#planned.planOf(span, this.#isRust)
    if (plan !== null) {
      if (this.#planned.take(span, plan)) return
      this.#columns.unfold(span)
    }
    this.#span = span
    this.#object = null
    this.#around = null
    this.#aroundEvents = null
    this.#takeAttributes()
    const { eventsFrom, eventsTo, bigIntegers } = this.#columns
    for (let event = eventsFrom[span]!; event < eventsTo[span]!; event += 1) this.#takeEvent(event)
    if (bigIntegers[span]! > 0) this.#run.counters.add(ROUNDED_INTEGERS, bigIntegers[span]!)
  }

  #takeAttributes(): void {
    const reader = this.#reader
    const span = this.#span
    this.#event = -1
    if (!this.#isClear(this.#columns.attributesFrom[span]!, this.#columns.attributesTo[span]!)) {
      this.#objects.span(this.#asObject(), this.#run, this.#now)
      return
    }
    const time = this.#time || this.#now
    reader.take(this.#slots, time, this.#asEvent)
    if (reader.isMeasured(span)) reader.measure(this.#slots, span, time, this.#asEvent)
  }

  #takeEvent(event: number): void {
    const reader = this.#reader
    const { eventFrom, eventTo, eventTimeMs } = this.#columns
    this.#event = event - this.#columns.eventsFrom[this.#span]!
    if (reader.isConfig(event) || !this.#isClear(eventFrom[event]!, eventTo[event]!)) {
      this.#objects.event(this.#eventAsObject(), this.#run, this.#now)
      return
    }
    this.#run.layer.countEvents(1)
    const { target, level } = reader.filtered()
    if (reader.isKept(event, level)) this.#objects.keep(this.#eventAsObject(), this.#run, this.#now)
    if (this.#allows(target, levelOfWord(level), this.#isRust))
      reader.take(this.#slots, eventTimeMs[event]! || this.#time || this.#now, this.#asEvent)
    else this.#run.layer.skip('filtered', reader.count(), this.#asEvent)
  }

  /** The span's own time, as `timeOf`; 0: it has none. */
  get #time(): number {
    return this.#columns.endMs[this.#span]! || this.#columns.startMs[this.#span]!
  }

  /** Reads the list; @returns whether nothing more is to be learnt of the spans around. */
  #isClear(from: number, to: number): boolean {
    const reader = this.#reader
    if (reader.list(from, to)) return true
    const around = this.#around ?? this.#ask()
    const spans = this.#event < 0 ? around : (this.#aroundEvents ??= this.#askSpan(from, to, around))
    if (this.#isMissing) {
      reader.ask(spans)
      if (reader.step === undefined) return false
      reader.list(from, to)
    }
    reader.ask([...spans, this.#resource])
    return true
  }

  #ask(): readonly Fields[] {
    const at = this.#span * ID_WORDS
    this.#known.ask(this.#columns.ids, at, at + PARENT_WORD)
    this.#isMissing = this.#known.isMissing
    this.#around = [...this.#known.told]
    return this.#around
  }

  #askSpan(from: number, to: number, around: readonly Fields[]): readonly Fields[] {
    const told = this.#toldBy(this.#span)
    this.#reader.list(from, to)
    return told === null ? around : [fieldsOf(told, this.#reader.toldNumber), ...around]
  }

  #eventAsObject(): EventOf {
    return { span: this.#asObject(), part: this.#event, bytes: this.#columns.spanBytes(this.#span) }
  }

  #asObject(): OtlpSpan {
    this.#object ??= lightOf(this.#columns.span(this.#span))
    return this.#object
  }

  /** What numbers are being taken of, as an event: an example of what is skipped. */
  readonly #asEvent = (): TracingEvent => {
    const { name, attributes, events } = this.#asObject()
    const event = events[this.#event]
    return eventOf(null, event?.name ?? name, event?.attributes ?? attributes, [])
  }
}
