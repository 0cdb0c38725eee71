import type { TracingEvent } from '../layer/event.ts'
import { categoryOf, eachField, prefixOf, stepOf } from '../layer/fields.ts'
import { CONFIG_MESSAGES, type Rules } from '../layer/rules.ts'
import type { CategoryContract, Contract, FieldType } from './contract.ts'
import { missingAtDistance, missingUpdates, usualDistance, type Gaps } from './rhythm.ts'

/** One way in which a log breaks its contract, with how often and where first. */
export interface Breach {
  problem: 'missing' | 'wrong type' | 'wrong category' | 'no step'
  category: string
  /** Null: the whole event. */
  field: string | null
  expected: string
  found: string
  /** Events, or steps where something is missing. */
  count: number
  /** Line of the first, from 1; null where there is none. */
  line: number | null
}

/** Kinds of breaches that are kept; what is found beyond them only counts. */
const MAX_BREACHES = 1000

/** Longest text of a log in a breach, in characters. */
const MAX_FOUND = 60

/** Steps of a category that may still get something: their events may come between those of other steps. */
const OPEN_STEPS = 8

/** What was seen of one category. */
interface Seen {
  contract: CategoryContract
  /** Fields and first line of the steps that may still get something. */
  open: Map<number, { line: number; fields: Set<string> }>
  known: Set<number>
  positions: number[]
  lines: number[]
}

const newSeen = (contract: CategoryContract): Seen => ({
  contract,
  open: new Map(),
  known: new Set(),
  positions: [],
  lines: [],
})

/** The message with which a run begins. */
const RUN_BEGINS = 'startup'

/** Holds events against a contract, one after the other; `finish()` tells how it is broken. Keeps a few numbers a step. */
export class ContractChecker {
  readonly #rules: Rules
  /** Category in capitals by its prefix. */
  readonly #categories = new Map<number, string>()
  /** Categories that have a field. */
  readonly #homes = new Map<string, string[]>()
  readonly #stepFields: ReadonlySet<string>
  readonly #seen = new Map<string, Seen>()
  readonly #breaches = new Map<string, Breach>()
  #updates = 0
  #events = 0
  #unkept = 0

  /** `contract` names categories that `rules` know: see `unknownCategories`. */
  constructor(contract: Contract, rules: Rules) {
    this.#rules = rules
    this.#stepFields = new Set(rules.stepFields.flat())
    for (const [name, category] of contract) {
      this.#categories.set(rules.prefixOf(name), name)
      this.#seen.set(name, newSeen(category))
      for (const field of [...category.fields.keys(), ...category.optional.keys()])
        this.#homes.set(field, [...(this.#homes.get(field) ?? []), name])
    }
  }

  /** Events that were held against the contract: those with a number or a field that it names. */
  get events(): number {
    return this.#events
  }

  /** Breaches of kinds that were too many to keep. */
  get unkept(): number {
    return this.#unkept
  }

  event(event: TracingEvent, line: number): void {
    if (event.message === RUN_BEGINS && this.#isBegun) this.#endRun()
    if (event.message !== null && CONFIG_MESSAGES.has(event.message)) return
    const prefix = prefixOf(event, this.#rules)
    const name = this.#categories.get(prefix)
    const fields = new Map(Array.from(eachField(event, null), ({ name, value }) => [name, value] as const))
    const ours = [...fields.keys()].filter((field) => this.#isMetric(field, fields.get(field)))
    if (ours.length === 0) return // a message
    this.#events += 1
    const written = categoryOf(event, this.#rules)
    this.#checkHomes(ours, name, written, line)
    // Only what names its category is held to have all that belongs there.
    if (name === undefined || written === undefined || !this.#isKnown(written)) return
    const step = stepOf(event, this.#rules, prefix)
    if (typeof step === 'number') this.#take(name, step, fields, line)
    else this.#tell({ problem: 'no step', category: name, field: null, expected: 'a step', found: 'none', line })
  }

  /** All breaches, those of a category together, in the order of the log. */
  finish(): Breach[] {
    this.#endRun()
    const order = [...this.#seen.keys()]
    const lineOf = ({ line }: Breach): number => line ?? Number.POSITIVE_INFINITY
    return [...this.#breaches.values()].sort(
      (a, b) => order.indexOf(a.category) - order.indexOf(b.category) || (lineOf(a) < lineOf(b) ? -1 : 1),
    )
  }

  get #isBegun(): boolean {
    return [...this.#seen.values()].some(({ known }) => known.size > 0)
  }

  /** A log may hold one run after the other: each is held against the contract by itself. */
  #endRun(): void {
    for (const [name, { open }] of this.#seen) for (const step of open.keys()) this.#close(name, step)
    for (const [name, seen] of this.#seen) this.#checkRhythm(name, seen)
    for (const [name, { contract }] of this.#seen) this.#seen.set(name, newSeen(contract))
    this.#updates = 0
  }

  /** Whether a field makes its event one of metrics. */
  #isMetric(field: string, value: unknown): boolean {
    return !this.#stepFields.has(field) && (typeof value === 'number' || this.#homes.has(field))
  }

  /** Whether a category as it is written is one of the table, or the name of what stands for all others. */
  #isKnown(written: unknown): boolean {
    if (typeof written !== 'string') return false
    const prefix = this.#rules.prefixOf(written)
    return prefix !== this.#rules.defaultPrefix || written.toLowerCase() === this.#rules.prefixes[prefix]
  }

  #checkHomes(fields: readonly string[], name: string | undefined, written: unknown, line: number): void {
    for (const field of fields) {
      const homes = this.#homes.get(field)
      if (homes === undefined || (name !== undefined && homes.includes(name))) continue
      const found = this.#placeOf(name, written)
      this.#tell({ problem: 'wrong category', category: homes[0]!, field, expected: homes.join(' or '), found, line })
    }
  }

  /** Where a field was found, in words. */
  #placeOf(name: string | undefined, written: unknown): string {
    const where = name ?? 'another category'
    if (written === undefined) return `${where} (no category)`
    if (this.#isKnown(written)) return where
    const text = typeof written === 'string' ? written : JSON.stringify(written)
    return `${text.slice(0, MAX_FOUND)}, which counts as ${where}`
  }

  #take(name: string, step: number, fields: ReadonlyMap<string, unknown>, line: number): void {
    const seen = this.#seen.get(name)!
    if (!seen.known.has(step)) this.#begin(name, seen, step, line)
    const found = seen.open.get(step)?.fields
    for (const [field, expected] of [...seen.contract.fields, ...seen.contract.optional]) {
      if (!fields.has(field)) continue
      found?.add(field)
      const value = fields.get(field)
      if (!FITS[expected](value))
        this.#tell({ problem: 'wrong type', category: name, field, expected, found: typeOf(value), line })
    }
  }

  #begin(name: string, seen: Seen, step: number, line: number): void {
    const [oldest] = seen.open.keys()
    if (seen.open.size === OPEN_STEPS) this.#close(name, oldest!)
    seen.open.set(step, { line, fields: new Set() })
    seen.known.add(step)
    if (seen.contract.every === 'update') this.#updates = Math.max(this.#updates, seen.known.size)
    seen.positions.push(this.#updates)
    seen.lines.push(line)
  }

  /** Nothing more is expected of a step: it must have had everything. */
  #close(name: string, step: number): void {
    const { contract, open } = this.#seen.get(name)!
    const { fields, line } = open.get(step)!
    open.delete(step)
    for (const [field, expected] of contract.fields)
      if (!fields.has(field))
        this.#tell({ problem: 'missing', category: name, field, expected, found: 'nothing', line })
  }

  #checkRhythm(name: string, { contract: { every }, known, positions, lines }: Seen): void {
    if (every === 'sometimes') return
    const missing = { problem: 'missing', category: name, field: null } as const
    if (known.size === 0) {
      const expected = every === 'cadence' ? 'at a regular distance of updates' : expectedOf(every)
      this.#tell({ ...missing, expected, found: 'nowhere', count: Math.max(1, this.#updates), line: null })
      return
    }
    const rhythm = { steps: [...known], positions, lines }
    const distance = every === 'cadence' ? usualDistance(rhythm) : every
    const gaps: Gaps | null =
      distance === null
        ? null
        : distance === 'update'
          ? missingUpdates(rhythm, this.#updates)
          : missingAtDistance(rhythm, this.#updates, distance)
    if (gaps === null || gaps.count <= 0) return
    const found = `in ${known.size} of ${this.#updates}`
    this.#tell({ ...missing, expected: expectedOf(distance!), found, ...gaps })
  }

  #tell(breach: Omit<Breach, 'count'> & { count?: number }): void {
    const key = JSON.stringify([breach.problem, breach.category, breach.field, breach.expected, breach.found])
    const known = this.#breaches.get(key)
    if (known !== undefined) known.count += breach.count ?? 1
    else if (this.#breaches.size < MAX_BREACHES) this.#breaches.set(key, { ...breach, count: breach.count ?? 1 })
    else this.#unkept += breach.count ?? 1
  }
}

const expectedOf = (every: 'update' | number): string =>
  every === 'update' ? 'in every update' : `every ${every} updates`

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
