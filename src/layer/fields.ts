import { own, type Fields, type TracingEvent } from './event.ts'
import { CATEGORY_FIELDS, type Rules } from './rules.ts'

/** The field `name` of an event: a wrapper's counts before the line's. */
export function look(name: string, wrapped: readonly Fields[], line: Fields | null): unknown {
  for (const fields of wrapped) {
    const value = own(fields, name)
    if (value !== undefined) return value
  }
  return line === null ? undefined : own(line, name)
}

/** Whether a stronger source of the event has the field too: a wrapper counts before the line, the first one before others. */
export function isShadowed(event: TracingEvent, source: Fields, name: string): boolean {
  for (const fields of event.wrapped) {
    if (fields === source) return false
    if (Object.hasOwn(fields, name)) return true
  }
  return false
}

/** Index into `rules.prefixes` of an event's category: its own, else that of the innermost span around it that has one. */
export function prefixOf(event: TracingEvent, rules: Rules): number {
  const own = categoryOf(event.wrapped, event.line, rules)
  if (own !== null) return own
  if (rules.inherit) {
    for (const span of event.spans) {
      const found = categoryOf([span], null, rules)
      if (found !== null) return found
    }
  }
  return rules.defaultPrefix
}

function categoryOf(wrapped: readonly Fields[], line: Fields | null, rules: Rules): number | null {
  for (const name of CATEGORY_FIELDS) {
    const value = look(name, wrapped, line)
    if (value === undefined) continue
    return typeof value === 'string' ? rules.prefixOf(value) : rules.defaultPrefix
  }
  return null
}
