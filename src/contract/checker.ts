import type { TracingEvent } from '../layer/event.ts'
import { categoryOf, eachField, prefixOf, stepOf } from '../layer/fields.ts'
import { CONFIG_MESSAGES, type Rules } from '../layer/rules.ts'
import type { Contract, FieldType } from './contract.ts'

/** One way in which a log breaks its contract, with how often and where first. */
export interface Breach {
  problem: 'missing' | 'wrong type' | 'wrong category' | 'no step'
  category: string
  /** Null: the whole event. */
  field: string | null
  expected: string
  found: string
  /** Events, or updates where something is missing. */
  count: number
  /** Line of the first, from 1; null where there is none. */
  line: number | null
}

/** What was seen of one step of a category. */
interface Step {
  step: number
  line: number
  fields: Set<string>
}

/** What was seen of one category. */
interface Seen {
  steps: Set<number>
  /** The step under way. */
  current: Step | null
  /** Updates that had been seen when each of its steps began, and the lines of these. */
  positions: number[]
  lines: number[]
}

/** Holds events against a contract, one after the other; `finish()` tells how it is broken. Memory: 16 bytes a step. */
export class ContractChecker {
  readonly #contract: Contract
  readonly #rules: Rules
  /** Category in capitals by its prefix. */
  readonly #categories = new Map<number, string>()
  /** Categories by the field that only they have. */
  readonly #homes = new Map<string, string[]>()
  readonly #stepFields: ReadonlySet<string>
  readonly #seen = new Map<string, Seen>()
  readonly #breaches = new Map<string, Breach>()
  #updates = 0
  #events = 0

  constructor(contract: Contract, rules: Rules) {
    this.#contract = contract
    this.#rules = rules
    this.#stepFields = new Set(rules.stepFields.flat())
    for (const [name, { fields, optional }] of contract) {
      this.#categories.set(rules.prefixOf(name), name)
      this.#seen.set(name, { steps: new Set(), current: null, positions: [], lines: [] })
      for (const field of [...fields.keys(), ...optional.keys()])
        this.#homes.set(field, [...(this.#homes.get(field) ?? []), name])
    }
  }

  /** Events that were held against the contract: those with a number or a field that it names. */
  get events(): number {
    return this.#events
  }

  event(event: TracingEvent, line: number): void {
    if (event.message !== null && CONFIG_MESSAGES.has(event.message)) return
    const prefix = prefixOf(event, this.#rules)
    const name = this.#categories.get(prefix)
    const fields = new Map(Array.from(eachField(event, null), ({ name, value }) => [name, value] as const))
    const says = [...fields].filter(([field, value]) => this.#isOf(field, value))
    if (says.length === 0) return // a message
    this.#events += 1
    const written = categoryOf(event, this.#rules)
    this.#checkHomes(says, name ?? null, written, line)
    // Only what names its category is held to have all that belongs there.
    if (name === undefined || written === undefined || this.#isUnknown(written)) return
    const step = stepOf(event, this.#rules, prefix)
    if (typeof step !== 'number') {
      this.#breach({
        problem: 'no step',
        category: name,
        field: null,
        expected: 'a step',
        found: 'none',
        count: 1,
        line,
      })
      return
    }
    this.#take(name, step, fields, line)
  }

  /** All breaches, those of a category together. */
  finish(): Breach[] {
    for (const name of this.#contract.keys()) this.#close(name)
    for (const name of this.#contract.keys()) this.#checkRhythm(name)
    const order = [...this.#contract.keys()]
    return [...this.#breaches.values()].sort((a, b) => order.indexOf(a.category) - order.indexOf(b.category))
  }

  /** Whether a field makes its event one of metrics. */
  #isOf(field: string, value: unknown): boolean {
    if (this.#stepFields.has(field)) return false
    return typeof value === 'number' || this.#homes.has(field)
  }

  #checkHomes(
    fields: readonly (readonly [string, unknown])[],
    name: string | null,
    written: unknown,
    line: number,
  ): void {
    for (const [field] of fields) {
      const homes = this.#homes.get(field)
      if (homes === undefined || (name !== null && homes.includes(name))) continue
      const where = name ?? 'another category'
      const found =
        written === undefined
          ? `${where} (no category)`
          : this.#isUnknown(written)
            ? `${typeof written === 'string' ? written : JSON.stringify(written)}, which counts as ${where}`
            : where
      this.#breach({
        problem: 'wrong category',
        category: homes[0]!,
        field,
        expected: homes.join(' or '),
        found,
        count: 1,
        line,
      })
    }
  }

  #isUnknown(written: unknown): boolean {
    return (
      typeof written !== 'string' ||
      (this.#rules.prefixOf(written) === this.#rules.defaultPrefix && written.toUpperCase() !== 'MISC')
    )
  }

  #take(name: string, step: number, fields: ReadonlyMap<string, unknown>, line: number): void {
    const category = this.#contract.get(name)!
    const seen = this.#seen.get(name)!
    if (seen.current?.step !== step) {
      this.#close(name)
      seen.current = { step, line, fields: new Set() }
      if (!seen.steps.has(step)) {
        seen.steps.add(step)
        if (category.every === 'update') this.#updates = Math.max(this.#updates, seen.steps.size)
        seen.positions.push(this.#updates)
        seen.lines.push(line)
      }
    }
    const { fields: found } = seen.current
    for (const [field, expected] of [...category.fields, ...category.optional]) {
      if (!fields.has(field)) continue
      found.add(field)
      const value = fields.get(field)
      if (!FITS[expected](value))
        this.#breach({ problem: 'wrong type', category: name, field, expected, found: typeOf(value), count: 1, line })
    }
  }

  /** The step under way of a category is over: it must have had everything. */
  #close(name: string): void {
    const seen = this.#seen.get(name)!
    if (seen.current === null) return
    const { fields, line } = seen.current
    seen.current = null
    for (const [field, type] of this.#contract.get(name)!.fields) {
      if (!fields.has(field))
        this.#breach({ problem: 'missing', category: name, field, expected: type, found: 'nothing', count: 1, line })
    }
  }

  #checkRhythm(name: string): void {
    const { every } = this.#contract.get(name)!
    const { steps, positions, lines } = this.#seen.get(name)!
    if (every === 'sometimes') return
    const missing = { problem: 'missing', category: name, field: null } as const
    if (steps.size === 0) {
      const expected =
        every === 'update'
          ? 'in every update'
          : every === 'cadence'
            ? 'at a regular distance of updates'
            : `every ${every} updates`
      this.#breach({ ...missing, expected, found: 'nowhere', count: Math.max(1, this.#updates), line: null })
    } else if (every === 'update') {
      const count = this.#updates - steps.size
      if (count === 0) return
      const found = `in ${steps.size} of ${this.#updates}`
      this.#breach({ ...missing, expected: 'in every update', found, count, line: lineBeforeGap([...steps], lines) })
    } else this.#checkCadence(name, every, positions, lines)
  }

  #checkCadence(name: string, every: 'cadence' | number, positions: readonly number[], lines: readonly number[]): void {
    const gaps = positions.slice(1).map((position, i) => position - positions[i]!)
    const cadence = every === 'cadence' ? mostCommon(gaps.filter((gap) => gap > 0)) : every
    if (cadence === null) return
    // What is left at the end may be the beginning of the next round.
    const all = [...gaps, this.#updates - positions.at(-1)! - (cadence - 1)]
    let count = 0
    let line: number | null = null
    for (const [i, gap] of all.entries()) {
      const missing = i < gaps.length ? Math.round(gap / cadence) - 1 : Math.max(0, Math.ceil(gap / cadence) - 1)
      if (missing <= 0) continue
      count += missing
      line ??= lines[i]!
    }
    if (count > 0) {
      const expected = `every ${cadence} updates`
      const found = `${positions.length} times in ${this.#updates} updates`
      this.#breach({ problem: 'missing', category: name, field: null, expected, found, count, line })
    }
  }

  #breach(breach: Breach): void {
    const key = JSON.stringify([breach.problem, breach.category, breach.field, breach.expected, breach.found])
    const known = this.#breaches.get(key)
    if (known === undefined) this.#breaches.set(key, breach)
    else known.count += breach.count
  }
}

/** The line after which a step is missing, if the steps tell: where the distance to the next is larger than most are. */
function lineBeforeGap(steps: readonly number[], lines: readonly number[]): number | null {
  const gaps = steps.slice(1).map((step, i) => step - steps[i]!)
  const usual = mostCommon(gaps)
  const at = usual === null ? -1 : gaps.findIndex((gap) => gap > usual)
  return lines.at(at < 0 ? -1 : at) ?? null
}

function mostCommon(values: readonly number[]): number | null {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  const [best] = [...counts].sort(([a, m], [b, n]) => n - m || a - b)
  return best?.[0] ?? null
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'list'
  if (typeof value === 'string') return 'text'
  if (typeof value !== 'number' || Number.isInteger(value)) return typeof value
  return Number.isFinite(value) ? 'number with a fraction' : String(value)
}

const FITS: Readonly<Record<FieldType, (value: unknown) => boolean>> = {
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  text: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  any: () => true,
}
