import { isFields, own, type Fields } from '../../layer/event.ts'
import type { Filter } from '../../layer/filter.ts'
import { LEVEL_FIELDS, levelOfLine } from '../../layer/level.ts'

/** Where a line says that it comes from: Rust's target, a logger's name. */
export function targetOf(line: Fields): string {
  for (const name of ['target', 'logger'] as const) {
    const value = own(line, name)
    if (typeof value === 'string') return value
  }
  // Python's and pino's `name`; without a level beside it, it may be anybody's.
  const name = own(line, 'name')
  if (typeof name === 'string' && LEVEL_FIELDS.some((field) => Object.hasOwn(line, field))) return name
  const record = own(line, 'record')
  const of = isFields(record) ? own(record, 'name') : undefined
  return typeof of === 'string' ? of : ''
}

/** The names of Rust's levels; other loggers write theirs otherwise, or have no target beside them. */
const RUST_LEVELS: ReadonlySet<unknown> = new Set(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'])

/** Whether `tracing-subscriber` wrote a line, as far as it can be told: `level` in capitals, with a target or `fields`. */
const isRust = (line: Fields): boolean =>
  RUST_LEVELS.has(own(line, 'level')) && (typeof own(line, 'target') === 'string' || isFields(own(line, 'fields')))

/** Which lines are taken: `all` for everything; `rust` only for what a Rust program wrote. Null: no filter. */
export interface LineFilter {
  all: Filter | null
  rust: Filter | null
}

/** Compiles the two into one question, or into none. */
export function compileFilter({ all, rust }: LineFilter): ((line: Fields) => boolean) | null {
  if (all !== null) return (line) => all.allows(targetOf(line), levelOfLine(line))
  if (rust === null) return null
  return (line) =>
    !isRust(line) ||
    (typeof own(line, 'target') === 'string'
      ? rust.allows(targetOf(line), levelOfLine(line))
      : rust.mayAllow(levelOfLine(line)))
}
