import { isFields, own, type Fields, type TracingEvent } from '../../layer/event.ts'
import { isLineNoise } from '../../layer/noise.ts'
import { CATEGORY_FIELDS, type Rules } from '../../layer/rules.ts'
import { TimeReader } from '../../layer/time.ts'

const NOTHING: readonly never[] = []

/** Where clients put the message; structlog calls it `event`. */
export const MESSAGE_FIELDS = ['message', 'msg', 'event'] as const

/** Where clients put the time, the most exact first: python-json-logger's `created` beside an `asctime`. */
const TIME_FIELDS = ['timestamp', '@timestamp', 'time', 'ts', 'created', 'asctime'] as const

/** A number that tells which process wrote the line: it does not make the line an event of its own. */
const IDENTITY_FIELDS: ReadonlySet<string> = new Set(['rank', 'local_rank', 'global_rank', 'node_rank', 'world_size'])

/**
 * Recognises a log line by its shape: Rust `tracing-subscriber` JSON (nested and flattened), `context`, `metrics` and
 * other wrappers, pino, bunyan, winston, structlog, python-json-logger, loguru, zap, slog, zerolog, and bare objects.
 */
export class LineShapes {
  readonly #wrappers: readonly string[]
  readonly #nestedWrappers: readonly (readonly [outer: string, inner: string])[]
  readonly #stepFields: ReadonlySet<string>
  readonly #time = new TimeReader()

  /** `wrappers` may name an object inside another with one dot: `record.extra`. */
  constructor(rules: Rules, wrappers: readonly string[]) {
    this.#wrappers = wrappers.filter((name) => !name.includes('.'))
    this.#nestedWrappers = wrappers
      .filter((name) => name.includes('.'))
      .map((name) => [name.slice(0, name.indexOf('.')), name.slice(name.indexOf('.') + 1)] as const)
    this.#stepFields = new Set(rules.stepFields.flat())
  }

  read(line: Fields): TracingEvent {
    let wrapped: Fields[] | readonly never[] = NOTHING
    let wrapperNames: string[] | readonly never[] = NOTHING
    const add = (name: string, fields: Fields): void => {
      wrapped = [...wrapped, fields]
      wrapperNames = [...wrapperNames, name]
    }
    for (const name of this.#wrappers) {
      const value = own(line, name)
      if (isFields(value)) add(name, value)
    }
    for (const [outer, inner] of this.#nestedWrappers) {
      const holder = own(line, outer)
      const value = isFields(holder) ? own(holder, inner) : undefined
      if (isFields(value)) add(outer, value)
    }
    if (wrapped.length === 0) {
      const name = this.#unnamedWrapper(line)
      if (name !== null) add(name, line[name] as Fields)
    }
    return {
      time: this.#timeOf(line),
      message: messageOf(wrapped, line),
      wrapped,
      line,
      wrapperNames,
      spans: spansOf(line),
    }
  }

  /**
   * A wrapper of another name (pino's `nestedKey`, a group of slog): the one object that holds a step or a category,
   * on a line that has no step, category or number of its own beside it.
   */
  #unnamedWrapper(line: Fields): string | null {
    let found: string | null = null
    for (const name in line) {
      const value = line[name]
      if (this.#stepFields.has(name) || (CATEGORY_FIELDS as readonly string[]).includes(name)) return null
      if (typeof value === 'number' && !IDENTITY_FIELDS.has(name) && !isLineNoise(name, line)) return null
      if (!isFields(value) || isLineNoise(name, line) || !this.#isEventLike(value)) continue
      if (found !== null) return null
      found = name
    }
    return found
  }

  #isEventLike(fields: Fields): boolean {
    for (const name of CATEGORY_FIELDS) if (Object.hasOwn(fields, name)) return true
    for (const name of this.#stepFields) if (Object.hasOwn(fields, name)) return true
    return false
  }

  /** The field that the time of such a line is read from: null where it has none, undefined where its value decides. */
  timeField(line: Fields): string | null | undefined {
    const first = TIME_FIELDS.find((name) => own(line, name) !== undefined)
    if (first === undefined) return Object.hasOwn(line, 'record') ? undefined : null
    return this.#time.read(line[first]) === null ? undefined : first
  }

  #timeOf(line: Fields): number | null {
    for (const name of TIME_FIELDS) {
      const value = own(line, name)
      if (value === undefined) continue
      const ms = this.#time.read(value)
      if (ms !== null) return ms
    }
    const record = own(line, 'record') // loguru: {"record": {"time": {"timestamp": 1795322750.09}}}
    const time = isFields(record) ? own(record, 'time') : undefined
    return isFields(time) ? this.#time.read(own(time, 'timestamp')) : null
  }
}

function messageOf(wrapped: readonly Fields[], line: Fields): string | null {
  for (const fields of wrapped) {
    const message = own(fields, 'message')
    if (typeof message === 'string') return message
  }
  for (const name of MESSAGE_FIELDS) {
    const message = own(line, name)
    if (typeof message === 'string') return message
  }
  const record = own(line, 'record')
  const message = isFields(record) ? own(record, 'message') : undefined
  return typeof message === 'string' ? message : null
}

/** `spans` goes from the root inwards; `span` is the innermost, and on a `new` or `close` line the span itself. */
function spansOf(line: Fields): readonly Fields[] {
  const span = own(line, 'span')
  const spans = own(line, 'spans')
  if (!isFields(span) && !Array.isArray(spans)) return NOTHING
  const found: Fields[] = isFields(span) ? [span] : []
  if (Array.isArray(spans)) {
    for (let i = spans.length - 1; i >= 0; i -= 1) {
      const value: unknown = spans[i]
      if (isFields(value)) found.push(value)
    }
  }
  return found
}
