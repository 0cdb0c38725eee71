import { AttributeTable, grown } from './attributes.ts'
import { groupsOf, type Group } from './envelope.ts'
import { SPAN_ID_BYTES, TRACE_ID_BYTES } from './ids.ts'
import { EVENT_START, Names, SPAN_START } from './names.ts'
import { countsIntegerText, mayBeRust, type ReadOptions } from './options.ts'
import {
  ATTRIBUTES,
  END,
  EVENT_ATTRIBUTES,
  EVENT_NAME,
  EVENT_TIME,
  EVENTS,
  NAME,
  PARENT_SPAN_ID,
  readSpan,
  skipInEvent,
  skipInSpan,
  SPAN_ID,
  START,
  TRACE_ID,
  type OtlpSpan,
} from './span.ts'
import type { SpanTemplate } from './span-template.ts'
import { SpanTemplates } from './span-templates.ts'
import { msOf } from './times.ts'
import { isOfTracing } from './traces.ts'
import { ValueNotes } from './values.ts'
import { WireReader } from './wire.ts'

/** Numbers of an id in `SpanColumns.ids`: four of the trace, two of the span, two of its parent. */
export const ID_WORDS = 8
export const SPAN_WORD = 4
export const PARENT_WORD = 6

/** What is kept between two requests: one of many spans is rare, and must not hold its memory for ever. */
const KEPT_BYTES = 4 << 20
/** What one place in the columns of spans and of events takes. */
const SPAN_BYTES = 89
const EVENT_BYTES = 20

/**
 * The spans of an ExportTraceServiceRequest as columns: ids as numbers, attributes as in `AttributeTable`. Nothing is made per span.
 * A span that does not fit in here is `isOdd`, and has to be taken as `span(i)` gives it, which is what `readTraces` reads.
 *
 * Reading spans so and taking their numbers is nine times as fast as by way of objects.
 */
export class SpanColumns {
  readonly attributes: AttributeTable
  /** The spans of a group are those from the end of the one before to its own. */
  groups: Group[] = []
  groupEnd: number[] = []
  count = 0
  /** Where in the body each Span message begins and ends. */
  from = new Int32Array(512)
  to = new Int32Array(512)
  ids = new Int32Array(512 * ID_WORDS)
  isOdd = new Uint8Array(512)
  /** What it is known by; null: its attributes and events are in the columns below, as `unfold` puts them there. */
  template: (SpanTemplate | null)[] = []
  /** The number of its name, -1 when it has none. */
  name = new Int32Array(512)
  startMs = new Float64Array(512)
  endMs = new Float64Array(512)
  /** -1: as `OtlpSpan.durationMs` is null. */
  durationMs = new Float64Array(512)
  bigIntegers = new Int32Array(512)
  /** Where its attributes begin and end in the table, and its events in the columns below. */
  attributesFrom = new Int32Array(512)
  attributesTo = new Int32Array(512)
  eventsFrom = new Int32Array(512)
  eventsTo = new Int32Array(512)

  eventCount = 0
  eventName = new Int32Array(512)
  eventTimeMs = new Float64Array(512)
  eventFrom = new Int32Array(512)
  eventTo = new Int32Array(512)

  #reader = new WireReader(NO_BYTES)
  #integerText: boolean[] = []
  #isOfTracing = false
  #spanName = -1
  #eventName = -1
  #startHigh = 0
  #startLow = 0
  #endHigh = 0
  #endLow = 0

  readonly #templates: SpanTemplates
  /** Reads spans of which the template was known. */
  #again: WireReader | null = null

  /** `templates` are those of `names`. */
  constructor(names = new Names(), templates = new SpanTemplates()) {
    this.attributes = new AttributeTable(names)
    this.#templates = templates
  }

  get names(): Names {
    return this.attributes.names
  }

  get body(): Buffer {
    return this.#reader.bytes
  }

  get view(): DataView {
    return this.#reader.view
  }

  /** Whether it may wait for another request: it has not grown large. */
  get isReusable(): boolean {
    return this.attributes.bytesHeld + this.from.length * SPAN_BYTES + this.eventName.length * EVENT_BYTES <= KEPT_BYTES
  }

  /** Reads a request in the place of the one before. Throws `WireError`: it is read whole or not at all. */
  read(body: Uint8Array, options: ReadOptions = {}): void {
    const r = new WireReader(body)
    this.#clear(r)
    this.groups = groupsOf(r)
    for (const group of this.groups) {
      const isNumber = countsIntegerText(options, group.resource)
      const [spans, events, attributes] = [this.count, this.eventCount, this.attributes.count]
      this.#readGroup(r, group, isNumber)
      // A resource of one's own making may not tell the language.
      if (!isNumber && this.#isOfTracing && mayBeRust(options, group.resource)) {
        this.count = spans
        this.eventCount = events
        this.attributes.count = attributes
        this.#integerText.pop()
        this.groupEnd.pop()
        this.#readGroup(r, group, true)
      }
    }
  }

  /** Lets go of the body. */
  clear(): void {
    this.#clear(new WireReader(NO_BYTES))
  }

  #clear(r: WireReader): void {
    this.#reader = r
    this.#again = null
    this.groups = []
    this.groupEnd = []
    this.#integerText = []
    this.count = 0
    this.eventCount = 0
    this.attributes.count = 0
  }

  /** A span as `readTraces` gives it. */
  span(i: number): OtlpSpan {
    const group = this.#groupOf(i)
    return this.#spanIn(this.groups[group]!, this.from[i]!, this.to[i]!, this.#integerText[group]!)
  }

  /** Searched by halves: there may be as many groups as spans. */
  #groupOf(span: number): number {
    let [from, to] = [0, this.groupEnd.length - 1]
    while (from < to) {
      const middle = (from + to) >> 1
      if (span < this.groupEnd[middle]!) to = middle
      else from = middle + 1
    }
    return from
  }

  #spanIn(group: Group, from: number, to: number, integerText: boolean): OtlpSpan {
    const r = new WireReader(this.body)
    r.pos = from
    r.end = to
    return readSpan(r, group, new ValueNotes({ integerText }))
  }

  /** Puts the attributes and events of a span that is known by its template into the columns. */
  unfold(span: number): void {
    const group = this.#groupOf(span)
    const r = (this.#again ??= new WireReader(this.body))
    r.pos = this.from[span]!
    r.end = this.to[span]!
    this.template[span] = null
    this.#readSpan(r, span, new ValueNotes({ integerText: this.#integerText[group]! }))
  }

  /** Whether an attribute that is a text is that of a number of `names`. */
  isText(attribute: number, text: number): boolean {
    return this.attributes.isText(this.#reader, attribute, text)
  }

  /** The number of the text of an attribute, -1: it has none. */
  textNumber(attribute: number): number {
    return this.attributes.textNumber(this.#reader, attribute)
  }

  textOf(attribute: number): string {
    return this.attributes.text(this.#reader, attribute)
  }

  spanBytes(i: number): Uint8Array {
    return this.#reader.viewOf(this.from[i]!, this.to[i]!)
  }

  #readGroup(r: WireReader, { items, ...group }: Group, integerText: boolean): void {
    const notes = new ValueNotes({ integerText })
    this.#isOfTracing = false
    this.#integerText.push(integerText)
    for (let i = 0; i < items.length; i += 2) {
      r.pos = items[i]!
      r.end = items[i + 1]!
      const span = this.count
      if (span === this.from.length) this.#growSpans()
      this.from[span] = r.pos
      this.to[span] = r.end
      const template = this.#templates.find(r.view, r.pos, r.end - r.pos, integerText)
      this.template[span] = template
      if (template !== null) {
        this.#takeAs(template, r, span)
      } else {
        const { objects } = r
        const wasOfTracing: boolean = this.#isOfTracing
        this.#isOfTracing = false
        this.#readSpan(r, span, notes)
        this.bigIntegers[span] = notes.bigIntegers
        if (this.isOdd[span] === 0)
          this.#templates.learn(this, span, {
            integerText,
            objects: r.objects - objects,
            isOfTracing: this.#isOfTracing,
          })
        else if (!integerText && !wasOfTracing && !this.#isOfTracing)
          this.#isOfTracing = isOfTracing(this.#spanIn({ ...group, items }, items[i]!, items[i + 1]!, integerText))
        this.#isOfTracing ||= wasOfTracing
      }
      this.count = span + 1
    }
    this.groupEnd.push(this.count)
  }

  /** Reads ids and times where the template has them. */
  #takeAs({ head, name, objects, isOfTracing }: SpanTemplate, r: WireReader, span: number): void {
    r.object(objects)
    const { view, pos } = r
    this.isOdd[span] = 0
    this.name[span] = name
    this.bigIntegers[span] = 0
    const at = span * ID_WORDS
    this.#takeId(view, pos, head.traceId, at, SPAN_WORD)
    this.#takeId(view, pos, head.spanId, at + SPAN_WORD, PARENT_WORD - SPAN_WORD)
    this.#takeId(view, pos, head.parentId, at + PARENT_WORD, ID_WORDS - PARENT_WORD)
    this.#startHigh = head.start < 0 ? 0 : view.getUint32(pos + head.start + 4, true)
    this.#startLow = head.start < 0 ? 0 : view.getUint32(pos + head.start, true)
    this.#endHigh = head.end < 0 ? 0 : view.getUint32(pos + head.end + 4, true)
    this.#endLow = head.end < 0 ? 0 : view.getUint32(pos + head.end, true)
    this.#isOfTracing ||= isOfTracing
    this.#endSpan(span)
  }

  #takeId(view: DataView, pos: number, place: number, at: number, words: number): void {
    const { ids } = this
    if (place < 0) ids.fill(0, at, at + words)
    else for (let i = 0; i < words; i += 1) ids[at + i] = view.getInt32(pos + place + i * 4, true)
  }

  /** Long, for it is one switch over the fields of a Span: the same as in `readSpan`. */
  #readSpan(r: WireReader, span: number, notes: ValueNotes): void {
    const { attributes } = this
    this.#beginSpan(span)
    let list = 0 // 1: its attributes are being read, 2: something else came behind them
    notes.bigIntegers = 0
    notes.tooDeep = 0
    while (r.pos < r.end) {
      const tag = r.tag()
      if (tag === ATTRIBUTES) {
        if (list === 0) {
          attributes.begin(SPAN_START, attributes.names.afterInSpan)
          this.attributesFrom[span] = attributes.count
          list = 1
        } else if (list === 2) {
          this.isOdd[span] = 1
        }
        attributes.readAll(r, tag, notes)
        continue
      }
      if (list === 1) {
        this.#endList(span)
        list = 2
      }
      switch (tag) {
        case EVENTS:
          this.#readEvent(r, span, notes)
          break
        case TRACE_ID:
          this.#readId(r, span, 0, TRACE_ID_BYTES)
          break
        case SPAN_ID:
          this.#readId(r, span, SPAN_WORD, SPAN_ID_BYTES)
          break
        case PARENT_SPAN_ID:
          this.#readId(r, span, PARENT_WORD, SPAN_ID_BYTES)
          break
        case NAME:
          this.name[span] = this.#spanName = this.#readName(r, this.#spanName)
          break
        case START:
          r.fixed64()
          this.#startHigh = r.high
          this.#startLow = r.low
          break
        case END:
          r.fixed64()
          this.#endHigh = r.high
          this.#endLow = r.low
          break
        default:
          skipInSpan(r, tag)
      }
    }
    if (list === 1) this.#endList(span)
    this.eventsTo[span] = this.eventCount
    this.#endSpan(span)
  }

  #beginSpan(span: number): void {
    this.isOdd[span] = 0
    this.name[span] = -1
    this.ids.fill(0, span * ID_WORDS, (span + 1) * ID_WORDS)
    this.attributesFrom[span] = this.attributes.count
    this.attributesTo[span] = this.attributes.count
    this.eventsFrom[span] = this.eventCount
    this.#startHigh = 0
    this.#startLow = 0
    this.#endHigh = 0
    this.#endLow = 0
  }

  #endList(span: number): void {
    this.attributesTo[span] = this.attributes.count
    if (this.attributes.isOdd) this.isOdd[span] = 1
    // Of a name that comes twice, what comes last counts: odd spans are judged as objects.
    if (this.attributes.isOfTracing && !this.attributes.isOdd) this.#isOfTracing = true
  }

  #endSpan(span: number): void {
    const [startHigh, startLow, endHigh, endLow] = [this.#startHigh, this.#startLow, this.#endHigh, this.#endLow]
    // The difference of the halves is exact up to 104 days, unlike that of two times as doubles.
    const durationNs = (endHigh - startHigh) * 2 ** 32 + (endLow - startLow)
    const isTimed = startHigh + startLow > 0 && endHigh + endLow > 0 && durationNs >= 0
    this.startMs[span] = msOf(startHigh, startLow)
    this.endMs[span] = msOf(endHigh, endLow)
    this.durationMs[span] = isTimed ? durationNs / 1e6 : -1
    if (this.name[span]! < 0) this.isOdd[span] = 1
  }

  #readEvent(r: WireReader, span: number, notes: ValueNotes): void {
    r.object()
    const outer = r.enter()
    const { attributes } = this
    const event = this.eventCount
    if (event === this.eventName.length) this.#growEvents()
    attributes.begin(EVENT_START, attributes.names.afterInEvent)
    this.eventName[event] = -1
    this.eventTimeMs[event] = 0
    this.eventFrom[event] = attributes.count
    while (r.pos < r.end) {
      const tag = r.tag()
      if (tag === EVENT_ATTRIBUTES) {
        attributes.readAll(r, tag, notes)
      } else if (tag === EVENT_TIME) {
        r.fixed64()
        this.eventTimeMs[event] = msOf(r.high, r.low)
      } else if (tag === EVENT_NAME) {
        this.eventName[event] = this.#eventName = this.#readName(r, this.#eventName)
      } else {
        skipInEvent(r, tag)
      }
    }
    r.end = outer
    this.eventTo[event] = attributes.count
    this.eventCount = event + 1
    if (attributes.isOdd || this.eventName[event] < 0) this.isOdd[span] = 1
    if (attributes.isOfTracing && !attributes.isOdd) this.#isOfTracing = true
  }

  /** Reads a name, which most often is that of the one before. */
  #readName(r: WireReader, before: number): number {
    const length = r.length()
    const from = r.pos
    r.pos += length
    if (before >= 0 && this.names.isSame(before, r.view, from, length)) return before
    return this.names.find(r.bytes, r.view, from, r.pos)
  }

  #readId(r: WireReader, span: number, word: number, longest: number): void {
    const length = r.length()
    if (length > longest) r.fail(`an id of at most ${longest} bytes`, length)
    const from = r.pos
    r.pos += length
    if (length < longest && length > 0) this.isOdd[span] = 1
    const at = span * ID_WORDS + word
    const isWhole = length === longest
    for (let i = 0; i < longest / 4; i += 1) this.ids[at + i] = isWhole ? r.view.getInt32(from + i * 4, true) : 0
  }

  #growSpans(): void {
    const size = this.from.length * 2
    this.from = grown(this.from, new Int32Array(size))
    this.to = grown(this.to, new Int32Array(size))
    this.ids = grown(this.ids, new Int32Array(size * ID_WORDS))
    this.isOdd = grown(this.isOdd, new Uint8Array(size))
    this.name = grown(this.name, new Int32Array(size))
    this.startMs = grown(this.startMs, new Float64Array(size))
    this.endMs = grown(this.endMs, new Float64Array(size))
    this.durationMs = grown(this.durationMs, new Float64Array(size))
    this.bigIntegers = grown(this.bigIntegers, new Int32Array(size))
    this.attributesFrom = grown(this.attributesFrom, new Int32Array(size))
    this.attributesTo = grown(this.attributesTo, new Int32Array(size))
    this.eventsFrom = grown(this.eventsFrom, new Int32Array(size))
    this.eventsTo = grown(this.eventsTo, new Int32Array(size))
  }

  #growEvents(): void {
    const size = this.eventName.length * 2
    this.eventName = grown(this.eventName, new Int32Array(size))
    this.eventTimeMs = grown(this.eventTimeMs, new Float64Array(size))
    this.eventFrom = grown(this.eventFrom, new Int32Array(size))
    this.eventTo = grown(this.eventTo, new Int32Array(size))
  }
}

const NO_BYTES = new Uint8Array()

/** Columns that wait for the next requests. */
const MAX_IDLE = 2

/** Gives out columns for one request at a time; those under way keep theirs. */
export class ColumnsPool {
  readonly #idle: SpanColumns[] = []
  readonly #isAsked: (name: string) => boolean
  #names = new Names()
  #templates: SpanTemplates

  /** `isAsked`: whether the text of an attribute of that name is ever asked for. */
  constructor(isAsked: (name: string) => boolean) {
    this.#isAsked = isAsked
    this.#templates = new SpanTemplates(isAsked)
  }

  /** Columns for a request, to be given back. */
  take(): SpanColumns {
    // Names that never come again have filled it.
    if (this.#names.isFull) {
      this.#names = new Names()
      this.#templates = new SpanTemplates(this.#isAsked)
      this.#idle.length = 0
    }
    return this.#idle.pop() ?? new SpanColumns(this.#names, this.#templates)
  }

  giveBack(columns: SpanColumns): void {
    columns.clear()
    if (columns.isReusable && columns.names === this.#names && this.#idle.length < MAX_IDLE) this.#idle.push(columns)
  }
}
