import { createHash } from 'node:crypto'
import { isFields, own, type Fields, type TracingEvent } from '../../layer/event.ts'
import { eachField } from '../../layer/fields.ts'
import { levelOfLine } from '../../layer/level.ts'

/** Spans that are open at a time; beyond it the one that was longest not seen ends. */
const MAX_OPEN = 256

/** Spans inside each other that one line can show; those further inside belong to the last of them. */
const MAX_PATH = 64

/** A span that no line has shown for this long (time of the lines) has ended, for want of a line that says so. */
const IDLE_MS = 5 * 60_000

/** Events that are kept of one span, as OpenTelemetry's SDKs do. */
const MAX_EVENTS = 128

/** What `FmtSpan` of tracing-subscriber writes of a span itself: no events of the trainer's. */
const LIFE: ReadonlySet<string | null> = new Set(['new', 'enter', 'exit', 'close'])

/** A span that has ended, made of the lines that showed it. Times in UTC milliseconds, with fractions. */
export interface LineSpan {
  name: string
  /** Lower-case hex. */
  traceId: string
  spanId: string
  parentSpanId: string | null
  startMs: number
  endMs: number
  attributes: Fields
  events: readonly { name: string; timeMs: number; attributes: Fields }[]
  droppedEvents: number
  /** An event of level ERROR was in it. */
  isFailed: boolean
}

interface Open extends Omit<LineSpan, 'endMs'> {
  events: { name: string; timeMs: number; attributes: Fields }[]
  /** Fields as the lines show them, and their JSON. */
  fields: Fields
  shown: string
  parent: Open | null
  /** By the JSON of their fields. */
  children: Map<string, Open>
  lastMs: number
}

/**
 * Makes spans of tracing lines that show their enclosing spans (`span`, `spans`). With `FmtSpan::CLOSE` their times are
 * exact; without it a span reaches from the first to the last line that shows it, and ends when one of the same name
 * shows a later step, after a while, or with the run. Ids follow from the run and the order of the lines.
 */
export class LineSpans {
  readonly #run: string
  readonly #stepFields: readonly string[]
  readonly #emit: (span: LineSpan) => void
  readonly #roots = new Map<string, Open>()
  /** In the order in which they were last seen. */
  readonly #open = new Set<Open>()
  #made = 0

  constructor(run: string, stepFields: readonly string[], emit: (span: LineSpan) => void) {
    this.#run = run
    this.#stepFields = stepFields
    this.#emit = emit
  }

  /** One line that shows spans; `isTaken`: the filter lets its event pass. */
  line(line: Fields, event: TracingEvent, timeMs: number, isTaken: boolean): void {
    timeMs += belowMs(line)
    const span = this.#innermost(line, timeMs)
    if (span === null) return
    if (event.message === 'close' && this.#close(span, event, timeMs)) return
    if (isTaken && !LIFE.has(event.message)) addEvent(span, line, event, timeMs)
    this.#endIdle(timeMs)
  }

  /** The innermost span that a line shows; null when it shows none that can be told from others. */
  #innermost(line: Fields, timeMs: number): Open | null {
    let span: Open | null = null
    try {
      for (const fields of pathOf(line).slice(0, MAX_PATH)) span = this.#find(span, fields, timeMs)
    } catch (error) {
      // Spans are known by their JSON, and lists inside each other by the thousands have none.
      if (!(error instanceof RangeError)) throw error
      return null
    }
    return span
  }

  /** The input is over: nothing is shown any more. */
  end(): void {
    for (const root of this.#roots.values()) this.#end(root, root.lastMs)
  }

  /** The span that these fields show inside `parent`; a new one if none is open that they fit. */
  #find(parent: Open | null, fields: Fields, timeMs: number): Open {
    const siblings = parent === null ? this.#roots : parent.children
    const shown = JSON.stringify(fields)
    const open = siblings.get(shown) ?? this.#grown(siblings, fields, shown)
    if (open !== undefined) {
      open.lastMs = Math.max(open.lastMs, timeMs)
      this.#open.delete(open)
      this.#open.add(open)
      return open
    }
    for (const other of siblings.values()) if (this.#isPassedBy(other.fields, fields)) this.#end(other, other.lastMs)
    const made = this.#make(parent, fields, shown, timeMs)
    siblings.set(shown, made)
    this.#open.add(made)
    if (this.#open.size > MAX_OPEN) this.#endOldest(made)
    return made
  }

  /** An open span that has got more fields since it was shown last. */
  #grown(siblings: Map<string, Open>, fields: Fields, shown: string): Open | undefined {
    for (const open of siblings.values()) {
      if (open.fields['name'] !== fields['name'] || !isSame(open.fields, fields)) continue
      siblings.delete(open.shown)
      siblings.set(shown, open)
      open.fields = fields
      open.shown = shown
      return open
    }
    return undefined
  }

  /** Whether a span of the same name is at a later step: then the other one is over. */
  #isPassedBy(open: Fields, next: Fields): boolean {
    if (open['name'] !== next['name']) return false
    return this.#stepFields.some((name) => {
      const [before, after] = [own(open, name), own(next, name)]
      return typeof before === 'number' && typeof after === 'number' && after > before
    })
  }

  #make(parent: Open | null, fields: Fields, shown: string, timeMs: number): Open {
    this.#made += 1
    const hash = createHash('sha256').update(`${this.#run}/${this.#made}`).digest('hex')
    return {
      name: typeof fields['name'] === 'string' ? fields['name'] : 'span',
      traceId: parent?.traceId ?? hash.slice(0, 32),
      spanId: hash.slice(32, 48),
      parentSpanId: parent?.spanId ?? null,
      startMs: timeMs,
      lastMs: timeMs,
      attributes: {},
      events: [],
      droppedEvents: 0,
      isFailed: false,
      fields,
      shown,
      parent,
      children: new Map(),
    }
  }

  /** A line that says how long the span was busy and idle; false when it is another event of that name. */
  #close(span: Open, { wrapped, line }: TracingEvent, timeMs: number): boolean {
    const fields = wrapped[0] ?? line ?? {}
    const [busy, idle] = [durationOf(own(fields, 'time.busy')), durationOf(own(fields, 'time.idle'))]
    if (busy === null || idle === null) return false
    span.startMs = timeMs - busy - idle
    this.#end(span, timeMs)
    return true
  }

  #endIdle(timeMs: number): void {
    const [oldest] = this.#open
    if (oldest !== undefined && timeMs - oldest.lastMs > IDLE_MS) this.#end(oldest, oldest.lastMs)
  }

  /** Ends the span that was longest not seen, but none that `kept` is in. */
  #endOldest(kept: Open): void {
    const ancestors = new Set<Open>()
    for (let span: Open | null = kept; span !== null; span = span.parent) ancestors.add(span)
    for (const open of this.#open) {
      if (ancestors.has(open)) continue
      this.#end(open, open.lastMs)
      return
    }
  }

  /** What is open inside of it ends first. */
  #end(span: Open, endMs: number): void {
    for (const child of span.children.values()) this.#end(child, child.lastMs)
    this.#open.delete(span)
    ;(span.parent === null ? this.#roots : span.parent.children).delete(span.shown)
    const { name: _, ...attributes } = span.fields
    const { fields: _fields, shown: _shown, parent: _parent, children: _children, lastMs: _lastMs, ...made } = span
    this.#emit({ ...made, attributes, endMs: Math.max(endMs, span.startMs) })
  }
}

/** Spans from the root inwards. `spans` may leave out the innermost, which `span` is. */
function pathOf(line: Fields): Fields[] {
  const spans = own(line, 'spans')
  const span = own(line, 'span')
  const path = Array.isArray(spans) ? spans.filter((each): each is Fields => isFields(each)) : []
  const inner = path.at(-1)
  if (isFields(span) && (inner === undefined || !isEqual(inner, span))) path.push(span)
  return path
}

/** The part of a line's time that is below a millisecond. */
function belowMs(line: Fields): number {
  const time = own(line, 'timestamp')
  const digits = typeof time === 'string' ? /:\d\d\.\d{3}(\d+)/.exec(time)?.[1] : undefined
  return digits === undefined ? 0 : Number(`0.${digits}`)
}

const isEqual = (a: Fields, b: Fields): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Whether a span that showed `before` may show `now`: fields are added while it is open, and not changed. */
const isSame = (before: Fields, now: Fields): boolean =>
  Object.entries(before).every(([name, value]) => JSON.stringify(own(now, name)) === JSON.stringify(value))

function addEvent(span: Open, line: Fields, event: TracingEvent, timeMs: number): void {
  if (levelOfLine(line) === 1) span.isFailed = true
  if (span.events.length >= MAX_EVENTS) {
    span.droppedEvents += 1
    return
  }
  const attributes: [name: string, value: unknown][] = []
  for (const { name, value } of eachField(event, null)) attributes.push([name, value])
  for (const name of ['level', 'target']) if (typeof line[name] === 'string') attributes.push([name, line[name]])
  // Not by assignment, which would take `__proto__` for something else.
  span.events.push({ name: event.message ?? 'event', timeMs, attributes: Object.fromEntries(attributes) })
}

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, µs: 1e-3, us: 1e-3, ms: 1, s: 1000 }

/** `72.4µs` in milliseconds, or null when it is none. */
function durationOf(text: unknown): number | null {
  const match = typeof text === 'string' ? /^(\d+(?:\.\d+)?)(ns|µs|us|ms|s)$/.exec(text) : null
  return match === null ? null : Number(match[1]) * UNIT_MS[match[2]!]!
}
