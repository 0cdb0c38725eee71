import { isFields, own, type Fields } from './event.ts'

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

export const LEVEL_FIELDS = ['level', 'levelname', 'severity', 'lvl'] as const

/** The level of a line (1 ERROR to 5 TRACE), or null when it has none that is known. Words count before numbers. */
export function levelOfLine(line: Fields): number | null {
  for (const name of LEVEL_FIELDS) {
    const value = own(line, name)
    if (typeof value === 'string') return levelOfText(value)
  }
  const number = own(line, 'level')
  if (typeof number === 'number') return ofNumber(number)
  const record = own(line, 'record') // loguru
  const level = isFields(record) ? own(record, 'level') : undefined
  const word = isFields(level) ? own(level, 'name') : undefined
  return typeof word === 'string' ? levelOfText(word) : null
}

/** pino's and bunyan's numbers. Others may be anybody's: a level of a game, a severity on another scale. */
const OF_NUMBER: Readonly<Record<number, number>> = { 10: 5, 20: 4, 30: 3, 35: 3, 40: 2, 50: 1, 60: 1 }
const ofNumber = (n: number): number | null => OF_NUMBER[n] ?? null

/** The level of a word, or null when it is none that is known. slog writes levels between two names as `INFO+2`. */
export function levelOfText(word: string): number | null {
  // A log has a few words for its levels, and each line one of them.
  let level = remembered.get(word)
  if (level !== undefined) return level
  const lower = word.toLowerCase().replace(/[+-]\d+$/, '')
  level = Object.hasOwn(LEVEL_WORDS, lower) ? LEVEL_WORDS[lower]! : null
  if (remembered.size < MAX_REMEMBERED && word.length <= LONGEST) remembered.set(word, level)
  return level
}

const remembered = new Map<string, number | null>()
const MAX_REMEMBERED = 64
const LONGEST = 32
