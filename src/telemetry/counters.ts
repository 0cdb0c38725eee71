/**
 * The closed list of everything that is counted per run, in one place. A counter is an index into a `Float64Array`, so
 * that counting costs one addition and the differences travel to the journal beside their chunk of points.
 */

/** Why a number that was received became no point. `docs/counters.md` tells the cure for each. */
export const SKIP_REASONS = [
  'no_step',
  'step_out_of_range',
  'config',
  'filtered',
  'duplicate',
  'key_too_long',
  'series_cap',
  'too_deep',
  'invalid_key',
] as const

/** Why a point never reached the journal. */
export const DROP_REASONS = ['channel_full', 'journal_full'] as const

/** What was wrong with a line that is no event. Such a line passes through untouched. */
export const LINE_FAULTS = ['text', 'not_object', 'invalid_json', 'too_long', 'torn'] as const

export type SkipReason = (typeof SKIP_REASONS)[number]
export type DropReason = (typeof DROP_REASONS)[number]
export type LineFault = (typeof LINE_FAULTS)[number]

const RECEIVED = ['lines', 'events', 'spans', 'numbers', 'rounded_integers', 'invalid_utf8'] as const

/** Why a span never reached the journal. */
export const SPAN_DROP_REASONS = ['channel_full', 'journal_full'] as const

/** Why an event of level WARN or above never reached the journal. */
export const EVENT_DROP_REASONS = ['channel_full', 'journal_full'] as const

/** Every counter by its name in the journal, in the order of its index. */
export const COUNTERS: readonly string[] = [
  ...RECEIVED.map((name) => `received.${name}`),
  'points',
  ...SKIP_REASONS.map((reason) => `skipped.${reason}`),
  ...DROP_REASONS.map((reason) => `dropped.${reason}`),
  ...LINE_FAULTS.map((fault) => `not_events.${fault}`),
  'console.skipped',
  'waiting',
  'spans.duplicate',
  ...SPAN_DROP_REASONS.map((reason) => `spans.dropped.${reason}`),
  'events.warn',
  'events.error',
  ...EVENT_DROP_REASONS.map((reason) => `events.dropped.${reason}`),
]

const INDEX = new Map(COUNTERS.map((name, i) => [name, i]))
const index = (name: string): number => INDEX.get(name)!

/** Indexes of the counters that the hot path touches. */
export const LINES = index('received.lines')
export const EVENTS = index('received.events')
export const SPANS = index('received.spans')
export const NUMBERS = index('received.numbers')
export const ROUNDED_INTEGERS = index('received.rounded_integers')
export const INVALID_UTF8 = index('received.invalid_utf8')
export const POINTS = index('points')
/** Numbers that wait for the spans around them to tell their step; what has ended its waiting is taken off. */
export const WAITING = index('waiting')
/** Spans that came again: not taken twice. */
export const DUPLICATE_SPANS = index('spans.duplicate')
export const SPANS_CHANNEL_FULL = index('spans.dropped.channel_full')
export const SPANS_JOURNAL_FULL = index('spans.dropped.journal_full')
/** Events that are kept whole, by their levels, and those of them that are not. */
export const EVENTS_OF = { WARN: index('events.warn'), ERROR: index('events.error') } as const
export const EVENTS_CHANNEL_FULL = index('events.dropped.channel_full')
export const EVENTS_JOURNAL_FULL = index('events.dropped.journal_full')
/** Events that the console did not show because the terminal was slow. */
export const CONSOLE_SKIPPED = index('console.skipped')

export const skipped = (reason: SkipReason): number => index(`skipped.${reason}`)
export const dropped = (reason: DropReason): number => index(`dropped.${reason}`)
export const notAnEvent = (fault: LineFault): number => index(`not_events.${fault}`)

/** Counts since they were last taken. */
export class Counters {
  readonly values = new Float64Array(COUNTERS.length)

  add(counter: number, n: number): void {
    this.values[counter]! += n
  }

  /** The differences since the last call, or null when nothing was counted. */
  take(): Float64Array | null {
    if (this.values.every((value) => value === 0)) return null
    const taken = this.values.slice()
    this.values.fill(0)
    return taken
  }
}
