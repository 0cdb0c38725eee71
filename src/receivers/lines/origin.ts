import { isFields, own, type Fields } from '../../layer/event.ts'
import type { Filter } from '../../layer/filter.ts'

/** What loggers call their levels, as indexes into `LEVELS` of the filter: 1 is ERROR, 5 TRACE. */
const LEVEL_WORDS: Readonly<Record<string, number>> = {
  fatal: 1,
  panic: 1,
  dpanic: 1,
  critical: 1,
  crit: 1,
  alert: 1,
  emerg: 1,
  emergency: 1,
  error: 1,
  err: 1,
  exception: 1,
  warning: 2,
  warn: 2,
  notice: 3,
  success: 3,
  info: 3,
  information: 3,
  http: 4,
  verbose: 4,
  debug: 4,
  trace: 5,
  silly: 5,
  notset: 5,
}

const LEVEL_FIELDS = ['level', 'levelname', 'severity', 'lvl'] as const

/** The level of a line (1 ERROR to 5 TRACE), or null when it has none. */
export function levelOf(line: Fields): number | null {
  for (const name of LEVEL_FIELDS) {
    const value = own(line, name)
    if (typeof value === 'number') return ofNumber(value)
    if (typeof value === 'string') return ofWord(value)
  }
  const record = own(line, 'record') // loguru
  const level = isFields(record) ? own(record, 'level') : undefined
  const word = isFields(level) ? own(level, 'name') : undefined
  return typeof word === 'string' ? ofWord(word) : null
}

/** pino's and bunyan's numbers: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal. */
const ofNumber = (n: number): number => (n >= 50 ? 1 : n >= 40 ? 2 : n >= 30 ? 3 : n >= 20 ? 4 : 5)

/** slog writes levels between two names as `INFO+2`. */
function ofWord(word: string): number | null {
  const lower = word.toLowerCase().replace(/[+-]\d+$/, '')
  return Object.hasOwn(LEVEL_WORDS, lower) ? LEVEL_WORDS[lower]! : null
}

/** Where a line says that it comes from: Rust's target, a logger's name. */
function targetOf(line: Fields): string {
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
  if (all !== null) return (line) => all.allows(targetOf(line), levelOf(line))
  if (rust === null) return null
  return (line) =>
    !isRust(line) ||
    (typeof own(line, 'target') === 'string'
      ? rust.allows(targetOf(line), levelOf(line))
      : rust.mayAllow(levelOf(line)))
}
