import type { OtlpLog } from '../otlp/logs.ts'
import { logAsWritten } from '../otlp/logs.ts'
import { spanAsWritten, type OtlpEvent, type OtlpSpan } from '../otlp/traces.ts'
import { DUPLICATE_SPANS, NUMBERS, ROUNDED_INTEGERS, SPANS, WAITING, type Counters } from '../telemetry/counters.ts'
import type { AsWritten, Fields, TracingEvent } from './event.ts'
import { hasStep } from './fields.ts'
import type { Layer } from './layer.ts'
import { CATEGORY_FIELDS, CONFIG_MESSAGES, type Rules } from './rules.ts'

/** Spans of which later ones can learn step and category, and which are known again when they come twice. */
const MAX_KNOWN = 100_000

/** Numbers without a step wait this long for the spans around them, ... */
const WAIT_MS = 10 * 60_000
/** ... and no more spans and records than this wait at a time. */
const MAX_WAITING = 100_000

/** Most names of spans whose duration is a series. */
const MAX_SPAN_NAMES = 1000

/** What a span tells those inside it: its step and category, and who is around it. */
interface Known {
  parent: string
  fields: Fields
}

/** Something whose step is not known yet. */
interface Waiting {
  since: number
  numbers: number
  /** Makes it anew, with what is known by then. */
  again: () => Item
}

/** One thing that numbers are taken of, and the ancestor that is not here yet. */
interface Item {
  event: TracingEvent
  /** Its fields are params, and need no step. */
  isConfig: boolean
  missing: string | null
  take: (event: TracingEvent) => void
  count: (event: TracingEvent) => number
}

export interface SpanLayerOptions {
  rules: Rules
  layer: Layer
  counters: Counters
  /** Whether the duration of spans of this name is a series. */
  isMeasured: (name: string) => boolean
  /** Whether an event of this target and level (1 ERROR to 5 TRACE, null: unknown) is taken. */
  allows: (target: string, level: number | null, isRust: boolean) => boolean
}

/**
 * Turns OTLP spans and log records into events for the layer: attributes are fields, the spans around are where step and
 * category come from, at last the resource. Numbers without a step wait for ancestors that have not come yet.
 */
export class SpanLayer {
  readonly #options: SpanLayerOptions
  readonly #stepFields: readonly string[]
  readonly #known = new Map<string, Known>()
  /** By the ancestor that they wait for. */
  readonly #waiting = new Map<string, Waiting[]>()
  #waitingCount = 0
  readonly #names = new Set<string>()

  constructor(options: SpanLayerOptions) {
    this.#options = options
    this.#stepFields = [...new Set(options.rules.stepFields.flat()), ...CATEGORY_FIELDS]
  }

  /** Takes the spans of one request; children may stand before their parents. Returns those that are new. */
  spans(spans: readonly OtlpSpan[], now: number): OtlpSpan[] {
    const { counters } = this.#options
    counters.add(SPANS, spans.length)
    const fresh = spans.filter((span) => this.#learn(span))
    counters.add(DUPLICATE_SPANS, spans.length - fresh.length)
    for (const span of fresh) this.#span(span, now)
    // Whoever waited for one of them knows more now.
    for (const span of fresh) this.#wake(idOf(span.traceId, span.spanId), now)
    return fresh
  }

  logs(logs: readonly OtlpLog[], now: number): void {
    for (const log of logs) {
      const message = messageOf(log)
      const written = (): AsWritten => ({ wrapped: [logAsWritten(log.bytes, { exact: true }).attributes], line: null })
      const isAllowed = this.#options.allows('', levelOfSeverity(log.severity), isRust(log.resource))
      const make = (): Item => {
        const chain = this.#chain(log.traceId, log.spanId, log.resource)
        const event = eventOf(log.timeMs, message, log.attributes, chain.fields)
        return this.#itemOf(event, chain.missing, isAllowed, written, now)
      }
      this.#put(make, now)
      this.#options.counters.add(ROUNDED_INTEGERS, log.bigIntegers)
    }
  }

  /** Gives up on ancestors that have not come in time. */
  expire(now: number): void {
    for (const [key, items] of this.#waiting) {
      const due = items.filter(({ since }) => now - since >= WAIT_MS)
      if (due.length === 0) continue
      this.#keep(
        key,
        items.filter((item) => !due.includes(item)),
      )
      for (const item of due) this.#settle(item)
    }
  }

  /** The input is over: nobody comes any more. */
  end(): void {
    for (const [key, items] of this.#waiting) {
      this.#keep(key, [])
      for (const item of items) this.#settle(item)
    }
  }

  /** Notes what a span tells others; false when it is known already. */
  #learn({ traceId, spanId, parentSpanId, attributes }: OtlpSpan): boolean {
    if (traceId === '' || spanId === '') return true // nothing can be told of it, and it cannot be known again
    const id = idOf(traceId, spanId)
    if (this.#known.has(id)) return false
    const fields: Fields = {}
    for (const name of this.#stepFields) if (Object.hasOwn(attributes, name)) fields[name] = attributes[name]
    this.#known.set(id, { parent: parentSpanId === '' ? '' : idOf(traceId, parentSpanId), fields })
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!)
    return true
  }

  #span(span: OtlpSpan, now: number): void {
    const { counters } = this.#options
    const time = span.endMs > 0 ? span.endMs : span.startMs > 0 ? span.startMs : null
    const rust = isRust(span.resource)
    this.#put(() => {
      const chain = this.#chain(span.traceId, span.parentSpanId, span.resource)
      const event = eventOf(time, span.name, span.attributes, chain.fields)
      return {
        event,
        isConfig: false,
        missing: chain.missing,
        take: (it) => {
          this.#options.layer.numbers(it, now)
          this.#duration(it, span, now)
        },
        count: (it) => this.#options.layer.count(it) + (this.#isMeasured(span) ? 1 : 0),
      }
    }, now)
    for (const [i, event] of span.events.entries()) {
      const written = (): AsWritten => ({
        wrapped: [spanAsWritten(span.bytes, { exact: true }).events[i]!.attributes],
        line: null,
      })
      this.#put(() => {
        const chain = this.#chain(span.traceId, span.parentSpanId, span.resource)
        const it = eventOf(event.timeMs || time, event.name, event.attributes, [span.attributes, ...chain.fields])
        return this.#itemOf(it, chain.missing, this.#isAllowed(event, rust), written, now)
      }, now)
    }
    counters.add(ROUNDED_INTEGERS, span.bigIntegers)
  }

  #isAllowed({ attributes }: OtlpEvent, rust: boolean): boolean {
    const { target, level } = attributes
    const word = typeof level === 'string' ? (LEVEL_OF_WORD[level.toUpperCase()] ?? null) : null
    return this.#options.allows(typeof target === 'string' ? target : '', word, rust)
  }

  #itemOf(
    event: TracingEvent,
    missing: string | null,
    isAllowed: boolean,
    written: () => AsWritten,
    now: number,
  ): Item {
    const { layer } = this.#options
    return {
      event,
      isConfig: event.message !== null && CONFIG_MESSAGES.has(event.message),
      missing,
      take: (it) => void (isAllowed ? layer.event(it, now, written) : layer.filtered(it)),
      count: (it) => layer.count(it),
    }
  }

  #isMeasured({ durationMs, name }: OtlpSpan): boolean {
    return durationMs !== null && this.#options.isMeasured(name)
  }

  #duration(event: TracingEvent, span: OtlpSpan, now: number): void {
    if (!this.#isMeasured(span)) return
    const isOver = !this.#names.has(span.name) && this.#names.size >= MAX_SPAN_NAMES
    if (!isOver) this.#names.add(span.name)
    this.#options.layer.measure(event, isOver ? null : `span/${span.name}/duration_ms`, span.durationMs!, now)
  }

  /** What the spans around tell, innermost first, and the resource last; `missing` is the first that is not here. */
  #chain(traceId: string, spanId: string, resource: Fields): { fields: Fields[]; missing: string | null } {
    const fields: Fields[] = []
    const seen = new Set<string>()
    let id = traceId === '' || spanId === '' ? '' : idOf(traceId, spanId)
    while (id !== '' && !seen.has(id)) {
      seen.add(id) // a circle of parents has an end like any other
      const known = this.#known.get(id)
      if (known === undefined) return { fields: [...fields, resource], missing: id }
      fields.push(known.fields)
      id = known.parent
    }
    return { fields: [...fields, resource], missing: null }
  }

  /** Takes an item, or lets it wait for its step. */
  #put(make: () => Item, now: number, since = now): void {
    const item = make()
    const { rules, counters } = this.#options
    if (item.missing === null || item.isConfig || !rules.inherit || hasStep(item.event, rules)) {
      item.take(item.event)
      return
    }
    const numbers = item.count(item.event)
    if (numbers === 0) {
      item.take(item.event)
      return
    }
    counters.add(NUMBERS, numbers)
    counters.add(WAITING, numbers)
    this.#waitingCount += 1
    this.#waiting.set(item.missing, [...(this.#waiting.get(item.missing) ?? []), { since, numbers, again: make }])
    if (this.#waitingCount > MAX_WAITING) this.#dropOldest()
  }

  #dropOldest(): void {
    const [key, items] = this.#waiting.entries().next().value!
    this.#keep(key, items.slice(1))
    this.#settle(items[0]!)
  }

  #keep(key: string, items: Waiting[]): void {
    if (items.length === 0) this.#waiting.delete(key)
    else this.#waiting.set(key, items)
  }

  #wake(id: string, now: number): void {
    const items = this.#waiting.get(id)
    if (items === undefined) return
    this.#waiting.delete(id)
    for (const { since, numbers, again } of items) {
      this.#release(numbers)
      this.#put(again, now, since)
    }
  }

  /** Takes it as it is: without a step, if none has come. */
  #settle({ numbers, again }: Waiting): void {
    this.#release(numbers)
    const { event, take } = again()
    take(event)
  }

  /** They are counted again as what they become. */
  #release(numbers: number): void {
    this.#options.counters.add(NUMBERS, -numbers)
    this.#options.counters.add(WAITING, -numbers)
    this.#waitingCount -= 1
  }
}

const idOf = (traceId: string, spanId: string): string => traceId + spanId

const eventOf = (
  time: number | null,
  message: string | null,
  attributes: Fields,
  spans: readonly Fields[],
): TracingEvent => ({ time, message, wrapped: [attributes], line: null, wrapperNames: [], spans })

/** Rust's appender puts the message into the body and a place in the source into the name. */
function messageOf({ body, eventName }: OtlpLog): string | null {
  if (CONFIG_MESSAGES.has(eventName)) return eventName
  return typeof body === 'string' ? body : eventName === '' ? null : eventName
}

const isRust = (resource: Fields): boolean => resource['telemetry.sdk.language'] === 'rust'

const LEVEL_OF_WORD: Readonly<Record<string, number>> = { ERROR: 1, WARN: 2, INFO: 3, DEBUG: 4, TRACE: 5 }

/** OpenTelemetry's numbers: 1 TRACE, 5 DEBUG, 9 INFO, 13 WARN, 17 ERROR, 21 FATAL, each with three finer ones. */
const levelOfSeverity = (severity: number): number | null =>
  severity <= 0 ? null : severity >= 17 ? 1 : severity >= 13 ? 2 : severity >= 9 ? 3 : severity >= 5 ? 4 : 5
