import type { Fields } from '../layer/event.ts'
import type { Group } from './envelope.ts'
import { Ids, SPAN_ID_BYTES, TRACE_ID_BYTES } from './ids.ts'
import { LINK, readShape, STATUS as STATUS_SHAPE } from './shapes.ts'
import { msOf } from './times.ts'
import { readName, readPlainAttribute, type ValueNotes } from './values.ts'
import { fieldSet, I32, I64, LEN, tagOf, VARINT, type WireReader } from './wire.ts'

export const TRACE_ID = tagOf(1, LEN)
export const SPAN_ID = tagOf(2, LEN)
const TRACE_STATE = tagOf(3, LEN)
export const PARENT_SPAN_ID = tagOf(4, LEN)
export const NAME = tagOf(5, LEN)
const KIND = tagOf(6, VARINT)
export const START = tagOf(7, I64)
export const END = tagOf(8, I64)
export const ATTRIBUTES = tagOf(9, LEN)
const DROPPED_ATTRIBUTES = tagOf(10, VARINT)
export const EVENTS = tagOf(11, LEN)
const DROPPED_EVENTS = tagOf(12, VARINT)
export const LINKS = tagOf(13, LEN)
const DROPPED_LINKS = tagOf(14, VARINT)
const STATUS = tagOf(15, LEN)
const FLAGS = tagOf(16, I32)
const SPAN = fieldSet(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)

export const EVENT_TIME = tagOf(1, I64)
export const EVENT_NAME = tagOf(2, LEN)
export const EVENT_ATTRIBUTES = tagOf(3, LEN)
const EVENT_DROPPED = tagOf(4, VARINT)
const EVENT = fieldSet(1, 2, 3, 4)

/** Passes over a field of a Span of which nothing is kept. */
export function skipInSpan(r: WireReader, tag: number): void {
  switch (tag) {
    case LINKS:
      readShape(r, LINK)
      break
    case STATUS:
      readShape(r, STATUS_SHAPE)
      break
    case TRACE_STATE:
    case KIND:
    case DROPPED_ATTRIBUTES:
    case DROPPED_EVENTS:
    case DROPPED_LINKS:
    case FLAGS:
      r.skip(tag)
      break
    default:
      r.skip(tag, SPAN)
  }
}

/** Passes over a field of an Event of which nothing is kept. */
export const skipInEvent = (r: WireReader, tag: number): void => r.skip(tag, tag === EVENT_DROPPED ? 0 : EVENT)

const traceIds = new Ids(TRACE_ID_BYTES)
const spanIds = new Ids(SPAN_ID_BYTES)
const parentIds = new Ids(SPAN_ID_BYTES)

/** An event inside a span. */
export interface OtlpEvent {
  name: string
  /** Whole UTC milliseconds; 0 when it has none. */
  timeMs: number
  attributes: Fields
}

/** A span as far as numbers are taken from it, and all the bytes that it takes to send it on unchanged. */
export interface OtlpSpan {
  resourceHead: Uint8Array
  scopeHead: Uint8Array
  /** Attributes of the Resource; one object for all its spans. */
  resource: Fields
  /** The Span message, a view of the body. */
  bytes: Uint8Array
  /** Lower-case hex; '' when absent or all zero. The same for the ids below. */
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  /** Whole UTC milliseconds, 0 when absent. */
  startMs: number
  endMs: number
  /** Exact to the nanosecond; null when one of the times is absent, or the end lies before the start. */
  durationMs: number | null
  attributes: Fields
  events: OtlpEvent[]
  /** Integers beyond 2^53 in attributes and events. */
  bigIntegers: number
  /** Lists and maps in attributes and events that lie too deep: null stands in their place. */
  tooDeep: number
}

/** Reads the Span message that fills the range of `r`. Long, for it is one switch over its fields. */
export function readSpan(r: WireReader, group: Omit<Group, 'items'>, notes: ValueNotes): OtlpSpan {
  const bytes = r.viewOf(r.pos, r.end)
  const attributes: Fields = {}
  const events: OtlpEvent[] = []
  let traceId = ''
  let spanId = ''
  let parentSpanId = ''
  let name = ''
  let startHigh = 0
  let startLow = 0
  let endHigh = 0
  let endLow = 0
  notes.bigIntegers = 0
  notes.tooDeep = 0
  while (r.pos < r.end) {
    const tag = r.tag()
    switch (tag) {
      case TRACE_ID:
        traceId = traceIds.read(r)
        break
      case SPAN_ID:
        spanId = spanIds.read(r)
        break
      case PARENT_SPAN_ID:
        parentSpanId = parentIds.read(r)
        break
      case NAME:
        name = readName(r)
        break
      case START:
        r.fixed64()
        startHigh = r.high
        startLow = r.low
        break
      case END:
        r.fixed64()
        endHigh = r.high
        endLow = r.low
        break
      case ATTRIBUTES:
        readPlainAttribute(r, attributes, notes)
        break
      case EVENTS:
        events.push(readEvent(r, notes))
        break
      default:
        skipInSpan(r, tag)
    }
  }
  // The difference of the halves is exact up to 104 days, unlike that of two times as doubles.
  const durationNs = (endHigh - startHigh) * 2 ** 32 + (endLow - startLow)
  const isTimed = startHigh + startLow > 0 && endHigh + endLow > 0 && durationNs >= 0
  return {
    resourceHead: group.resourceHead,
    scopeHead: group.scopeHead,
    resource: group.resource,
    bytes,
    traceId,
    spanId,
    parentSpanId,
    name,
    startMs: msOf(startHigh, startLow),
    endMs: msOf(endHigh, endLow),
    durationMs: isTimed ? durationNs / 1e6 : null,
    attributes,
    events,
    bigIntegers: notes.bigIntegers,
    tooDeep: notes.tooDeep,
  }
}

function readEvent(r: WireReader, notes: ValueNotes): OtlpEvent {
  r.object()
  const outer = r.enter()
  const attributes: Fields = {}
  let name = ''
  let timeMs = 0
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === EVENT_ATTRIBUTES) {
      readPlainAttribute(r, attributes, notes)
    } else if (tag === EVENT_TIME) {
      r.fixed64()
      timeMs = msOf(r.high, r.low)
    } else if (tag === EVENT_NAME) {
      name = readName(r)
    } else {
      skipInEvent(r, tag)
    }
  }
  r.end = outer
  return { name, timeMs, attributes }
}
