import type { Counters } from '../telemetry/counters.ts'
import { EVENTS, NUMBERS, POINTS, skipped, type SkipReason } from '../telemetry/counters.ts'
import { isFields, type AsWritten, type Fields, type TracingEvent } from './event.ts'
import { EventPlans, type EventPlan } from './event-plans.ts'
import { isShadowed, placeOfNumber, prefixOf, stepOf } from './fields.ts'
import { dependsOnLine, isClientNoise, isLineNoise, isNoParam } from './noise.ts'
import type { Outline, Place } from './outline.ts'
import { flattenParams } from './params.ts'
import { CONFIG_MESSAGES, MAX_DEPTH, type Rules } from './rules.ts'
import { INVALID_KEY, KEY_TOO_LONG, NOT_A_KEY, SERIES_CAP, SeriesTable } from './series.ts'

/** Where the layer puts what it finds. Called synchronously; must not throw and must not wait. */
export interface LayerOutput {
  /** A series before its first point; `id` counts from 0. */
  series(id: number, key: string): void
  /** One point; `step` is a safe integer, `time` in UTC milliseconds. */
  point(series: number, step: number, time: number, value: number): void
  /** The first `count` of some points of one step and time; absent: they come by `point`, one by one. */
  points?(count: number, series: Int32Array, step: number, time: number, values: Float64Array): void
  params(params: readonly (readonly [name: string, text: string])[]): void
  /** Numbers of the event under way are skipped for a reason that no event before it had. */
  firstSkipped(reason: SkipReason, event: TracingEvent): void
}

const REASON_OF_SLOT: Readonly<Record<number, SkipReason>> = {
  [KEY_TOO_LONG]: 'key_too_long',
  [SERIES_CAP]: 'series_cap',
  [INVALID_KEY]: 'invalid_key',
}
const BIG = 2 ** 53

/** Slots remembered per category and source; beyond it every look-up is made afresh (names that never repeat). */
const MAX_REMEMBERED = 20_000

/** Why an event becomes no points at all. */
type Stepless = Extract<SkipReason, 'no_step' | 'step_out_of_range' | 'config' | 'filtered'>

/** What one source of fields at the top of an event is: its names are excluded by different rules. */
type Source = 'wrapped' | 'line'

/**
 * The extraction: an event in, points out. Synchronous and pure but for its interning tables; one instance per run.
 * The rules are those of `docs/extraction.md`.
 */
export class Layer {
  readonly #rules: Rules
  readonly #out: LayerOutput
  readonly #counters: Counters
  readonly #series: SeriesTable
  /** Name of a top-level field -> series id or the reason for none; per category, apart for wrapped and line. */
  readonly #slots: readonly Record<Source, Map<string, number>>[]
  readonly #seenReasons = new Set<SkipReason>()
  readonly #plans = new EventPlans()
  readonly #values = new Float64Array(this.#plans.numbers.length)
  /** The event that numbers are taken of. */
  #underWay: TracingEvent | null = null
  #big = false

  constructor(rules: Rules, out: LayerOutput, counters: Counters) {
    this.#rules = rules
    this.#out = out
    this.#counters = counters
    this.#series = new SeriesTable((id, key) => out.series(id, key))
    this.#slots = rules.prefixes.map(() => ({ wrapped: new Map(), line: new Map() }))
  }

  /**
   * Takes the numbers of one event. `receivedAt` (UTC ms) is its time when it carries none. `asWritten` gives the same
   * fields with numbers as their source text, where the receiver has it: params keep `2e-05` and all digits of 2^64.
   *
   * @returns whether a point was taken whose value may be an integer beyond 2^53
   */
  event(event: TracingEvent, receivedAt: number, asWritten?: () => AsWritten): boolean {
    this.#counters.add(EVENTS, 1)
    this.#underWay = event
    if (event.message !== null && CONFIG_MESSAGES.has(event.message)) {
      this.#skip(event, 'config')
      this.#params(event, asWritten?.() ?? event)
      return false
    }
    return this.numbers(event, receivedAt)
  }

  /** The same without counting an event: for what is none, such as the attributes of a span. */
  numbers(event: TracingEvent, receivedAt: number): boolean {
    this.#big = false
    this.#underWay = event
    const isAlone = event.spans.length === 0
    const plan = isAlone ? this.#plans.find(event) : null
    if (plan !== null && this.#takeAs(plan, event.time ?? receivedAt)) return this.#big
    const prefix = prefixOf(event, this.#rules)
    const step = stepOf(event, this.#rules, prefix)
    if (typeof step !== 'number') {
      this.#skip(event, step ?? 'no_step')
      return false
    }
    const time = event.time ?? receivedAt
    for (const fields of event.wrapped) this.#take(event, fields, 'wrapped', prefix, step, time)
    if (event.line !== null) this.#take(event, event.line, 'line', prefix, step, time)
    if (isAlone && this.#plans.isCurious) this.#plans.learn(event, this.outline(event))
    return this.#big
  }

  /** Takes the numbers of an event as those of an earlier one; false: its step is none. */
  #takeAs({ step: stepPlace, places, series }: EventPlan, time: number): boolean {
    const { numbers } = this.#plans
    const step = numbers[stepPlace]! + 0
    if (!Number.isSafeInteger(step)) return false
    const values = this.#values
    for (let i = 0; i < places.length; i += 1) {
      const value = numbers[places[i]!]!
      if (value >= BIG || value <= -BIG) this.#big = true
      values[i] = value
    }
    this.points(places.length, series, step, time, values)
    this.countPoints(places.length)
    return true
  }

  /**
   * What was made of an event that has become points, for others of the same names and kinds; null where that is not all
   * that it depends on: what the spans around it say, objects inside it, numbers that have no series.
   */
  outline(event: TracingEvent): Outline | null {
    if (event.spans.length > 0 || (event.message !== null && CONFIG_MESSAGES.has(event.message))) return null
    const prefix = prefixOf(event, this.#rules)
    const step = placeOfNumber(this.#rules.stepFields[prefix]!, event)
    // Without a step it has become no points: a series that is named here would be one of none.
    if (step === null || typeof stepOf(event, this.#rules, prefix) !== 'number') return null
    const points: (Place & { series: number })[] = []
    const sources = [
      ...event.wrapped.map((fields) => [fields, 'wrapped'] as const),
      [event.line ?? {}, 'line'] as const,
    ]
    for (const [fields, source] of sources) {
      for (const name in fields) {
        const value = fields[name]
        if (isFields(value) && !this.#isNoKey(event, fields, name, source)) return null
        if (typeof value !== 'number' || this.#isNoKey(event, fields, name, source)) continue
        const series = this.#slot(event, fields, name, source, prefix)
        if (series < 0) return null
        points.push({ fields, name, series })
      }
    }
    return { step, points }
  }

  /** One number more at the step and in the category of an event, under a path of its own; null: its names are too many. */
  measure(event: TracingEvent, path: () => string | null, value: number, receivedAt: number): void {
    this.#underWay = event
    const prefix = prefixOf(event, this.#rules)
    const step = stepOf(event, this.#rules, prefix)
    if (typeof step !== 'number') this.#skipNumbers(step ?? 'no_step', 1)
    else this.#number(this.slotOfPath(prefix, path()), step, event.time ?? receivedAt, value)
  }

  /** Numbers of which nothing is known but that they are numbers: they have no step. */
  lose(event: TracingEvent, numbers: number): void {
    this.#underWay = event
    this.#skipNumbers('no_step', numbers)
  }

  /*
   * What follows is for whoever has looked for step and names himself, and counts himself (`columns.ts`).
   */

  /** The series of a field of an event in a category; negative: `NOT_A_KEY`, or why it has none. */
  slotOf(prefix: number, name: string): number {
    if (this.#rules.neverKeys.has(name) || isClientNoise(name)) return NOT_A_KEY
    return this.slotOfPath(prefix, name)
  }

  /** The series of a path; null: its names are too many. */
  slotOfPath(prefix: number, path: string | null): number {
    return path === null ? SERIES_CAP : this.#series.intern(`${this.#rules.prefixes[prefix]!}/${path}`)
  }

  /** A point, to be counted by `countPoints`. */
  point(slot: number, step: number, time: number, value: number): void {
    this.#out.point(slot, step, time, value)
  }

  /** Several points of one step and time, to be counted by `countPoints`. */
  points(count: number, series: Int32Array, step: number, time: number, values: Float64Array): void {
    const out = this.#out
    if (out.points !== undefined) out.points(count, series, step, time, values)
    else for (let i = 0; i < count; i += 1) out.point(series[i]!, step, time, values[i]!)
  }

  countPoints(points: number): void {
    this.#counters.add(NUMBERS, points)
    this.#counters.add(POINTS, points)
  }

  countEvents(events: number): void {
    this.#counters.add(EVENTS, events)
  }

  /** Skips numbers; `event` makes what they are of, as an example. */
  skip(reason: SkipReason, numbers: number, event: () => TracingEvent): void {
    this.#underWay = this.#seenReasons.has(reason) || numbers === 0 ? null : event()
    this.#skipNumbers(reason, numbers)
  }

  /** Skips a number for the reason that it has no series. */
  skipSlot(slot: number, event: () => TracingEvent): void {
    this.skip(REASON_OF_SLOT[slot]!, 1, event)
  }

  /** How many numbers an event holds. */
  count(event: TracingEvent): number {
    let numbers = 0
    for (const fields of event.wrapped) numbers += this.#count(event, fields, 'wrapped')
    return event.line === null ? numbers : numbers + this.#count(event, event.line, 'line')
  }

  /** Counts an event that the filter keeps out: nothing of it is taken. */
  filtered(event: TracingEvent): void {
    this.#underWay = event
    this.#counters.add(EVENTS, 1)
    this.#skip(event, 'filtered')
  }

  /** Counts the numbers of an event that becomes no points. */
  #skip(event: TracingEvent, reason: Stepless): void {
    this.#skipNumbers(reason, this.count(event))
  }

  #skipNumbers(reason: SkipReason, numbers: number): void {
    if (numbers === 0) return
    this.#counters.add(NUMBERS, numbers)
    this.#counters.add(skipped(reason), numbers)
    if (this.#seenReasons.has(reason)) return
    this.#seenReasons.add(reason)
    this.#out.firstSkipped(reason, this.#underWay!)
  }

  #count(event: TracingEvent, fields: Fields, source: Source): number {
    let numbers = 0
    for (const name in fields) {
      const value = fields[name]
      if (typeof value !== 'number' && !isFields(value)) continue
      if (this.#isNoKey(event, fields, name, source)) continue
      numbers += typeof value === 'number' ? 1 : countNumbers(value)
    }
    return numbers
  }

  #take(event: TracingEvent, fields: Fields, source: Source, prefix: number, step: number, time: number): void {
    const slots = this.#slots[prefix]![source]
    const mayBeShadowed = event.wrapped.length > 0 && event.wrapped[0] !== fields
    let taken = 0
    for (const name in fields) {
      const value = fields[name]
      if (typeof value === 'number') {
        const slot = slots.get(name) ?? this.#slot(event, fields, name, source, prefix)
        if (slot === NOT_A_KEY || (mayBeShadowed && isShadowed(event, fields, name))) continue
        if (slot < 0) {
          this.#skipNumbers(REASON_OF_SLOT[slot]!, 1)
          continue
        }
        if (value >= BIG || value <= -BIG) this.#big = true
        this.#out.point(slot, step, time, value)
        taken += 1
      } else if (typeof value !== 'object' || !isFields(value)) {
        continue
      } else if (event.wrapped[0] !== value && !this.#isNoKey(event, fields, name, source)) {
        this.#nested(value, `${this.#rules.prefixes[prefix]!}/${name}`, step, time)
      }
    }
    this.#counters.add(NUMBERS, taken)
    this.#counters.add(POINTS, taken)
  }

  #number(slot: number, step: number, time: number, value: number): void {
    if (slot < 0) {
      this.#skipNumbers(REASON_OF_SLOT[slot]!, 1)
      return
    }
    this.#counters.add(NUMBERS, 1)
    this.#counters.add(POINTS, 1)
    if (value >= BIG || value <= -BIG) this.#big = true
    this.#out.point(slot, step, time, value)
  }

  /** The numbers of an object inside an event, in the order of the line; no recursion, so no depth can end it. */
  #nested(root: Fields, path: string, step: number, time: number): void {
    const stack: [value: unknown, path: string, depth: number][] = [[root, path, 1]]
    while (stack.length > 0) {
      const [value, path, depth] = stack.pop()!
      if (typeof value === 'number') {
        this.#number(this.#series.intern(path), step, time, value)
      } else if (isFields(value)) {
        if (depth >= MAX_DEPTH) {
          this.#skipNumbers('too_deep', countNumbers(value))
          continue
        }
        for (const name of Object.keys(value).toReversed()) stack.push([value[name], `${path}/${name}`, depth + 1])
      }
    }
  }

  /** The slot of a top-level name, remembered unless the answer depends on the line. */
  #slot(event: TracingEvent, fields: Fields, name: string, source: Source, prefix: number): number {
    if (this.#isNoKey(event, fields, name, source, false)) {
      if (!(source === 'line' && dependsOnLine(name))) this.#remember(prefix, source, name, NOT_A_KEY)
      return NOT_A_KEY
    }
    const slot = this.#series.intern(`${this.#rules.prefixes[prefix]!}/${name}`)
    if (slot >= 0 && !(source === 'line' && dependsOnLine(name))) this.#remember(prefix, source, name, slot)
    return slot
  }

  #remember(prefix: number, source: Source, name: string, slot: number): void {
    const slots = this.#slots[prefix]![source]
    if (slots.size < MAX_REMEMBERED) slots.set(name, slot)
  }

  /** Whether a top-level name is no key: a field with a meaning, the format's own, or one that a wrapper has too. */
  #isNoKey(event: TracingEvent, fields: Fields, name: string, source: Source, shadow = true): boolean {
    if (this.#rules.neverKeys.has(name)) return true
    if (source === 'wrapped') return isClientNoise(name) || (shadow && isShadowed(event, fields, name))
    if (isLineNoise(name, fields)) return true
    if (event.wrapperNames.includes(name) && isFields(fields[name])) return true
    return shadow && isShadowed(event, fields, name)
  }

  #params(event: TracingEvent, written: AsWritten): void {
    const params: [string, string][] = []
    const take = (fields: Fields, leaveOut: (name: string) => boolean): void => {
      for (const param of flattenParams(fields, leaveOut)) params.push(param)
    }
    for (const fields of written.wrapped) take(fields, (name) => this.#rules.neverKeys.has(name) || isClientNoise(name))
    const { line } = event
    if (line !== null && written.line !== null) {
      take(written.line, (name) => this.#isNoKey(event, line, name, 'line') || isNoParam(name, line))
    }
    if (params.length > 0) this.#out.params(params)
  }
}

/** Numbers at any depth of an object; lists hold none. */
function countNumbers(root: Fields): number {
  let numbers = 0
  const stack: Fields[] = [root]
  while (stack.length > 0) {
    const fields = stack.pop()!
    for (const name of Object.keys(fields)) {
      const value = fields[name]
      if (typeof value === 'number') numbers += 1
      else if (isFields(value)) stack.push(value)
    }
  }
  return numbers
}
