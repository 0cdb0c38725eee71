import type { AsWritten, Fields, TracingEvent } from '../../layer/event.ts'
import { Layer, type LayerOutput } from '../../layer/layer.ts'
import type { Rules } from '../../layer/rules.ts'
import type { Counters } from '../../telemetry/counters.ts'
import { INVALID_UTF8, LINES, notAnEvent, ROUNDED_INTEGERS, type LineFault } from '../../telemetry/counters.ts'
import { countBigIntegers, parseLine, withNumbersAsWritten } from './parse.ts'
import { LineShapes } from './shape.ts'
import { LineSplitter, type LineSink } from './split.ts'

const FAULT: Readonly<Record<LineFault, number>> = {
  text: notAnEvent('text'),
  not_object: notAnEvent('not_object'),
  invalid_json: notAnEvent('invalid_json'),
  too_long: notAnEvent('too_long'),
  torn: notAnEvent('torn'),
}

/**
 * Reads newline-delimited JSON of one run. Several streams (a child's two outputs) share one reader, each through a
 * `stream()` of its own, so that their unfinished lines never mix.
 */
export class LineReader {
  readonly #layer: Layer
  readonly #shapes: LineShapes
  readonly #counters: Counters

  constructor(rules: Rules, wrappers: readonly string[], out: LayerOutput, counters: Counters) {
    this.#layer = new Layer(rules, out, counters)
    this.#shapes = new LineShapes(rules, wrappers)
    this.#counters = counters
  }

  /** A stream of bytes; `end()` counts a torn last line. */
  stream(now: () => number = Date.now): { push(chunk: Buffer): void; end(): void } {
    let receivedAt = now()
    const sink: LineSink = {
      line: (text, sound) => this.#line(text, sound, receivedAt, 'invalid_json'),
      last: (text, sound) => this.#line(text, sound, receivedAt, 'torn'),
      tooLong: () => this.#fault('too_long'),
    }
    const splitter = new LineSplitter(sink)
    return {
      push: (chunk) => {
        receivedAt = now()
        splitter.push(chunk)
      },
      end: () => splitter.end(),
    }
  }

  #fault(fault: LineFault): void {
    this.#counters.add(LINES, 1)
    this.#counters.add(FAULT[fault], 1)
  }

  #line(text: string, sound: boolean, receivedAt: number, ifBroken: 'invalid_json' | 'torn'): void {
    if (!sound) this.#counters.add(INVALID_UTF8, 1)
    const parsed = parseLine(text)
    if (parsed === null || typeof parsed === 'string') {
      if (parsed === null) this.#counters.add(LINES, 1)
      else this.#fault(parsed === 'invalid_json' ? ifBroken : parsed)
      return
    }
    this.#counters.add(LINES, 1)
    const event = this.#shapes.read(parsed.fields)
    const big = this.#layer.event(event, receivedAt, () => orElse(() => asWritten(event, parsed.text), event))
    if (big)
      this.#counters.add(
        ROUNDED_INTEGERS,
        orElse(() => countBigIntegers(parsed.text), 0),
      )
  }
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
