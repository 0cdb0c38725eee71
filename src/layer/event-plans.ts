import { isFields, type Fields, type TracingEvent } from './event.ts'
import { dependsOnLine } from './noise.ts'
import type { Outline } from './outline.ts'
import { CATEGORY_FIELDS } from './rules.ts'

/** What becomes of the numbers of an event, by their place among all its numbers. */
export interface EventPlan {
  wrapperNames: readonly string[]
  /** Which one is the step, if it is an integer. */
  step: number
  /** Which ones become points, and of which series. */
  places: Int32Array
  series: Int32Array
}

/** What a value is, as far as it matters whether the next event has the same there. */
const NUMBER = 0
const OBJECT = 1
const OTHER = 2

/** Most fields that are remembered, over all events, and most numbers of one event. */
const MOST_FIELDS = 1 << 14
const MOST_NUMBERS = 256

const NONE: ReadonlyMap<string, Field[]> = new Map()

/** A field of an event, behind those that stand before it. */
class Field {
  readonly name: string
  readonly kind: number
  readonly isCategory: boolean
  /** The category that it names. */
  readonly value: unknown
  /** The one that came behind it last, ... */
  likely: Field | null = null
  /** ... and all that came, by name. */
  behind = NONE as Map<string, Field[]>
  /** What is before the first field of the next source of the event. */
  next: Field | null = null
  /** Of events that end here; null: they can have none, undefined: none has come. */
  plan: EventPlan | null | undefined = undefined

  constructor(name: string, kind: number, value: unknown) {
    this.name = name
    this.kind = kind
    this.isCategory = (CATEGORY_FIELDS as readonly string[]).includes(name)
    this.value = this.isCategory ? value : undefined
  }

  is(name: string, kind: number, value: unknown): boolean {
    return this.name === name && this.kind === kind && (!this.isCategory || this.value === value)
  }
}

/**
 * Remembers what became of events by the names and kinds of their fields, in their order, and by their category: a trainer writes the
 * same ones over and over. Without it the extraction of an event takes half as long again (`bench/extraction.ts`).
 */
export class EventPlans {
  readonly #root = new Field('', OTHER, null)
  #fields = 0
  #isNew = false
  #count = 0
  /** The numbers of the event that was looked for last. */
  readonly numbers = new Float64Array(MOST_NUMBERS)

  /** The plan of an event without spans around it. */
  find({ wrapped, line, wrapperNames }: TracingEvent): EventPlan | null {
    this.#count = 0
    this.#isNew = true
    let at: Field | null = this.#root
    for (let i = 0; i < wrapped.length && at !== null; i += 1) {
      at = this.#walk(wrapped[i]!, at, undefined)
      if (at !== null) at = at.next
    }
    if (at !== null && line !== null) at = this.#walk(line, at, wrapped[0])
    if (at === null || at.plan === undefined) return null
    this.#isNew = false
    return at.plan !== null && areSame(at.plan.wrapperNames, wrapperNames) ? at.plan : null
  }

  /** Whether the event that was looked for last would be a new one. */
  get isCurious(): boolean {
    return this.#isNew && this.#fields < MOST_FIELDS
  }

  /** Remembers what became of an event; null: it is not sure to become of the next one. */
  learn(event: TracingEvent, outline: Outline | null): void {
    const { wrapped, line, wrapperNames } = event
    const all: { fields: Fields; name: string }[] = []
    let at = this.#root
    for (const fields of wrapped) {
      at = this.#add(fields, at, all)
      at = at.next ??= new Field('', OTHER, null)
    }
    if (line !== null) at = this.#add(line, at, all)
    // Whether a number is the format's own may depend on what it is.
    const isSure = !all.some(({ fields, name }) => fields === line && dependsOnLine(name))
    if (outline === null || !isSure || all.length > MOST_NUMBERS) {
      at.plan = null
      return
    }
    const placeOf = (place: { fields: Fields; name: string }): number =>
      all.findIndex(({ fields, name }) => fields === place.fields && name === place.name)
    at.plan = {
      wrapperNames,
      step: placeOf(outline.step),
      places: Int32Array.from(outline.points, placeOf),
      series: Int32Array.from(outline.points, ({ series }) => series),
    }
  }

  /** Goes through fields, one of which `wrapper` may be; null: none had all of them before. */
  #walk(fields: Fields, from: Field, wrapper: Fields | undefined): Field | null {
    const { numbers } = this
    let count = this.#count
    let at = from
    for (const name in fields) {
      const value = fields[name]
      const kind = typeof value === 'number' ? NUMBER : kindOf(value, wrapper)
      let next: Field | null = at.likely
      if (next === null || !next.is(name, kind, value)) {
        next = behind(at, name, kind, value)
        if (next === null) return null
      }
      // Beyond their end numbers are not kept: such an event has no plan.
      if (kind === NUMBER) {
        numbers[count] = value as number
        count += 1
      }
      at = next
    }
    this.#count = count
    return at
  }

  #add(fields: Fields, from: Field, numbers: { fields: Fields; name: string }[]): Field {
    let at = from
    for (const name in fields) {
      const value = fields[name]
      const kind = kindOf(value)
      let next = behind(at, name, kind, value)
      if (next === null) {
        next = new Field(name, kind, value)
        if (at.behind === NONE) at.behind = new Map()
        at.behind.set(name, [...(at.behind.get(name) ?? []), next])
        at.likely = next
        this.#fields += 1
      }
      if (kind === NUMBER) numbers.push({ fields, name })
      at = next
    }
    return at
  }
}

/** `fields`: an object that is known to be fields. */
function kindOf(value: unknown, fields?: Fields): number {
  if (typeof value === 'number') return NUMBER
  return typeof value === 'object' && (value === fields || isFields(value)) ? OBJECT : OTHER
}

function behind(at: Field, name: string, kind: number, value: unknown): Field | null {
  const found = at.behind.get(name)?.find((field) => field.is(name, kind, value)) ?? null
  if (found !== null) at.likely = found
  return found
}

const areSame = (some: readonly string[], others: readonly string[]): boolean =>
  some === others || (some.length === others.length && some.every((name, i) => name === others[i]))
