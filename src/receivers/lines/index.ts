import type { AsWritten, Fields, TracingEvent } from '../../layer/event.ts'
import { eventRow, keptLevel, stepOfEvent, type PutEvent } from '../../layer/event-row.ts'
import { exampleOfEvent, MAX_EXAMPLE } from '../../layer/example.ts'
import { Layer, type LayerOutput } from '../../layer/layer.ts'
import { levelOfLine } from '../../layer/level.ts'
import { jsonText, withoutSecrets } from '../../layer/params.ts'
import type { Rules } from '../../layer/rules.ts'
import type { Counters } from '../../telemetry/counters.ts'
import {
  INVALID_UTF8,
  LINES,
  notAnEvent,
  ROUNDED_INTEGERS,
  type LineFault,
  type SkipReason,
} from '../../telemetry/counters.ts'
import { compileFilter, targetOf, type LineFilter } from './origin.ts'
import { countBigIntegers, parseLine, withNumbersAsWritten, type ReadLine } from './parse.ts'
import { BYTE_ORDER_MARK, type LineFormat, type Presets } from './presets.ts'
import { RepeatedLines } from './repeats.ts'
import { LineShapes } from './shape.ts'
import type { LineSpans } from './spans.ts'
import { LineSplitter, type LineSink } from './split.ts'

const FAULT: Readonly<Record<LineFault, number>> = {
  text: notAnEvent('text'),
  not_object: notAnEvent('not_object'),
  invalid_json: notAnEvent('invalid_json'),
  too_long: notAnEvent('too_long'),
  torn: notAnEvent('torn'),
}

/** Where the reader puts what it finds. */
export interface ReaderOutput extends Omit<LayerOutput, 'firstSkipped'> {
  /** The first line that something was skipped of for `reason`, cut, its secrets taken out. */
  example(reason: SkipReason | LineFault, line: string): void
  /** An event of level WARN or above. */
  event: PutEvent
}

export interface ReaderOptions {
  rules: Rules
  /** Names of the objects whose name is no part of the key. */
  wrappers: readonly string[]
  filter?: LineFilter
  /** Makes spans of lines that show some. */
  spans?: LineSpans | null
  /** Reads lines that are no JSON. */
  presets?: Presets | null
}

/** Hears of each line that is an event; null: the filter keeps it out. */
export type LineTap = (event: TracingEvent | null, text: string, asWritten: () => AsWritten) => void

/** One stream of bytes into a reader; `end()` counts a torn last line. */
export interface LineStream {
  /** What its lines are, where they are no JSON. */
  readonly format: LineFormat | null
  push(chunk: Buffer): void
  end(): void
}

/**
 * Reads newline-delimited JSON of one run. Several streams (a child's two outputs) share one reader, each through a
 * `stream()` of its own, so that their unfinished lines never mix.
 */
export class LineReader {
  /** The layer of the run, which other receivers of it share. */
  readonly layer: Layer
  readonly #rules: Rules
  readonly #shapes: LineShapes
  readonly #filter: ((line: Fields) => boolean) | null
  readonly #counters: Counters
  readonly #out: ReaderOutput
  readonly #spans: LineSpans | null
  readonly #presets: Presets | null
  readonly #seenFaults = new Set<LineFault>()
  readonly #repeats: RepeatedLines
  /** The line under way. */
  #current: ReadLine | null = null

  constructor(
    { rules, wrappers, filter, spans = null, presets = null }: ReaderOptions,
    out: ReaderOutput,
    counters: Counters,
  ) {
    const firstSkipped = (reason: SkipReason, event: TracingEvent): void => {
      // Configuration is no loss: it becomes params. An event without a line came by another receiver.
      if (reason === 'config') return
      out.example(reason, this.#current === null ? exampleOfEvent(event) : exampleOf(this.#current))
    }
    const { series, point, points, params } = out
    this.#rules = rules
    this.layer = new Layer(
      rules,
      { series, point, params, firstSkipped, ...(points === undefined ? {} : { points }) },
      counters,
    )
    this.#shapes = new LineShapes(rules, wrappers)
    this.#repeats = new RepeatedLines(point, counters)
    this.#filter = filter === undefined ? null : compileFilter(filter)
    this.#spans = spans
    this.#presets = presets
    this.#counters = counters
    this.#out = out
  }

  /** A stream of bytes; `tap` hears of every event in it, `label` is what it is called. */
  stream(now: () => number = Date.now, tap: LineTap | null = null, label: string | null = null): LineStream {
    const format = this.#presets?.stream(label) ?? null
    let receivedAt = now()
    let isFirst = true
    const read = (line: string, sound: boolean, ifBroken: 'invalid_json' | 'torn'): void => {
      // Programs of Windows put a mark before a text.
      const text = isFirst && line.startsWith(BYTE_ORDER_MARK) ? line.slice(1) : line
      isFirst = false
      if (!sound) this.#counters.add(INVALID_UTF8, 1)
      this.#counters.add(LINES, 1)
      if (ifBroken === 'torn' && format !== null && format.table !== null) {
        // Of a row nobody can tell whether its last number is whole.
        this.#fault('torn', text)
        return
      }
      const translated = format?.read(text)
      const parsed = translated === null ? null : parseLine(translated ?? text)
      if (parsed === null) return
      if (typeof parsed === 'string') this.#fault(parsed === 'invalid_json' ? ifBroken : parsed, text)
      else this.#event(parsed, receivedAt, tap)
    }
    const sink: LineSink = {
      line: (text, sound) => read(text, sound, 'invalid_json'),
      last: (text, sound) => read(text, sound, 'torn'),
      tooLong: () => {
        this.#counters.add(LINES, 1)
        this.#fault('too_long', '')
      },
    }
    // Whoever hears of events wants them as objects.
    const take = (bytes: Buffer, from: number): number => this.#repeats.take(bytes, from, receivedAt)
    const splitter = new LineSplitter(sink, tap === null ? take : null)
    return {
      format,
      push: (chunk) => {
        receivedAt = now()
        splitter.push(chunk)
      },
      end: () => splitter.end(),
    }
  }

  #fault(fault: LineFault, text: string): void {
    this.#counters.add(FAULT[fault], 1)
    if (fault === 'text' || fault === 'too_long' || this.#seenFaults.has(fault)) return
    // Of a line that cannot be read nobody can tell where a secret ends.
    if (SECRET_WORDS.test(text) || text.includes(String.raw`\u`)) return
    this.#seenFaults.add(fault)
    this.#out.example(fault, text.slice(0, MAX_EXAMPLE))
  }

  #event(line: ReadLine, receivedAt: number, tap: LineTap | null): void {
    const event = this.#shapes.read(line.fields)
    const written = (): AsWritten => orElse(() => asWritten(event, line.text), event)
    const isTaken = this.#filter === null || this.#filter(line.fields)
    this.#current = line
    const mayBeBig = isTaken && this.layer.event(event, receivedAt, written)
    if (!isTaken) this.layer.filtered(event)
    this.#current = null
    const level = isTaken ? keptLevel(levelOfLine(line.fields)) : null
    if (level !== null) {
      const target = targetOf(line.fields)
      const step = stepOfEvent(event, this.#rules)
      this.#out.event(level, () => eventRow(event, { level, target, step, receivedAt, written: written() }))
    }
    if (mayBeBig) {
      const big = orElse(() => countBigIntegers(line.text), 0)
      this.#counters.add(ROUNDED_INTEGERS, big)
    }
    if (this.#spans !== null && event.spans.length > 0)
      this.#spans.line(line.fields, event, event.time ?? receivedAt, isTaken)
    if (tap !== null) tap(isTaken ? event : null, line.text, written)
    // What is kept whole has to be read whole.
    else if (isTaken && !mayBeBig && level === null && this.#repeats.isCurious) this.#learn(line, event)
  }

  /** The next line of the same layout is taken without being parsed. */
  #learn({ text, fields: line }: ReadLine, event: TracingEvent): void {
    const time = this.#shapes.timeField(line)
    if (time === undefined) return
    const outline = this.layer.outline(event)
    if (outline !== null) this.#repeats.learn({ text, line, outline, time })
  }
}

/** Without any of these there is no secret in a line. */
const SECRET_WORDS = /passw|passphrase|pwd|secret|credential|authorization|token|key|:\/\/[^/]*@/i

/** The line as it may be shown and kept: as it was written, unless there is a secret in it. */
function exampleOf({ fields, text }: ReadLine): string {
  return (holdsSecret(fields) ? jsonText('', fields) : text).slice(0, MAX_EXAMPLE)
}

function holdsSecret(root: Fields): boolean {
  const stack: [name: string, value: unknown][] = [['', root]]
  while (stack.length > 0) {
    const [outer, value] = stack.pop()!
    if (typeof value === 'string' || typeof value === 'number') {
      const text = String(value)
      if (withoutSecrets(outer, text) !== text) return true
    }
    if (typeof value !== 'object' || value === null) continue
    // What is in a list has the list's name; what is under a name that tells of a secret is one.
    for (const [name, inner] of Object.entries(value))
      stack.push([Array.isArray(value) ? outer : `${outer}/${name}`, inner])
  }
  return false
}

/** `JSON.parse` with a reviver goes as deep as its input and may run out of stack where the one without does not. */
function orElse<T>(get: () => T, fallback: T): T {
  try {
    return get()
  } catch {
    return fallback
  }
}

/** The fields of `event` once more, found again in the same line read with numbers as they were written. */
function asWritten(event: TracingEvent, text: string): AsWritten {
  const line = withNumbersAsWritten(text)
  const wrapped = event.wrapped.map((fields, i): Fields => {
    const name = event.wrapperNames[i]!
    const original = event.line![name] as Fields
    const written = line[name] as Fields
    if (original === fields) return written
    const inner = Object.keys(original).find((key) => original[key] === fields)!
    return written[inner] as Fields
  })
  return { wrapped, line }
}
