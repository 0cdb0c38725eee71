import type { EventRow, WaitingRow } from '../channel/messages.ts'
import { ID_WORDS, SPAN_WORD, type SpanColumns } from '../otlp/columns.ts'
import { scopeNameOf } from '../otlp/envelope.ts'
import { logAsWritten, readLogs, type OtlpLog } from '../otlp/logs.ts'
import { wrapTraces } from '../otlp/rewrap.ts'
import { spanAsWritten, type OtlpEvent, type OtlpSpan, type ReadOptions } from '../otlp/traces.ts'
import { DUPLICATE_SPANS, NUMBERS, ROUNDED_INTEGERS, SPANS, WAITING } from '../telemetry/counters.ts'
import { ColumnSpans } from './column-spans.ts'
import type { AsWritten, Fields, TracingEvent } from './event.ts'
import { eventRow, keptLevel, stepOfEvent, type RowOptions } from './event-row.ts'
import { hasStep } from './fields.ts'
import { hasIds, idText, KnownSpans, putDigest, putIds } from './known.ts'
import { levelOfText } from './level.ts'
import { jsonText } from './params.ts'
import { CATEGORY_FIELDS, CONFIG_MESSAGES } from './rules.ts'
import {
  durationPath,
  eventOf,
  EXCEPTION,
  isRust,
  levelOfSpanEvent,
  levelOfWord,
  lightOf,
  NO_BYTES,
  toldOf,
  type EventOf,
  type SpanLayerOptions,
  type SpanRun,
} from './span-rules.ts'
import { WaitingRoom, type Origin, type Waiting, type WaitingLedger } from './waiting.ts'

/** Spans of which later ones can learn step and category, and which are known again when they come twice. */
const MAX_KNOWN = 100_000

/** What spans around tell, and the first of them that is not here yet. */
interface Chain {
  fields: Fields[]
  missing: string | null
}

/** How an event is taken. */
interface Taking {
  run: SpanRun
  isConfig: boolean
  isAllowed: boolean
  written: (() => AsWritten) | undefined
  now: number
}

/** One thing that numbers are taken of, and the ancestor that is not here yet. */
interface Item {
  run: SpanRun
  event: TracingEvent
  /** It needs no step, or has one without the ancestor that is missing. */
  isSettled: boolean
  missing: string | null
  take: (event: TracingEvent) => void
  count: (event: TracingEvent) => number
}

export type { SpanLayerOptions, SpanRun } from './span-rules.ts'

/**
 * Turns OTLP spans and log records into events for the layer: attributes are fields, the spans around are where step and
 * category come from, at last the resource. Numbers without a step wait for ancestors that have not come yet. One for all runs of a
 * process: traces may reach from one into another.
 */
export class SpanLayer {
  readonly #options: SpanLayerOptions
  readonly #stepFields: readonly string[]
  readonly #known = new KnownSpans(MAX_KNOWN)
  readonly #waiting = new WaitingRoom<Item>()
  /** Runs whose waiting has changed. */
  readonly #changed = new Set<WaitingLedger>()
  readonly #columns: ColumnSpans
  /** The id that is looked for. */
  readonly #ids = new Int32Array(ID_WORDS)

  constructor(options: SpanLayerOptions) {
    this.#options = options
    this.#columns = new ColumnSpans(options, this.#known, {
      span: (span, run, now) => this.#putSpan(span, run, now),
      event: (event, run, now) => this.#putEvent(event, run, now),
      keep: (event, run, now) => this.#keepEvent(event, run, now),
    })
    this.#stepFields = [...new Set(options.rules.stepFields.flat()), ...CATEGORY_FIELDS]
  }

  /**
   * Takes the spans of some groups of a request; children may stand before their parents. Returns the places of those that are
   * new. The same as `spans`, but a span is an object only where it is odd or has to wait.
   */
  columns(columns: SpanColumns, groups: readonly number[], run: SpanRun, now: number): number[] {
    this.#columns.begin(columns, run, now)
    const fresh: number[] = []
    let count = 0
    for (const group of groups) {
      const end = columns.groupEnd[group]!
      const from = group === 0 ? 0 : columns.groupEnd[group - 1]!
      count += end - from
      this.#columns.under(columns.groups[group]!.resource)
      for (let span = from; span < end; span += 1) {
        if (this.#learnColumns(columns, span)) fresh.push(span)
      }
    }
    run.counters.add(SPANS, count)
    run.counters.add(DUPLICATE_SPANS, count - fresh.length)
    let group = -1
    for (let i = 0; i < fresh.length; i += 1) {
      const span = fresh[i]!
      if (group < 0 || span >= columns.groupEnd[group]!) {
        do group += 1
        while (span >= columns.groupEnd[group]!)
        this.#columns.under(columns.groups[group]!.resource)
      }
      if (columns.isOdd[span] === 1) this.#span(columns.span(span), run, now)
      else this.#columns.take(span)
    }
    // Whoever waited for one of them knows more now.
    if (!this.#waiting.isEmpty) for (const span of fresh) this.#wake(this.#idIn(columns, span))
    this.#tell()
    return fresh
  }

  /** Whether it matters what the text of an attribute of this name is. */
  asksText(name: string): boolean {
    return this.#columns.asksText(name)
  }

  /** Takes the spans of one request; children may stand before their parents. Returns those that are new. */
  spans(spans: readonly OtlpSpan[], run: SpanRun, now: number): OtlpSpan[] {
    const { counters } = run
    counters.add(SPANS, spans.length)
    const fresh = spans.filter((span) => this.#learn(span))
    counters.add(DUPLICATE_SPANS, spans.length - fresh.length)
    for (const span of fresh) this.#span(span, run, now)
    // Whoever waited for one of them knows more now.
    for (const span of fresh) this.#wake(this.#idOf(span.traceId, span.spanId))
    this.#tell()
    return fresh
  }

  logs(logs: readonly OtlpLog[], run: SpanRun, now: number): void {
    for (const log of logs) {
      // What waits must not hold on to its request: hence the copy.
      const make = this.#logMaker(log, run, now)
      this.#put(make, run, now, () => ({ span: '', part: -1, body: wrapTraces([log]) }))
      this.#keep(log, make, run, now)
      run.counters.add(ROUNDED_INTEGERS, log.bigIntegers)
    }
    this.#tell()
  }

  /** A record of level WARN or above is kept whole at once: with its step, if that is known by now. */
  #keep(log: OtlpLog, make: () => Item, run: SpanRun, now: number): void {
    const number = levelOfSeverity(log.severity)
    const level = keptLevel(number ?? levelOfText(log.severityText))
    if (level === null || !this.#options.allows('', number, isRust(log.resource))) return
    run.putEvent(level, () => {
      const item = make()
      const message = item.event.message ?? (log.body === null ? null : jsonText('', log.body))
      const written = logWritten(log.bytes)()
      return this.#rowOf(item, { level, target: scopeNameOf(log.scopeHead), message, receivedAt: now, written })
    })
  }

  /** The same of an event of a span: one that says its level, or an exception. */
  #keepEvent({ span, part, bytes }: EventOf, run: SpanRun, now: number): void {
    const event = span.events[part]!
    const { level: word, target, 'exception.type': type, 'exception.message': text } = event.attributes
    const level = levelOfSpanEvent(event.name, word)
    if (level === null || !this.#isAllowed(event, isRust(span.resource))) return
    run.putEvent(level, () => {
      const own: OtlpEvent = { ...event, attributes: { ...event.attributes } }
      for (const name of ['level', 'target']) delete own.attributes[name]
      const item = this.#eventMaker(span, own, undefined, run, now)()
      const said = [type, text].filter((part) => typeof part === 'string' && part !== '').join(': ')
      const message = event.name === EXCEPTION && said !== '' ? said : event.name
      const written = eventWritten(bytes, part)()
      const from = typeof target === 'string' ? target : ''
      return this.#rowOf(item, { level, target: from, message, receivedAt: now, written })
    })
  }

  #rowOf(item: Item, { message, ...options }: Omit<RowOptions, 'step'> & { message: string | null }): EventRow {
    const step = this.#isClear(item) ? stepOfEvent(item.event, this.#options.rules) : null
    return eventRow({ ...item.event, message }, { ...options, step })
  }

  /** Gives up on ancestors that have not come in time. */
  expire(now: number): void {
    for (const item of this.#waiting.due(now)) this.#settle(item)
    this.#tell()
  }

  /** The input of a run is over: nobody comes any more. */
  end({ ledger }: SpanRun): void {
    for (const item of this.#waiting.allOf(ledger)) this.#settle(item)
    this.#tell()
  }

  /** Goes on where an earlier process was: it knew these spans, which are counted already, ... */
  know(spans: readonly OtlpSpan[]): void {
    for (const span of spans) this.#learn(span)
  }

  /** ... and these had waited. `spanOf` finds a span by trace and span id. */
  goOnWaiting(
    rows: readonly WaitingRow[],
    run: SpanRun,
    spanOf: (id: string) => OtlpSpan | undefined,
    reading: ReadOptions,
  ): void {
    for (const row of rows) {
      const { id, since, numbers } = row
      run.ledger.know(id)
      const again = this.#makerOf(row, run, spanOf, reading) ?? (() => this.#nothing(run, numbers))
      const waiting = { id, since, numbers, again, ledger: run.ledger }
      const { missing } = again()
      if (missing === null) this.#settle(waiting)
      else this.#waiting.add(missing, waiting)
    }
    this.#tell()
  }

  #makerOf(
    { span: id, part, body, since }: WaitingRow,
    run: SpanRun,
    spanOf: (id: string) => OtlpSpan | undefined,
    reading: ReadOptions,
  ): (() => Item) | null {
    if (body !== null) return this.#logMaker(readLogs(body, reading)[0]!, run, since)
    const span = spanOf(id)
    const event = span?.events[part]
    if (span === undefined || (part >= 0 && event === undefined)) return null
    const light = lightOf(span)
    return event === undefined
      ? this.#spanMaker(light, run, since)
      : this.#eventMaker(light, event, undefined, run, since)
  }

  /** Of numbers whose span is not kept any more nothing is known but how many they are. */
  #nothing(run: SpanRun, numbers: number): Item {
    const event = eventOf(null, null, {}, [])
    const take = (): void => run.layer.lose(event, numbers)
    return { run, event, isSettled: true, missing: null, take, count: () => numbers }
  }

  #logMaker(log: OtlpLog, run: SpanRun, now: number): () => Item {
    const message = messageOf(log)
    const isConfig = isConfigMessage(message)
    const written = isConfig ? logWritten(log.bytes) : undefined
    const isAllowed = this.#options.allows('', levelOfSeverity(log.severity), isRust(log.resource))
    const light = { ...log, bytes: NO_BYTES, resourceHead: NO_BYTES, scopeHead: NO_BYTES }
    return () => {
      const chain = this.#chain(light.traceId, light.spanId)
      const taking = { run, isConfig, isAllowed, written, now }
      return this.#itemOf(light.timeMs, message, light.attributes, chain, light.resource, taking)
    }
  }

  /** Notes what a span tells others; false when it is known already. */
  #learn({ traceId, spanId, parentSpanId, attributes, bytes }: OtlpSpan): boolean {
    const ids = this.#ids
    putIds(ids, traceId, spanId, parentSpanId)
    // One without ids is known again by all that it is.
    if (!hasIds(ids, 0)) putDigest(ids, bytes)
    if (!this.#known.add(ids, 0)) return false
    const shared: Fields = {}
    for (const name of this.#stepFields)
      if (Object.hasOwn(attributes, name)) shared[name] = toldOf(attributes[name], this.#options.rules)
    this.#known.tell(Object.keys(shared).length === 0 ? null : { shared, number: null })
    return true
  }

  #learnColumns(columns: SpanColumns, span: number): boolean {
    if (columns.isOdd[span] === 1) return this.#learn(columns.span(span))
    let ids = columns.ids
    let at = span * ID_WORDS
    if (!hasIds(ids, at)) {
      ids = this.#ids
      at = 0
      putDigest(ids, columns.spanBytes(span))
    }
    if (!this.#known.add(ids, at)) return false
    this.#columns.learn(span)
    return true
  }

  #span(span: OtlpSpan, run: SpanRun, now: number): void {
    const light = lightOf(span)
    this.#putSpan(light, run, now)
    for (const part of span.events.keys()) this.#putEvent({ span: light, part, bytes: span.bytes }, run, now)
    run.counters.add(ROUNDED_INTEGERS, span.bigIntegers)
  }

  #putSpan(light: OtlpSpan, run: SpanRun, now: number): void {
    const id = light.traceId + light.spanId
    this.#put(this.#spanMaker(light, run, now), run, now, () => ({ span: id, part: -1, body: null }))
  }

  #putEvent({ span, part, bytes }: EventOf, run: SpanRun, now: number): void {
    const id = span.traceId + span.spanId
    const event = span.events[part]!
    const written = isConfigMessage(event.name) ? eventWritten(bytes, part) : undefined
    this.#keepEvent({ span, part, bytes }, run, now)
    this.#put(this.#eventMaker(span, event, written, run, now), run, now, () => ({ span: id, part, body: null }))
  }

  #spanMaker(span: OtlpSpan, run: SpanRun, now: number): () => Item {
    return () => {
      const { fields, missing } = this.#chain(span.traceId, span.parentSpanId)
      return {
        run,
        event: eventOf(timeOf(span), span.name, span.attributes, [...fields, span.resource]),
        isSettled: missing === null || hasStep(eventOf(null, null, span.attributes, fields), this.#options.rules),
        missing,
        take: (it) => {
          run.layer.numbers(it, now)
          this.#duration(it, span, run, now)
        },
        count: (it) => run.layer.count(it) + (this.#isMeasured(span) ? 1 : 0),
      }
    }
  }

  #eventMaker(span: OtlpSpan, event: OtlpEvent, written: Taking['written'], run: SpanRun, now: number): () => Item {
    const isConfig = written !== undefined
    const taking = { run, isConfig, isAllowed: this.#isAllowed(event, isRust(span.resource)), written, now }
    return () => {
      const { fields, missing } = this.#chain(span.traceId, span.parentSpanId)
      const chain = { fields: [span.attributes, ...fields], missing }
      return this.#itemOf(event.timeMs || timeOf(span), event.name, event.attributes, chain, span.resource, taking)
    }
  }

  #isAllowed({ attributes }: OtlpEvent, rust: boolean): boolean {
    const { target, level } = attributes
    return this.#options.allows(typeof target === 'string' ? target : '', levelOfWord(level), rust)
  }

  #itemOf(
    time: number | null,
    message: string | null,
    attributes: Fields,
    { fields, missing }: Chain,
    resource: Fields,
    { run, isConfig, isAllowed, written, now }: Taking,
  ): Item {
    const { layer } = run
    return {
      run,
      event: eventOf(time, message, attributes, [...fields, resource]),
      isSettled: missing === null || isConfig || hasStep(eventOf(null, null, attributes, fields), this.#options.rules),
      missing,
      take: (it) => void (isAllowed ? layer.event(it, now, written) : layer.filtered(it)),
      count: (it) => layer.count(it),
    }
  }

  #isMeasured({ durationMs, name }: OtlpSpan): boolean {
    return durationMs !== null && this.#options.isMeasured(name)
  }

  #duration(event: TracingEvent, span: OtlpSpan, { layer, names }: SpanRun, now: number): void {
    if (!this.#isMeasured(span)) return
    layer.measure(event, () => durationPath(span.name, names), span.durationMs!, now)
  }

  /** What the spans around tell, innermost first; `missing` is the first that is not here. */
  #chain(traceId: string, spanId: string): Chain {
    putIds(this.#ids, traceId, spanId, '')
    this.#known.ask(this.#ids, 0, SPAN_WORD)
    const { told, isMissing, missing } = this.#known
    return { fields: [...told], missing: isMissing ? idText(missing, 0) : null }
  }

  #idIn(columns: SpanColumns, span: number): string {
    if (columns.isOdd[span] === 0) return idText(columns.ids, span * ID_WORDS)
    const { traceId, spanId } = columns.span(span)
    return this.#idOf(traceId, spanId)
  }

  #idOf(traceId: string, spanId: string): string {
    putIds(this.#ids, traceId, spanId, '')
    return idText(this.#ids, 0)
  }

  /** Takes an item, or lets it wait for its step. */
  #put(make: () => Item, run: SpanRun, now: number, originOf: () => Origin): void {
    const item = make()
    const numbers = this.#isClear(item) ? 0 : item.count(item.event)
    if (numbers === 0) {
      item.take(item.event)
      return
    }
    count(run, numbers)
    const { ledger } = run
    const id = ledger.enter(now, numbers, originOf())
    this.#changed.add(ledger)
    this.#waiting.add(item.missing!, { id, since: now, numbers, again: make, ledger })
    if (this.#waiting.isOverfull) this.#settle(this.#waiting.oldest())
  }

  /** Whether nothing more is to be learnt of the spans around. */
  #isClear({ missing, isSettled }: Item): boolean {
    return missing === null || isSettled || !this.#options.rules.inherit
  }

  #wake(id: string): void {
    for (const waiting of this.#waiting.waitingFor(id)) {
      const item = waiting.again()
      if (this.#isClear(item)) this.#settle(waiting)
      else this.#waiting.add(item.missing!, waiting)
    }
  }

  /** Takes it as it is: without a step, if none has come. */
  #settle({ id, numbers, again, ledger }: Waiting<Item>): void {
    const { run, event, take } = again()
    count(run, -numbers)
    ledger.leave(id)
    this.#changed.add(ledger)
    take(event)
  }

  #tell(): void {
    for (const ledger of this.#changed) ledger.tell()
    this.#changed.clear()
  }
}

/** What waits is counted; when it ends its waiting it is counted again as what it becomes. */
function count({ counters }: SpanRun, numbers: number): void {
  counters.add(NUMBERS, numbers)
  counters.add(WAITING, numbers)
}

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

/** Rust's appender puts the message into the body and a place in the source into the name. */
function messageOf({ body, eventName }: OtlpLog): string | null {
  if (CONFIG_MESSAGES.has(eventName)) return eventName
  return typeof body === 'string' ? body : eventName === '' ? null : eventName
}

/** OpenTelemetry's numbers: 1 TRACE, 5 DEBUG, 9 INFO, 13 WARN, 17 ERROR, 21 FATAL, each with three finer ones. */
const levelOfSeverity = (severity: number): number | null =>
  severity <= 0 ? null : severity >= 17 ? 1 : severity >= 13 ? 2 : severity >= 9 ? 3 : severity >= 5 ? 4 : 5
