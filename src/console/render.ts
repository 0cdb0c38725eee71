import { isFields, type AsWritten, type Fields, type TracingEvent } from '../layer/event.ts'
import { isShadowed, prefixOf } from '../layer/fields.ts'
import { isClientNoise, isNoParam } from '../layer/noise.ts'
import { isSecret, jsonText, REDACTED } from '../layer/params.ts'
import { CATEGORY_FIELDS, MAX_DEPTH, type Rules } from '../layer/rules.ts'
import { levelOf } from '../receivers/lines/origin.ts'
import { describeMetric } from '../registry/index.ts'
import { escapeControl } from '../telemetry/say.ts'
import { formatNumber } from './format.ts'

/** SGR codes. The categories' are bold; another one's is that of `misc`. */
const CATEGORY_COLOURS: Readonly<Record<string, string>> = { trainer: '1;35', evaluator: '1;32', actor: '1;36' }
const OTHER_COLOUR = '1;33'
const WARN_COLOUR = '33'
const ERROR_COLOUR = '31'
const NOT_FINITE_COLOUR = '1;31'

/** Longest list that is shown whole, in characters. */
const MAX_LIST = 200

/** Names whose label is remembered. */
const MAX_REMEMBERED = 20_000

const NEVER_SHOWN: ReadonlySet<string> = new Set([...CATEGORY_FIELDS, 'message'])

/** The two levels that a reader must not miss. */
const LOUD: Readonly<Record<number, readonly [word: string, colour: string]>> = {
  1: ['ERROR', ERROR_COLOUR],
  2: ['WARN', WARN_COLOUR],
}

/** Whether integers of a line may have been written as floats, or with more digits than a double has. */
const MAY_DIFFER = /\d(?:\.\d|[eE])|\d{16}/

export interface RenderOptions {
  rules: Rules
  labels: Readonly<Record<string, string>>
  colour: boolean
}

/** Renders events for people, one line each: `TRAINER - update done | Policy Loss: -0.012000 | Grad Norm: 0.410000`. */
export class Renderer {
  readonly #rules: Rules
  readonly #labels: Readonly<Record<string, string>>
  readonly #colour: boolean
  readonly #known = new Map<string, { label: string; unit: string }>()

  constructor({ rules, labels, colour }: RenderOptions) {
    this.#rules = rules
    this.#labels = labels
    this.#colour = colour
  }

  /** One line without its newline. `text` is what the trainer wrote, `asWritten` its fields with numbers as their text. */
  render(event: TracingEvent, text: string, asWritten: () => AsWritten): string {
    const prefix = this.#rules.prefixes[prefixOf(event, this.#rules)]!
    const written = MAY_DIFFER.test(text) ? asWritten() : null
    const parts = [...this.#fields(event, prefix, written)]
    const message = this.#message(event)
    if (message !== '') parts.unshift(message)
    const label = this.#paint(prefix.toUpperCase(), CATEGORY_COLOURS[prefix] ?? OTHER_COLOUR)
    return `${label} - ${parts.length === 0 ? 'No metrics' : parts.join(' | ')}`
  }

  #message({ message, line }: TracingEvent): string {
    const loud = line === null ? undefined : LOUD[levelOf(line) ?? 0]
    const words = loud === undefined ? [] : [this.#paint(...loud)]
    if (message !== null && message !== '') words.push(escapeControl(message))
    return words.join(' ')
  }

  *#fields(event: TracingEvent, prefix: string, written: AsWritten | null): Generator<string> {
    for (const [i, fields] of event.wrapped.entries()) {
      const leaveOut = (name: string): boolean => isClientNoise(name) || isShadowed(event, fields, name)
      yield* this.#of(fields, written?.wrapped[i] ?? null, prefix, leaveOut)
    }
    const { line } = event
    if (line === null) return
    const leaveOut = (name: string): boolean =>
      isNoParam(name, line) ||
      (event.wrapperNames.includes(name) && isFields(line[name])) ||
      isShadowed(event, line, name)
    yield* this.#of(line, written?.line ?? null, prefix, leaveOut)
  }

  /** The fields of one object in their order, those of objects inside it as `Outer / Inner`. */
  *#of(root: Fields, written: Fields | null, prefix: string, leaveOut: (name: string) => boolean): Generator<string> {
    const stack = Object.keys(root)
      .filter((name) => !NEVER_SHOWN.has(name) && !leaveOut(name))
      .map((name) => ({ name, value: root[name], written: written?.[name], depth: 1 }))
      .toReversed()
    while (stack.length > 0) {
      const { name, value, written, depth } = stack.pop()!
      if (isFields(value) && depth < MAX_DEPTH) {
        for (const inner of Object.keys(value).toReversed()) {
          const next = isFields(written) ? written[inner] : undefined
          stack.push({ name: `${name}/${inner}`, value: value[inner], written: next, depth: depth + 1 })
        }
      } else {
        const { label, unit } = this.#describe(prefix, name)
        yield `${label}: ${this.#value(name, value, written)}${typeof value === 'number' ? unit : ''}`
      }
    }
  }

  #describe(prefix: string, name: string): { label: string; unit: string } {
    const key = `${prefix}/${name}`
    let known = this.#known.get(key)
    if (known === undefined) {
      const { label, unit } = describeMetric(key, this.#labels)
      known = { label: escapeControl(label), unit: unit === null ? '' : ` ${unit}` }
      if (this.#known.size < MAX_REMEMBERED) this.#known.set(key, known)
    }
    return known
  }

  #value(name: string, value: unknown, written: unknown): string {
    if (typeof value === 'number') {
      const shown = formatNumber(value, JSON.isRawJSON(written) ? written.rawJSON : null)
      return Number.isFinite(value) ? shown : this.#paint(shown, NOT_FINITE_COLOUR)
    }
    if (typeof value === 'string') return isSecret(name, value) ? REDACTED : escapeControl(value)
    if (typeof value !== 'object' || value === null) return String(value)
    const list = escapeControl(jsonText(name, value))
    return list.length > MAX_LIST ? `${list.slice(0, MAX_LIST)}...` : list
  }

  #paint(text: string, code: string): string {
    return this.#colour ? `\x1b[${code}m${text}\x1b[0m` : text
  }
}
