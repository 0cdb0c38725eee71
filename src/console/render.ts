import type { AsWritten, TracingEvent } from '../layer/event.ts'
import { eachField, prefixOf, type Field } from '../layer/fields.ts'
import { jsonText, withoutSecrets } from '../layer/params.ts'
import type { Rules } from '../layer/rules.ts'
import { levelOfLine } from '../layer/level.ts'
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

/** The two levels that a reader must not miss. */
const LOUD: Readonly<Record<number, readonly [word: string, colour: string]>> = {
  1: ['ERROR', ERROR_COLOUR],
  2: ['WARN', WARN_COLOUR],
}

/** Whether integers of a line may have been written as floats, or with more digits than a double has. */
const MAY_DIFFER = /\d(?:\.0+(?!\d)|[eE])|\d{16}/

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
    const parts = Array.from(eachField(event, written), (field) => this.#field(prefix, field))
    const message = this.#message(event)
    if (message !== '') parts.unshift(message)
    const label = this.#paint(prefix.toUpperCase(), CATEGORY_COLOURS[prefix] ?? OTHER_COLOUR)
    return `${label} - ${parts.length === 0 ? 'No metrics' : parts.join(' | ')}`
  }

  #message({ message, line }: TracingEvent): string {
    const loud = line === null ? undefined : LOUD[levelOfLine(line) ?? 0]
    const words = loud === undefined ? [] : [this.#paint(...loud)]
    if (message !== null && message !== '') words.push(escapeControl(message))
    return words.join(' ')
  }

  #field(prefix: string, { name, value, written }: Field): string {
    const { label, unit } = this.#describe(prefix, name)
    return `${label}: ${this.#value(name, value, written)}${typeof value === 'number' ? unit : ''}`
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
    if (typeof value === 'string') return escapeControl(withoutSecrets(name, value))
    if (typeof value !== 'object' || value === null) return String(value)
    const list = escapeControl(jsonText(name, value))
    return list.length > MAX_LIST ? `${list.slice(0, MAX_LIST)}...` : list
  }

  #paint(text: string, code: string): string {
    return this.#colour ? `\x1b[${code}m${text}\x1b[0m` : text
  }
}
