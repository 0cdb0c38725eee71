import type { Fields } from '../layer/event.ts'
import { groupsOf, type Group } from './envelope.ts'
import { Ids, SPAN_ID_BYTES, TRACE_ID_BYTES } from './ids.ts'
import { countsIntegerText, type ReadOptions } from './options.ts'
import { msOf } from './times.ts'
import { readName, readPlainAttribute, readText, readValue, ValueNotes, type ValueOptions } from './values.ts'
import { fieldSet, I32, I64, LEN, tagOf, VARINT, WireReader } from './wire.ts'

const TIME = tagOf(1, I64)
const SEVERITY = tagOf(2, VARINT)
const SEVERITY_TEXT = tagOf(3, LEN)
const BODY = tagOf(5, LEN)
const ATTRIBUTES = tagOf(6, LEN)
const DROPPED_ATTRIBUTES = tagOf(7, VARINT)
const FLAGS = tagOf(8, I32)
const TRACE_ID = tagOf(9, LEN)
const SPAN_ID = tagOf(10, LEN)
const OBSERVED = tagOf(11, I64)
const EVENT_NAME = tagOf(12, LEN)
const LOG_RECORD = fieldSet(1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12)

const traceIds = new Ids(TRACE_ID_BYTES)
const spanIds = new Ids(SPAN_ID_BYTES)

/** A log record. */
export interface OtlpLog {
  /** Attributes of the Resource; one object for all its records. */
  resource: Fields
  /** The fields of ResourceLogs and ScopeLogs around the record, as they came. */
  resourceHead: Uint8Array
  scopeHead: Uint8Array
  /** The LogRecord message, a view of the body. */
  bytes: Uint8Array
  /** Whole UTC milliseconds: the record's time, else the observed one; null when it has neither. */
  timeMs: number | null
  /** 1 (TRACE) to 24 (FATAL4), 0 when it is not given. */
  severity: number
  severityText: string
  /** Most often a string; any value may come. */
  body: unknown
  eventName: string
  /** Lower-case hex; '' when absent or all zero. */
  traceId: string
  spanId: string
  attributes: Fields
  /** Integers beyond 2^53 in the attributes. */
  bigIntegers: number
  /** Lists and maps in body and attributes that lie too deep: null stands in their place. */
  tooDeep: number
}

/** The records of an ExportLogsServiceRequest in their order. Throws `WireError`: a request is read whole or not at all. */
export function readLogs(body: Uint8Array, options: ReadOptions = {}): OtlpLog[] {
  const r = new WireReader(body)
  const logs: OtlpLog[] = []
  for (const group of groupsOf(r)) {
    const { items } = group
    const integerText = countsIntegerText(options, group.resource)
    for (let i = 0; i < items.length; i += 2) {
      r.pos = items[i]!
      r.end = items[i + 1]!
      logs.push(readLog(r, group, { integerText }))
    }
  }
  return logs
}

/** Body and attributes of a LogRecord message once more, as `options` say: with exact integers, for example. */
export function logAsWritten(bytes: Uint8Array, options: ValueOptions): Pick<OtlpLog, 'attributes' | 'body'> {
  return readLog(new WireReader(bytes), NO_GROUP, options)
}

const NO_GROUP = { resource: {}, resourceHead: new Uint8Array(), scopeHead: new Uint8Array() }

function readLog(r: WireReader, group: Omit<Group, 'items'>, options: ValueOptions): OtlpLog {
  const notes = new ValueNotes(options)
  // A body is a message for people: its numbers are not taken, and its text stays text.
  const bodyNotes = new ValueNotes({ ...options, integerText: false })
  const log = emptyLog(group, r.viewOf(r.pos, r.end))
  let observedMs = 0
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === ATTRIBUTES) readPlainAttribute(r, log.attributes, notes)
    else if (tag === TIME) log.timeMs = readTime(r)
    else if (tag === OBSERVED) observedMs = readTime(r)
    else if (tag === BODY) log.body = readValue(r, bodyNotes)
    else if (tag === SEVERITY) log.severity = readEnum(r)
    else if (tag === SEVERITY_TEXT) log.severityText = readText(r)
    else if (tag === EVENT_NAME) log.eventName = readName(r)
    else if (tag === TRACE_ID) log.traceId = traceIds.read(r)
    else if (tag === SPAN_ID) log.spanId = spanIds.read(r)
    else r.skip(tag, tag === DROPPED_ATTRIBUTES || tag === FLAGS ? 0 : LOG_RECORD)
  }
  log.timeMs = log.timeMs || observedMs || null
  log.bigIntegers = notes.bigIntegers
  log.tooDeep = notes.tooDeep + bodyNotes.tooDeep
  return log
}

const emptyLog = ({ resource, resourceHead, scopeHead }: Omit<Group, 'items'>, bytes: Uint8Array): OtlpLog => ({
  resource,
  resourceHead,
  scopeHead,
  bytes,
  timeMs: null,
  severity: 0,
  severityText: '',
  body: null,
  eventName: '',
  traceId: '',
  spanId: '',
  attributes: {},
  bigIntegers: 0,
  tooDeep: 0,
})

function readTime(r: WireReader): number {
  r.fixed64()
  return msOf(r.high, r.low)
}

function readEnum(r: WireReader): number {
  r.varint()
  return r.low | 0
}
