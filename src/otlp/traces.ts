import { own, type Fields } from '../layer/event.ts'
import { groupsOf, type Group } from './envelope.ts'
import { countsIntegerText, mayBeRust, RUST_LEVELS, type ReadOptions } from './options.ts'
import { readSpan, type OtlpSpan } from './span.ts'
import { ValueNotes, type ValueOptions } from './values.ts'
import { WireReader } from './wire.ts'

export type { OtlpEvent, OtlpSpan } from './span.ts'
export type { ReadOptions } from './options.ts'

/** The spans of an ExportTraceServiceRequest in their order. Throws `WireError`: a request is read whole or not at all. */
export function readTraces(body: Uint8Array, options: ReadOptions = {}): OtlpSpan[] {
  const r = new WireReader(body)
  const spans: OtlpSpan[] = []
  for (const group of groupsOf(r)) {
    const isNumber = countsIntegerText(options, group.resource)
    const read = readGroup(r, group, isNumber)
    // A resource of one's own making may not tell the language.
    const isRust = !isNumber && mayBeRust(options, group.resource) && read.some(isOfTracing)
    for (const span of isRust ? readGroup(r, group, true) : read) spans.push(span)
  }
  return spans
}

function readGroup(r: WireReader, group: Group, integerText: boolean): OtlpSpan[] {
  const notes = new ValueNotes({ integerText })
  const spans: OtlpSpan[] = []
  for (let i = 0; i < group.items.length; i += 2) {
    r.pos = group.items[i]!
    r.end = group.items[i + 1]!
    spans.push(readSpan(r, group, notes))
  }
  return spans
}

/** Whether Rust's tracing-opentelemetry has written a span: its events have a level and a target, itself busy and idle times. */
export const isOfTracing = ({ attributes, events }: OtlpSpan): boolean =>
  (typeof own(attributes, 'busy_ns') === 'number' && typeof own(attributes, 'idle_ns') === 'number') ||
  events.some(
    (event) => RUST_LEVELS.has(own(event.attributes, 'level')) && typeof own(event.attributes, 'target') === 'string',
  )

const NO_GROUP = { resourceHead: new Uint8Array(), scopeHead: new Uint8Array(), resource: {} as Fields }

/** Attributes and events of a Span message once more, as `options` say: with exact integers, for example. */
export function spanAsWritten(bytes: Uint8Array, options: ValueOptions): Pick<OtlpSpan, 'attributes' | 'events'> {
  return readSpan(new WireReader(bytes), NO_GROUP, new ValueNotes(options))
}

/** The name in a Span message; an empty one when it cannot be read. */
export function spanName(bytes: Uint8Array): string {
  try {
    return readSpan(new WireReader(bytes), NO_GROUP, new ValueNotes()).name
  } catch {
    return ''
  }
}

/** The ids in a Span message, as lower-case hex. @throws WireError when it cannot be read */
export const spanIdsOf = (bytes: Uint8Array): Pick<OtlpSpan, 'traceId' | 'spanId'> =>
  readSpan(new WireReader(bytes), NO_GROUP, new ValueNotes())

/** The trace id in a Span message, as lower-case hex. @throws WireError when it cannot be read */
export const traceIdOf = (bytes: Uint8Array): string => spanIdsOf(bytes).traceId
