import { NUMBER, TEXT } from '../otlp/attributes.ts'
import type { SpanColumns } from '../otlp/columns.ts'
import { LEVEL, MAX_NAMES, TARGET, type Names } from '../otlp/names.ts'
import type { Fields, TracingEvent } from './event.ts'
import { prefixOf, stepOf, type FoundStep } from './fields.ts'
import type { Told } from './known.ts'
import type { Layer } from './layer.ts'
import { isClientNoise } from './noise.ts'
import { CATEGORY_FIELDS, CONFIG_MESSAGES, type Rules } from './rules.ts'
import { NOT_A_KEY } from './series.ts'
import { levelOfSpanEvent, toldOf } from './span-rules.ts'

/** A name makes no key. */
const NO_KEY = 1
/** It is a step field or names the category. */
const TELLS = 2
/** It is what a filter asks for. */
const FILTERS = 4
/** As the name of an event: its fields are configuration. */
const CONFIG = 8
/** As the name of a span: its duration is no series. */
const UNMEASURED = 16

/** Texts by which a filter decides. */
const FILTERED: ReadonlySet<string> = new Set(['target', 'level'])

/** What the rules say of each name, by its number in `Names`. */
class NameRoles {
  readonly #rules: Rules
  readonly #isMeasured: (name: string) => boolean
  readonly #tellers: ReadonlySet<string>
  #count = 0
  names: Names | null = null
  flags = new Uint8Array(0)
  /** How early a step field is asked in each category, from 1 on; 0: it is none. */
  readonly stepRanks: Uint8Array[]
  /** The same for the fields that name the category. */
  categoryRanks = new Uint8Array(0)

  constructor(rules: Rules, isMeasured: (name: string) => boolean) {
    this.#rules = rules
    this.#isMeasured = isMeasured
    this.#tellers = new Set([...rules.stepFields.flat(), ...CATEGORY_FIELDS])
    this.stepRanks = rules.prefixes.map(() => new Uint8Array(0))
  }

  /** Whether a field of this name tells step or category. */
  tells(text: string): boolean {
    return this.#tellers.has(text)
  }

  /** Most names of one list that tell something. */
  get mostTold(): number {
    return this.#tellers.size + 2
  }

  /** Learns the names that have come since it was called last. */
  update(names: Names): void {
    if (names !== this.names) {
      this.names = names
      this.#count = 0
      this.flags = new Uint8Array(MAX_NAMES)
      this.categoryRanks = new Uint8Array(MAX_NAMES)
      for (const i of this.stepRanks.keys()) this.stepRanks[i] = new Uint8Array(MAX_NAMES)
    }
    for (; this.#count < names.count; this.#count += 1) this.#learn(this.#count, names.texts[this.#count]!)
  }

  #learn(name: number, text: string): void {
    const isNoKey = this.#rules.neverKeys.has(text) || isClientNoise(text)
    this.flags[name] =
      (isNoKey ? NO_KEY : 0) |
      (this.#tellers.has(text) ? TELLS : 0) |
      (name === TARGET || name === LEVEL ? FILTERS : 0) |
      (CONFIG_MESSAGES.has(text) ? CONFIG : 0) |
      (this.#isMeasured(text) ? 0 : UNMEASURED)
    this.categoryRanks[name] = CATEGORY_FIELDS.indexOf(text as (typeof CATEGORY_FIELDS)[number]) + 1
    for (const [i, fields] of this.#rules.stepFields.entries()) this.stepRanks[i]![name] = fields.indexOf(text) + 1
  }
}

/** Reads lists of attributes in columns by the rules: the same as `fields.ts` does for objects. */
export class ColumnReader {
  readonly #rules: Rules
  readonly #roles: NameRoles
  #columns!: SpanColumns
  /** Places of the attributes of the list that tell something. */
  readonly #told: Int32Array
  #toldCount = 0
  #from = 0
  #to = 0
  #prefix = 0
  #step: FoundStep = undefined
  #hasCategory = false
  /** The number of the category of the list before, which is mostly that of the next; -1: it had none. */
  #lastCategory = -1
  #lastPrefix = 0
  /** What the list before told, by names, kinds and texts. */
  #lastTold: Told | null = null
  readonly #lastNames: Int32Array
  readonly #lastKinds: Uint8Array
  readonly #lastTexts: Int32Array
  #lastCount = -1

  constructor(rules: Rules, isMeasured: (name: string) => boolean) {
    this.#rules = rules
    this.#roles = new NameRoles(rules, isMeasured)
    const { mostTold } = this.#roles
    this.#told = new Int32Array(mostTold)
    this.#lastNames = new Int32Array(mostTold)
    this.#lastKinds = new Uint8Array(mostTold)
    this.#lastTexts = new Int32Array(mostTold)
  }

  /** Whether it matters what the text of an attribute of this name is. */
  asksText(name: string): boolean {
    return this.#roles.tells(name) || FILTERED.has(name)
  }

  /** Index into `rules.prefixes` of the list. */
  get prefix(): number {
    return this.#prefix
  }

  get step(): FoundStep {
    return this.#step
  }

  /** Whether the list names its category itself. */
  get hasCategory(): boolean {
    return this.#hasCategory
  }

  /** Reads lists of a request from now on. */
  begin(columns: SpanColumns): void {
    this.#columns = columns
    if (columns.names !== this.#roles.names) {
      this.#lastCategory = -1
      this.#lastCount = -1
    }
    this.#roles.update(columns.names)
  }

  isConfig(event: number): boolean {
    return (this.#roles.flags[this.#columns.eventName[event]!]! & CONFIG) !== 0
  }

  /** Whether the journal keeps an event, by its name and the level that it says. */
  isKept(event: number, level: string | null): boolean {
    const { names, eventName } = this.#columns
    return levelOfSpanEvent(names.texts[eventName[event]!]!, level) !== null
  }

  isMeasured(span: number): boolean {
    const { durationMs, name } = this.#columns
    return durationMs[span]! >= 0 && this.isMeasuredName(name[span]!)
  }

  isMeasuredName(name: number): boolean {
    return (this.#roles.flags[name]! & UNMEASURED) === 0
  }

  /** Looks at a list; @returns whether it has a category and a step, so that nothing around it is asked */
  list(from: number, to: number): boolean {
    this.#from = from
    this.#to = to
    this.#look(from, to)
    this.#findPrefix()
    this.#findStep()
    return (this.#hasCategory && this.#step !== undefined) || !this.#rules.inherit
  }

  #look(from: number, to: number): void {
    const { name } = this.#columns.attributes
    const { flags } = this.#roles
    let count = 0
    for (let i = from; i < to; i += 1) {
      if ((flags[name[i]!]! & (TELLS | FILTERS)) === 0) continue
      this.#told[count] = i
      count += 1
    }
    this.#toldCount = count
  }

  /** Looks for what the list does not tell itself among what stands around it. */
  ask(spans: readonly Fields[]): void {
    const around: TracingEvent = { time: null, message: null, wrapped: [], line: null, wrapperNames: [], spans }
    if (!this.#hasCategory) {
      this.#prefix = prefixOf(around, this.#rules)
      this.#findStep()
    }
    this.#step ??= stepOf(around, this.#rules, this.#prefix)
  }

  #findPrefix(): void {
    const { name, kind } = this.#columns.attributes
    const { categoryRanks } = this.#roles
    let first = -1
    let best = 255
    for (let t = 0; t < this.#toldCount; t += 1) {
      const rank = categoryRanks[name[this.#told[t]!]!]!
      if (rank === 0 || rank >= best) continue
      best = rank
      first = this.#told[t]!
    }
    this.#hasCategory = first >= 0
    this.#prefix = first >= 0 && kind[first] === TEXT ? this.#prefixOf(first) : this.#rules.defaultPrefix
  }

  #prefixOf(attribute: number): number {
    const columns = this.#columns
    if (this.#lastCategory >= 0 && columns.isText(attribute, this.#lastCategory)) return this.#lastPrefix
    this.#lastCategory = columns.textNumber(attribute)
    this.#lastPrefix = this.#rules.prefixOf(columns.textOf(attribute))
    return this.#lastPrefix
  }

  /** As `stepIn` of `fields.ts`. */
  #findStep(): void {
    const { name, kind, value } = this.#columns.attributes
    const ranks = this.#roles.stepRanks[this.#prefix]!
    let best = 255
    this.#step = undefined
    for (let t = 0; t < this.#toldCount; t += 1) {
      const i = this.#told[t]!
      const rank = ranks[name[i]!]!
      if (rank === 0 || rank >= best || kind[i] !== NUMBER || !Number.isInteger(value[i]!)) continue
      best = rank
      this.#step = Number.isSafeInteger(value[i]!) ? value[i]! + 0 : 'step_out_of_range'
    }
  }

  /** What a list tells those inside it, null: nothing; its number, if it has one, is `toldNumber`. */
  told(from: number, to: number): Told | null {
    this.#look(from, to)
    if (!this.#isToldAgain()) this.#tell()
    return this.#lastTold
  }

  toldNumber = 0

  /** Whether the list tells what the one before did, but for a number: so that spans of one kind share what they tell. */
  #isToldAgain(): boolean {
    if (this.#toldCount !== this.#lastCount) return false
    const { name, kind, value } = this.#columns.attributes
    for (let t = 0; t < this.#toldCount; t += 1) {
      const i = this.#told[t]!
      if (name[i] !== this.#lastNames[t] || kind[i] !== this.#lastKinds[t]) return false
      if (kind[i] === TEXT && !this.#columns.isText(i, this.#lastTexts[t]!)) return false
      if (kind[i] === NUMBER) this.toldNumber = value[i]!
    }
    return true
  }

  #tell(): void {
    const { name, kind, value } = this.#columns.attributes
    const { flags, names } = this.#roles
    const shared: Fields = {}
    let number: string | null = null
    this.#lastCount = this.#toldCount
    for (let t = 0; t < this.#toldCount; t += 1) {
      const i = this.#told[t]!
      const field = names!.texts[name[i]!]!
      this.#lastNames[t] = name[i]!
      this.#lastKinds[t] = kind[i]!
      this.#lastTexts[t] = kind[i] === TEXT ? this.#columns.textNumber(i) : -1
      if (kind[i] === TEXT && this.#lastTexts[t] === -1) this.#lastCount = -1
      if ((flags[name[i]!]! & TELLS) === 0) {
        if (kind[i] === NUMBER) this.#lastCount = -1
      } else if (kind[i] === NUMBER && number === null) {
        number = field
        this.toldNumber = value[i]!
      } else {
        // A second number is no one else's. Neither number nor text: that it is there is all that counts.
        if (kind[i] === NUMBER) this.#lastCount = -1
        shared[field] =
          kind[i] === NUMBER ? value[i]! : kind[i] === TEXT ? toldOf(this.#columns.textOf(i), this.#rules) : null
      }
    }
    this.#lastTold = number === null && Object.keys(shared).length === 0 ? null : { shared, number }
  }

  /** The numbers among what the list of `told` tells. */
  numbersTold(): number[] {
    const { name, kind } = this.#columns.attributes
    const { flags } = this.#roles
    const told = [...this.#told.subarray(0, this.#toldCount)]
    return told.filter((i) => kind[i] === NUMBER && (flags[name[i]!]! & TELLS) !== 0)
  }

  /** The number that the step of a list in a category is, if it is an integer; -1: none. */
  surestStep(from: number, to: number, prefix: number): number {
    const { name, kind } = this.#columns.attributes
    const ranks = this.#roles.stepRanks[prefix]!
    let best = 255
    let step = -1
    for (let i = from; i < to; i += 1) {
      const rank = ranks[name[i]!]!
      if (rank === 0 || rank >= best || kind[i] !== NUMBER) continue
      best = rank
      step = i
    }
    return step
  }

  /** Target and level of an event, as far as they are texts. */
  filtered(): { target: string; level: string | null } {
    const { name, kind } = this.#columns.attributes
    let target = ''
    let level: string | null = null
    for (let t = 0; t < this.#toldCount; t += 1) {
      const i = this.#told[t]!
      if (kind[i] !== TEXT) continue
      if (name[i] === TARGET) target = this.#columns.textOf(i)
      else if (name[i] === LEVEL) level = this.#columns.textOf(i)
    }
    return { target, level }
  }

  /** How many numbers the list holds. */
  count(): number {
    return this.numbers().length
  }

  /** The numbers of the list that may become points. */
  numbers(): number[] {
    const { name, kind } = this.#columns.attributes
    const { flags } = this.#roles
    const numbers: number[] = []
    for (let i = this.#from; i < this.#to; i += 1)
      if (kind[i] === NUMBER && (flags[name[i]!]! & NO_KEY) === 0) numbers.push(i)
    return numbers
  }

  /** Gives the numbers of the list to a run. `event` makes an event of it, as an example of what is skipped. */
  take(slots: RunSlots, time: number, event: () => TracingEvent): void {
    const { layer } = slots
    const prefix = this.#prefix
    const step = this.#step
    if (typeof step !== 'number') {
      layer.skip(step ?? 'no_step', this.count(), event)
      return
    }
    const { name, kind, value } = this.#columns.attributes
    const known = slots.of(prefix)
    let points = 0
    for (let i = this.#from; i < this.#to; i += 1) {
      if (kind[i] !== NUMBER) continue
      const slot = known[name[i]!]! || slots.find(prefix, name[i]!)
      if (slot >= FIRST_SLOT) {
        layer.point(slot - FIRST_SLOT, step, time, value[i]!)
        points += 1
      } else if (slot < 0) {
        layer.skipSlot(slot, event)
      }
    }
    layer.countPoints(points)
  }

  /** The duration of a span as a number of the list. */
  measure(slots: RunSlots, span: number, time: number, event: () => TracingEvent): void {
    const { layer } = slots
    const step = this.#step
    if (typeof step !== 'number') {
      layer.skip(step ?? 'no_step', 1, event)
      return
    }
    const slot = slots.duration(this.#prefix, this.#columns.name[span]!)
    if (slot < 0) {
      layer.skipSlot(slot, event)
      return
    }
    layer.point(slot - FIRST_SLOT, step, time, this.#columns.durationMs[span]!)
    layer.countPoints(1)
  }
}

/** 0 in an array of slots: not looked up yet. 1: the name makes no key. From here on series, from the id 0. */
const FIRST_SLOT = 2
const NO_SLOT = 1

/** The series of one run by the number of their name, for each category. */
export class RunSlots {
  readonly layer: Layer
  readonly #rules: Rules
  #names: Names | null = null
  #slots: Int32Array[] = []
  #durations: Int32Array[] = []
  readonly #pathOf: (span: string) => string | null

  /** `pathOf` gives the path of the duration of a span's name; null: those of the run are too many. */
  constructor(layer: Layer, rules: Rules, pathOf: (span: string) => string | null) {
    this.layer = layer
    this.#rules = rules
    this.#pathOf = pathOf
  }

  /** Numbers of names are those of `names` from now on. */
  begin(names: Names): void {
    if (names !== this.#names) {
      this.#names = names
      this.#slots = this.#rules.prefixes.map(() => new Int32Array(64))
      this.#durations = this.#rules.prefixes.map(() => new Int32Array(64))
    }
    for (const slots of [this.#slots, this.#durations])
      for (const [i, known] of slots.entries()) if (known.length < names.count) slots[i] = resized(known, names.count)
  }

  of(prefix: number): Int32Array {
    return this.#slots[prefix]!
  }

  /** Looks a name up; negative: why it has no series. */
  find(prefix: number, name: number): number {
    return this.#keep(this.#slots[prefix]!, name, this.layer.slotOf(prefix, this.#names!.texts[name]!))
  }

  /** The series of a name; negative: why it has none. */
  series(prefix: number, name: number): number {
    const slot = this.#slots[prefix]![name]! || this.find(prefix, name)
    return slot >= FIRST_SLOT ? slot - FIRST_SLOT : slot
  }

  /** The same of the duration of spans of a name. */
  durationSeries(prefix: number, name: number): number {
    const slot = this.duration(prefix, name)
    return slot >= FIRST_SLOT ? slot - FIRST_SLOT : slot
  }

  duration(prefix: number, name: number): number {
    const known = this.#durations[prefix]!
    if (known[name] !== 0) return known[name]!
    return this.#keep(known, name, this.layer.slotOfPath(prefix, this.#pathOf(this.#names!.texts[name]!)))
  }

  #keep(known: Int32Array, name: number, slot: number): number {
    if (slot === NOT_A_KEY) known[name] = NO_SLOT
    else if (slot >= 0) known[name] = slot + FIRST_SLOT
    else return slot
    return known[name]
  }
}

function resized(before: Int32Array, count: number): Int32Array {
  const after = new Int32Array(2 ** Math.ceil(Math.log2(count)))
  after.set(before)
  return after
}
