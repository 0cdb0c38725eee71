/** Fields of an event or of a span: what `JSON.parse` gives. Own properties only; `__proto__` may be one of them. */
export type Fields = Record<string, unknown>

/**
 * One structured tracing event, as a receiver read it. It holds references into the parsed line and copies nothing.
 * A field is looked up in `wrapped` first, then in `line`.
 */
export interface TracingEvent {
  /** UTC milliseconds, or null when the event carries no time that can be read. */
  time: number | null
  message: string | null
  /** Objects whose name is no part of the key (`fields`, `context`, ...), strongest first. */
  wrapped: readonly Fields[]
  /** The top level of the line, or null when nothing there is the event's own. */
  line: Fields | null
  /** Names at the top level that hold the wrappers. */
  wrapperNames: readonly string[]
  /** Fields of the enclosing spans, innermost first. */
  spans: readonly Fields[]
}

/** `wrapped` and `line` of an event once more, with each number as the text that was written (`JSON.rawJSON`). */
export type AsWritten = Pick<TracingEvent, 'wrapped' | 'line'>

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)

/** The own field `name`, never one of the prototype's. */
export function own(fields: Fields, name: string): unknown {
  const value = fields[name]
  // Most fields that are asked for are not there: reading one that is not costs half of asking whether it is.
  return value !== undefined && Object.hasOwn(fields, name) ? value : undefined
}
