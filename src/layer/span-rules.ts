import type { EventLevel } from '../channel/messages.ts'
import type { OtlpSpan } from '../otlp/traces.ts'
import type { Counters } from '../telemetry/counters.ts'
import { keptLevel, type PutEvent } from './event-row.ts'
import type { Fields, TracingEvent } from './event.ts'
import type { Layer } from './layer.ts'
import { levelOfText } from './level.ts'
import type { Rules } from './rules.ts'
import type { WaitingLedger } from './waiting.ts'

/** Most names of spans whose duration is a series. */
const MAX_SPAN_NAMES = 1000

/** Where the numbers of one run go. */
export interface SpanRun {
  layer: Layer
  counters: Counters
  ledger: WaitingLedger
  /** Names of spans whose duration is a series of the run. */
  names: Set<string>
  /** Takes log records and events of level WARN and above. */
  putEvent: PutEvent
}

/** An event of a span, and the bytes of that. */
export interface EventOf {
  span: OtlpSpan
  /** Its place among the events. */
  part: number
  bytes: Uint8Array
}

export interface SpanLayerOptions {
  rules: Rules
  /** Whether the duration of spans of this name is a series. */
  isMeasured: (name: string) => boolean
  /** Whether an event of this target and level (1 ERROR to 5 TRACE, null: unknown) is taken. */
  allows: (target: string, level: number | null, isRust: boolean) => boolean
}

export const eventOf = (
  time: number | null,
  message: string | null,
  attributes: Fields,
  spans: readonly Fields[],
): TracingEvent => ({ time, message, wrapped: [attributes], line: null, wrapperNames: [], spans })

/** The path of the duration of a span's name; null: those of the run are too many. */
export function durationPath(name: string, names: Set<string>): string | null {
  if (!names.has(name) && names.size >= MAX_SPAN_NAMES) return null
  names.add(name)
  return `span/${name}/duration_ms`
}

/** Longest text that is kept of a span for those inside it. */
const LONGEST_TOLD = 64

/**
 * What is kept of a field by which a span tells its step or category, for 100,000 spans at a time: a long text stands by
 * the category that it names, if it names one; of lists, maps and bytes all that counts is that they are there.
 */
export function toldOf(value: unknown, { prefixOf, categories }: Rules): unknown {
  if (typeof value === 'object') return null
  if (typeof value !== 'string' || value.length <= LONGEST_TOLD) return value
  const prefix = prefixOf(value)
  return categories.find((category) => prefixOf(category) === prefix) ?? null
}

export const isRust = (resource: Fields): boolean => resource['telemetry.sdk.language'] === 'rust'

const LEVEL_OF_WORD: Readonly<Record<string, number>> = { ERROR: 1, WARN: 2, INFO: 3, DEBUG: 4, TRACE: 5 }

/** 1 ERROR to 5 TRACE; null: it is no level. */
export const levelOfWord = (word: unknown): number | null =>
  typeof word === 'string' ? (LEVEL_OF_WORD[word.toUpperCase()] ?? null) : null

/** The name that the SDKs of OpenTelemetry give an exception (its conventions, "Recording exceptions on spans"). */
export const EXCEPTION = 'exception'

/** The level at which the journal keeps an event of a span; null: it does not. */
export const levelOfSpanEvent = (name: string, level: unknown): EventLevel | null =>
  typeof level === 'string' ? keptLevel(levelOfText(level)) : name === EXCEPTION ? 'ERROR' : null

export const NO_BYTES = new Uint8Array()

/** What waits holds on to no request: a copy without the bytes. */
export const lightOf = (span: OtlpSpan): OtlpSpan => ({
  ...span,
  bytes: NO_BYTES,
  resourceHead: NO_BYTES,
  scopeHead: NO_BYTES,
})
