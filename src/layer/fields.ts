import { isFields, own, type AsWritten, type Fields, type TracingEvent } from './event.ts'
import { isClientNoise, isNoParam } from './noise.ts'
import type { Place } from './outline.ts'
import { CATEGORY_FIELDS, MAX_DEPTH, type Rules } from './rules.ts'

/** `undefined`: these fields have no step; `'step_out_of_range'`: they have one that a double cannot hold exactly. */
export type FoundStep = number | 'step_out_of_range' | undefined

/** The field `name` of an event: a wrapper's counts before the line's. */
export function look(name: string, wrapped: readonly Fields[], line: Fields | null): unknown {
  for (const fields of wrapped) {
    const value = own(fields, name)
    if (value !== undefined) return value
  }
  return line === null ? undefined : own(line, name)
}

/** Where `look` finds the first of `names` that is a number; null where it finds none. */
export function placeOfNumber(names: readonly string[], { wrapped, line }: TracingEvent): Place | null {
  for (const name of names) {
    if (typeof look(name, wrapped, line) !== 'number') continue
    const fields = wrapped.find((each) => own(each, name) !== undefined) ?? line!
    return { fields, name }
  }
  return null
}

/** Whether a stronger source of the event has the field too: a wrapper counts before the line, the first one before others. */
export function isShadowed(event: TracingEvent, source: Fields, name: string): boolean {
  for (const fields of event.wrapped) {
    if (fields === source) return false
    if (Object.hasOwn(fields, name)) return true
  }
  return false
}

/** Index into `rules.prefixes` of an event's category. */
export function prefixOf(event: TracingEvent, rules: Rules): number {
  const category = categoryOf(event, rules)
  return typeof category === 'string' ? rules.prefixOf(category) : rules.defaultPrefix
}

/** The category as it is written: an event's own, else that of the innermost span around it that has one; else undefined. */
export function categoryOf(event: TracingEvent, rules: Rules): unknown {
  const own = firstOf(CATEGORY_FIELDS, event.wrapped, event.line)
  if (own !== undefined || !rules.inherit) return own
  for (const span of event.spans) {
    const inherited = firstOf(CATEGORY_FIELDS, [span], null)
    if (inherited !== undefined) return inherited
  }
  return undefined
}

function firstOf(names: readonly string[], wrapped: readonly Fields[], line: Fields | null): unknown {
  for (const name of names) {
    const value = look(name, wrapped, line)
    if (value !== undefined) return value
  }
  return undefined
}

/** The step of an event of the category `prefix`: its own, else that of the innermost span around it that has one. */
export function stepOf(event: TracingEvent, rules: Rules, prefix: number): FoundStep {
  const names = rules.stepFields[prefix]!
  const found = stepIn(names, event.wrapped, event.line)
  if (found !== undefined || !rules.inherit) return found
  for (const span of event.spans) {
    const inherited = stepIn(names, [span], null)
    if (inherited !== undefined) return inherited
  }
  return undefined
}

/**
 * The first of `names` that holds an integer. From 2^53 on neighbouring integers are one double: such a step would be
 * made up, so it counts as out of range and no other field is asked.
 */
function stepIn(names: readonly string[], wrapped: readonly Fields[], line: Fields | null): FoundStep {
  for (const name of names) {
    const value = look(name, wrapped, line)
    if (typeof value !== 'number' || !Number.isInteger(value)) continue
    return Number.isSafeInteger(value) ? value + 0 : 'step_out_of_range'
  }
  return undefined
}

/** Whether an event has a step already, of its own or by what is known of the spans around it. */
export const hasStep = (event: TracingEvent, rules: Rules): boolean =>
  stepOf(event, rules, prefixOf(event, rules)) !== undefined

/** A field as people see it: nested objects are paths. */
export interface Field {
  name: string
  value: unknown
  /** The same from the line read with numbers as they were written, if that was asked for. */
  written: unknown
}

/** Every field of an event in the order of its line, step fields too, without category, message, and what the format adds. */
export function* eachField(event: TracingEvent, written: AsWritten | null): Generator<Field> {
  for (const [i, fields] of event.wrapped.entries()) {
    const leaveOut = (name: string): boolean => isClientNoise(name) || isShadowed(event, fields, name)
    yield* flattened(fields, written?.wrapped[i] ?? null, leaveOut)
  }
  const { line } = event
  if (line === null) return
  const leaveOut = (name: string): boolean =>
    isNoParam(name, line) ||
    (event.wrapperNames.includes(name) && isFields(line[name])) ||
    isShadowed(event, line, name)
  yield* flattened(line, written?.line ?? null, leaveOut)
}

const NEVER_FIELDS: ReadonlySet<string> = new Set([...CATEGORY_FIELDS, 'message'])

function* flattened(root: Fields, written: Fields | null, leaveOut: (name: string) => boolean): Generator<Field> {
  const stack = Object.keys(root)
    .filter((name) => !NEVER_FIELDS.has(name) && !leaveOut(name))
    .map((name) => ({ name, value: root[name], written: written?.[name], depth: 1 }))
    .toReversed()
  while (stack.length > 0) {
    const { name, value, written, depth } = stack.pop()!
    if (!isFields(value) || depth >= MAX_DEPTH) {
      yield { name, value, written }
      continue
    }
    for (const inner of Object.keys(value).toReversed()) {
      const next = isFields(written) ? written[inner] : undefined
      stack.push({ name: `${name}/${inner}`, value: value[inner], written: next, depth: depth + 1 })
    }
  }
}
