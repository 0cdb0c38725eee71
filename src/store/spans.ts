import { settingOf } from '../config/settings.ts'
import type { Fields } from '../layer/event.ts'
import { blockOfRow, spansOf } from '../journal/span-rows.ts'
import type { Statements } from '../journal/statements.ts'
import { spansIn } from '../otlp/span-blocks.ts'
import { readSpan, START, END } from '../otlp/span.ts'
import { ValueNotes } from '../otlp/values.ts'
import { LEN, tagOf, VARINT, WireReader } from '../otlp/wire.ts'
import type { Pieces } from './pieces.ts'
import type { Duration } from './steps.ts'
import type { SpanRow, SpansPage } from '../web/api.ts'

export interface SpansQuery {
  /** UTC ms, both included; absent: all. */
  from?: number
  to?: number
  limit: number
  /** Long texts, too, instead of their beginnings. */
  isWhole?: boolean
}

/** Attributes that tell spans that run side by side apart, strongest first. */
const TRACK_ATTRIBUTES = ['thread.name', 'thread.id', 'worker', 'worker_id', 'rank', 'process.pid']

/** Attributes that hold the step of a span, where nobody says otherwise. */
export const STEP_FIELDS: readonly string[] = settingOf('steps.fields').default as readonly string[]

const MAX_TEXT = 500

/** Spans whose durations are added up by step: 100,000 take a third of a second. */
const MAX_DURATIONS = 100_000

/** Spans that are read, that are looked at, and that are known between two chances for others. */
const ROWS_A_PIECE = 100
const SPANS_A_PIECE = 1000
const A_PIECE = 10_000
/** Blocks of spans, of a megabyte each, that are held in memory. */
const BLOCKS_AT_ONCE = 16

/** Where each span lies in time, so that a stretch is found without reading the others: 24 bytes a span. */
export class SpanIndex {
  readonly #rows: Statements
  readonly #stepFields: readonly string[]
  readonly #sequence: number[] = []
  readonly #start: number[] = []
  readonly #end: number[] = []
  readonly #range = { from: Infinity, to: -Infinity }
  #upTo = 0
  /** The block that was read last. */
  #block: { first: number; spans: Uint8Array[] } = { first: 0, spans: [] }

  constructor(rows: Statements, stepFields: readonly string[]) {
    this.#rows = rows
    this.#stepFields = stepFields
  }

  /** The spans that touch a stretch of time, by their start; the longest, where they are too many. */
  *read({ from = -Infinity, to = Infinity, limit, isWhole = false }: SpansQuery): Pieces<SpansPage> {
    yield* this.#refresh()
    if (this.#start.length === 0) return { range: null, total: 0, spans: [] }
    const { found, total } = yield* this.#longest(from, to, limit)
    found.sort((a, b) => this.#start[a]! - this.#start[b]! || this.#length(b) - this.#length(a))
    // In the order of the journal: spans of one block lie together there.
    const inOrder = found.toSorted((a, b) => a - b)
    const read = yield* this.#read(
      inOrder.map((i) => this.#sequence[i]!),
      isWhole ? Infinity : MAX_TEXT,
    )
    const rowOf = new Map(inOrder.map((i, nth) => [i, read[nth]!]))
    const rows = found.map((i) => rowOf.get(i)!).filter((row) => row !== null)
    return { range: { ...this.#range }, total, spans: yield* withInherited(rows) }
  }

  /** How long each of the newest spans took but for those inside it, at the step of itself or of one around it. */
  *durations(): Pieces<{ counted: number; total: number; durations: Duration[] }> {
    yield* this.#refresh()
    const read = yield* this.#read(this.#sequence.slice(-MAX_DURATIONS), MAX_TEXT)
    const rows = yield* withInherited(read.filter((row) => row !== null))
    const inside = new Map<string, number>()
    for (const [i, { trace, parent, start, end }] of rows.entries()) {
      if (i % A_PIECE === A_PIECE - 1) yield
      if (parent !== null) inside.set(trace + parent, (inside.get(trace + parent) ?? 0) + end - start)
    }
    const durations: Duration[] = []
    for (const [i, { trace, span, name, step, start, end }] of rows.entries()) {
      if (i % A_PIECE === A_PIECE - 1) yield
      const ms = Math.max(0, end - start - (inside.get(trace + span) ?? 0))
      if (step !== null) durations.push({ name, step, ms })
    }
    return { counted: rows.length, total: this.#sequence.length, durations }
  }

  #length(i: number): number {
    return this.#end[i]! - this.#start[i]!
  }

  /** Places of spans that touch a stretch of time: all, or the `limit` longest of them. */
  *#longest(from: number, to: number, limit: number): Pieces<{ found: number[]; total: number }> {
    let found: number[] = []
    let total = 0
    // What is no longer than the shortest of so many others need not be kept.
    let least = -1
    const keepLongest = (): void => {
      if (found.length <= limit) return
      found = found.sort((a, b) => this.#length(b) - this.#length(a)).slice(0, limit)
      least = limit === 0 ? Infinity : this.#length(found.at(-1)!)
    }
    for (let i = 0; i < this.#start.length; i += 1) {
      if (i % A_PIECE === A_PIECE - 1) yield
      if (this.#end[i]! < from || this.#start[i]! > to) continue
      total += 1
      if (this.#length(i) <= least) continue
      found.push(i)
      if (found.length >= 2 * limit + A_PIECE) keepLongest()
    }
    keepLongest()
    return { found, total }
  }

  *#refresh(): Pieces<void> {
    const table = spansOf(this.#rows.database)
    if (table === null) return
    const sql = `SELECT first, count, data FROM ${table} WHERE first > ? ORDER BY first LIMIT ${BLOCKS_AT_ONCE}`
    for (let came = 0; ;) {
      const rows = this.#rows.all(sql, this.#upTo)
      for (const row of rows) {
        const { first, bytes } = blockOfRow(row, '')
        let sequence = first
        for (const span of spansIn(bytes)) this.#add(sequence++, span)
        this.#upTo = Math.max(first, sequence - 1)
        came += sequence - first
        if (came < SPANS_A_PIECE) continue
        came = 0
        yield
      }
      if (rows.length < BLOCKS_AT_ONCE) return
    }
  }

  #add(sequence: number, bytes: Uint8Array): void {
    const times = timesOf(bytes)
    if (times === null) return
    this.#sequence.push(sequence)
    this.#start.push(times.start)
    this.#end.push(times.end)
    this.#range.from = Math.min(this.#range.from, times.start)
    this.#range.to = Math.max(this.#range.to, times.end)
  }

  *#read(sequences: readonly number[], maxText: number): Pieces<(SpanRow | null)[]> {
    const rows: (SpanRow | null)[] = []
    for (const [i, sequence] of sequences.entries()) {
      if (i % ROWS_A_PIECE === ROWS_A_PIECE - 1) yield
      rows.push(this.#row(sequence, maxText))
    }
    return rows
  }

  /** A Span message; null: it is not there any more. */
  #spanAt(sequence: number): Uint8Array | null {
    const { first, spans } = this.#block
    if (sequence >= first && sequence < first + spans.length) return spans[sequence - first]!
    const sql = `SELECT first, count, data FROM ${spansOf(this.#rows.database)} WHERE first <= ? ORDER BY first DESC LIMIT 1`
    const row = this.#rows.get(sql, sequence)
    if (row === undefined) return null
    const block = blockOfRow(row, '')
    this.#block = { first: block.first, spans: [...spansIn(block.bytes)] }
    return this.#block.spans[sequence - block.first] ?? null
  }

  #row(sequence: number, maxText: number): SpanRow | null {
    const bytes = this.#spanAt(sequence)
    if (bytes === null) return null
    const group = { resourceHead: new Uint8Array(), scopeHead: new Uint8Array(), resource: {} }
    const span = readSpan(new WireReader(bytes), group, new ValueNotes())
    const { start, end } = timesOf(bytes)!
    const track = TRACK_ATTRIBUTES.find((name) => Object.hasOwn(span.attributes, name))
    return {
      trace: span.traceId,
      span: span.spanId,
      parent: span.parentSpanId === '' ? null : span.parentSpanId,
      name: span.name.slice(0, maxText),
      start,
      end,
      step: stepOf(span.attributes, this.#stepFields),
      isError: isError(bytes),
      track: track === undefined ? '' : `${track} ${String(span.attributes[track])}`,
      attributes: plain(span.attributes, maxText),
    }
  }
}

/** What a span does not say of itself, it has from the spans around it. */
function* withInherited(spans: SpanRow[]): Pieces<SpanRow[]> {
  const byId = new Map<string, SpanRow>()
  for (const [i, row] of spans.entries()) {
    byId.set(row.trace + row.span, row)
    if (i % A_PIECE === A_PIECE - 1) yield
  }
  const parentOf = (row: SpanRow): SpanRow | undefined =>
    row.parent === null ? undefined : byId.get(row.trace + row.parent)
  // Each span is looked at once: where they nest deeply, a walk from each to its root would never end.
  const done = new Set<SpanRow>()
  for (const [i, row] of spans.entries()) {
    const path: SpanRow[] = []
    for (let at: SpanRow | undefined = row; at !== undefined && !done.has(at); at = parentOf(at)) {
      done.add(at)
      path.push(at)
    }
    for (const inner of path.toReversed()) {
      const outer = parentOf(inner)
      inner.step ??= outer?.step ?? null
      if (inner.track === '') inner.track = outer?.track ?? ''
    }
    if (i % A_PIECE === A_PIECE - 1) yield
  }
  return spans
}

function stepOf(attributes: Fields, names: readonly string[]): number | null {
  for (const name of names) {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  }
  return null
}

const plain = (attributes: Fields, maxText: number): Record<string, string | number | boolean> =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      name,
      typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
        ? value
        : (typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))).slice(0, maxText),
    ]),
  )

/** Start and end in UTC ms with fractions; null: the span has none, or cannot be read. */
function timesOf(bytes: Uint8Array): { start: number; end: number } | null {
  try {
    return readTimes(new WireReader(bytes))
  } catch {
    return null
  }
}

function readTimes(r: WireReader): { start: number; end: number } | null {
  let start = 0
  let end = 0
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === START || tag === END) {
      r.fixed64()
      const ms = (r.high * 2 ** 32 + r.low) / 1e6
      if (tag === START) start = ms
      else end = ms
    } else r.skip(tag)
  }
  return start === 0 ? null : { start, end: Math.max(start, end) }
}

const STATUS_FIELD = tagOf(15, LEN)
const STATUS_CODE = tagOf(3, VARINT)
const STATUS_ERROR = 2

function isError(bytes: Uint8Array): boolean {
  const r = new WireReader(bytes)
  let code = 0
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag !== STATUS_FIELD) {
      r.skip(tag)
      continue
    }
    const outer = r.enter()
    while (r.pos < r.end) {
      const inner = r.tag()
      if (inner === STATUS_CODE) code = r.int64()
      else r.skip(inner)
    }
    r.end = outer
  }
  return code === STATUS_ERROR
}
