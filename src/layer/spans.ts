import { createHash } from 'node:crypto'
import { logAsWritten, type OtlpLog } from '../otlp/logs.ts'
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

/** Spans around a span, of those that have a step or category, that are asked. */
const MAX_DEPTH = 64

/** Most names of spans whose duration is a series. */
const MAX_SPAN_NAMES = 1000

/** What a span tells those inside it: its step and category, and who is around it. */
interface Known {
  parent: string
  fields: Fields
  /** It tells nothing. */
  isEmpty: boolean
}

/** What spans around tell, and the first of them that is not here yet. */
interface Chain {
  fields: Fields[]
  missing: string | null
}

/** How an event is taken. */
interface Taking {
  isConfig: boolean
  isAllowed: boolean
  written: (() => AsWritten) | undefined
  now: number
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
  /** It needs no step, or has one without the ancestor that is missing. */
  isSettled: boolean
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
      const isConfig = isConfigMessage(message)
      const written = isConfig ? logWritten(log.bytes) : undefined
      const isAllowed = this.#options.allows('', levelOfSeverity(log.severity), isRust(log.resource))
      this.#put(this.#logMaker({ ...log, bytes: NO_BYTES }, message, { isConfig, isAllowed, written, now }), now)
      this.#options.counters.add(ROUNDED_INTEGERS, log.bigIntegers)
    }
  }

  /** What waits holds on to no request: hence the copies without bytes, and makers of their own. */
  #logMaker(log: OtlpLog, message: string | null, taking: Taking): () => Item {
    return () => {
      const chain = this.#chain(log.traceId, log.spanId)
      return this.#itemOf(log.timeMs, message, log.attributes, chain, log.resource, taking)
    }
  }

  /** Gives up on ancestors that have not come in time. */
  expire(now: number): void {
    for (const [key, items] of this.#waiting) {
      const isDue = ({ since }: Waiting): boolean => now - since >= WAIT_MS
      const due = items.filter(isDue)
      if (due.length === 0) continue
      this.#keep(
        key,
        items.filter((item) => !isDue(item)),
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
  #learn({ traceId, spanId, parentSpanId, attributes, bytes }: OtlpSpan): boolean {
    // One without ids is known again by all that it is.
    const isNamed = traceId !== '' && spanId !== ''
    const id = isNamed ? idOf(traceId, spanId) : createHash('sha256').update(bytes).digest('base64')
    if (this.#known.has(id)) return false
    const fields: Fields = {}
    for (const name of this.#stepFields) if (Object.hasOwn(attributes, name)) fields[name] = attributes[name]
    const parent = isNamed && parentSpanId !== '' ? idOf(traceId, parentSpanId) : ''
    this.#known.set(id, { parent, fields, isEmpty: Object.keys(fields).length === 0 })
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!)
    return true
  }

  #span(span: OtlpSpan, now: number): void {
    const light = { ...span, bytes: NO_BYTES, resourceHead: NO_BYTES, scopeHead: NO_BYTES }
    const rust = isRust(span.resource)
    this.#put(this.#spanMaker(light, now), now)
    for (const [i, event] of span.events.entries()) {
      const isConfig = isConfigMessage(event.name)
      const written = isConfig ? eventWritten(span.bytes, i) : undefined
      this.#put(
        this.#eventMaker(light, event, { isConfig, isAllowed: this.#isAllowed(event, rust), written, now }),
        now,
      )
    }
    this.#options.counters.add(ROUNDED_INTEGERS, span.bigIntegers)
  }

  #spanMaker(span: OtlpSpan, now: number): () => Item {
    return () => {
      const { fields, missing } = this.#chain(span.traceId, span.parentSpanId)
      return {
        event: eventOf(timeOf(span), span.name, span.attributes, [...fields, span.resource]),
        isSettled: missing === null || hasStep(eventOf(null, null, span.attributes, fields), this.#options.rules),
        missing,
        take: (it) => {
          this.#options.layer.numbers(it, now)
          this.#duration(it, span, now)
        },
        count: (it) => this.#options.layer.count(it) + (this.#isMeasured(span) ? 1 : 0),
      }
    }
  }

  #eventMaker(span: OtlpSpan, event: OtlpEvent, taking: Taking): () => Item {
    return () => {
      const { fields, missing } = this.#chain(span.traceId, span.parentSpanId)
      const chain = { fields: [span.attributes, ...fields], missing }
      return this.#itemOf(event.timeMs || timeOf(span), event.name, event.attributes, chain, span.resource, taking)
    }
  }

  #isAllowed({ attributes }: OtlpEvent, rust: boolean): boolean {
    const { target, level } = attributes
    const word = typeof level === 'string' ? (LEVEL_OF_WORD[level.toUpperCase()] ?? null) : null
    return this.#options.allows(typeof target === 'string' ? target : '', word, rust)
  }

  #itemOf(
    time: number | null,
    message: string | null,
    attributes: Fields,
    { fields, missing }: Chain,
    resource: Fields,
    { isConfig, isAllowed, written, now }: Taking,
  ): Item {
    const { layer, rules } = this.#options
    return {
      event: eventOf(time, message, attributes, [...fields, resource]),
      isSettled: missing === null || isConfig || hasStep(eventOf(null, null, attributes, fields), rules),
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

  /** What the spans around tell, innermost first; `missing` is the first that is not here. */
  #chain(traceId: string, spanId: string): Chain {
    const fields: Fields[] = []
    const passed: Known[] = []
    const seen = new Set<string>()
    let id = traceId === '' || spanId === '' ? '' : idOf(traceId, spanId)
    let missing: string | null = null
    while (id !== '' && missing === null) {
      const known = this.#known.get(id)
      if (known === undefined) missing = id
      else if (seen.has(id) || fields.length >= MAX_DEPTH) id = ''
      else {
        seen.add(id) // a circle of parents has an end like any other
        if (known.isEmpty) passed.push(known)
        else {
          // Those that tell nothing are stepped over from now on: long chains would be walked for each of their spans.
          for (const empty of passed.splice(0)) empty.parent = id
          fields.push(known.fields)
        }
        id = known.parent
      }
    }
    for (const empty of passed) empty.parent = missing ?? ''
    return { fields, missing }
  }

  /** Takes an item, or lets it wait for its step. */
  #put(make: () => Item, now: number, since = now): void {
    const item = make()
    const { rules, counters } = this.#options
    if (item.missing === null || item.isSettled || !rules.inherit) {
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
    const others = this.#waiting.get(item.missing)
    const waiting = { since, numbers, again: make }
    if (others === undefined) this.#waiting.set(item.missing, [waiting])
    else others.push(waiting)
    if (this.#waitingCount > MAX_WAITING) this.#dropOldest()
  }

  #dropOldest(): void {
    const [key, items] = this.#waiting.entries().next().value!
    const oldest = items.shift()!
    this.#keep(key, items)
    this.#settle(oldest)
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

const NO_BYTES = new Uint8Array()

const isConfigMessage = (message: string | null): boolean => message !== null && CONFIG_MESSAGES.has(message)

const timeOf = ({ startMs, endMs }: OtlpSpan): number | null => (endMs > 0 ? endMs : startMs > 0 ? startMs : null)

const logWritten = (bytes: Uint8Array) => (): AsWritten => ({
  wrapped: [logAsWritten(bytes, { exact: true }).attributes],
  line: null,
})

const eventWritten = (bytes: Uint8Array, i: number) => (): AsWritten => ({
  wrapped: [spanAsWritten(bytes, { exact: true }).events[i]!.attributes],
  line: null,
})

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
