import { isFields } from '../layer/event.ts'
import { FilterError, parseFilter } from '../layer/filter.ts'

/** Reads one value of a setting. `text` comes from a flag or the environment, `parsed` from the file. Throws with what was expected. */
export interface SettingType<T> {
  /** What `--help` shows as the value. */
  readonly shape: string
  /** JSON Schema (2020-12) of the value in the file. */
  readonly schema: Readonly<Record<string, unknown>>
  /** A list to which each further flag adds. */
  readonly addsUp?: boolean
  /** The value as the file has it, where that is not the value itself. */
  toFile?(value: T): unknown
  fromText(text: string): T
  /** `written`: the same with scalars as the text that stands there, where it matters (`007123`). */
  fromFile(parsed: unknown, written?: unknown): T
}

/** A value that does not fit; the message says what was expected and what came. */
export class SettingError extends Error {}

const got = (value: unknown): string =>
  typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? String(value))

const fail = (expected: string, value: unknown): never => {
  throw new SettingError(`expected ${expected}, got ${got(value)}`)
}

/** A scalar as it was written; lists and objects as JSON. */
const textOf = (value: unknown, written: unknown): string =>
  typeof value === 'string' ? value : typeof written === 'string' ? written : JSON.stringify(value)

export const text: SettingType<string | null> = {
  shape: 'TEXT',
  schema: { type: ['string', 'number', 'null'] },
  fromText: (value) => (value === '' ? null : value),
  fromFile: (value, written) =>
    value === null || typeof value === 'string'
      ? value
      : typeof value === 'number'
        ? textOf(value, written)
        : fail('text', value),
}

/** A switch that may name something: null is off, '' on, anything else a name. On a command line the name needs an `=`. */
export const switchOrName: SettingType<string | null> = {
  shape: '[=NAME]',
  schema: { type: ['string', 'boolean', 'null'] },
  fromText: (value) => {
    const lower = value.toLowerCase()
    if (['false', 'no', 'off', '0'].includes(lower)) return null
    return ['true', 'yes', 'on', '1', ''].includes(lower) ? '' : value
  },
  fromFile: (value) =>
    typeof value === 'string'
      ? switchOrName.fromText(value)
      : typeof value === 'boolean' || value === null
        ? switchOrName.fromText(String(value ?? false))
        : fail('true, false or a name', value),
}

export const bool: SettingType<boolean> = {
  shape: 'true|false',
  schema: { type: 'boolean' },
  fromText: (value) => {
    const lower = value.toLowerCase()
    if (['true', '1', 'yes', 'on'].includes(lower)) return true
    return ['false', '0', 'no', 'off', ''].includes(lower) ? false : fail('true or false', value)
  },
  fromFile: (value) => (typeof value === 'boolean' ? value : fail('true or false', value)),
}

export const integer = (min: number, max: number): SettingType<number> => {
  const check = (n: number, value: unknown): number =>
    Number.isInteger(n) && n >= min && n <= max ? n : fail(`a whole number from ${min} to ${max}`, value)
  return {
    shape: 'N',
    schema: { type: 'integer', minimum: min, maximum: max },
    fromText: (value) => check(value.trim() === '' ? Number.NaN : Number(value), value),
    fromFile: (value) => check(typeof value === 'number' ? value : Number.NaN, value),
  }
}

export const oneOf = <const T extends string>(...choices: readonly T[]): SettingType<T> => {
  const check = (value: unknown): T =>
    choices.find((choice) => choice === value) ?? fail(`one of ${choices.join(', ')}`, value)
  // YAML 1.1 habits: a bare `on` or `off` may arrive as a boolean.
  const word = (value: unknown): unknown => (value === true ? 'on' : value === false ? 'off' : value)
  // An editor of YAML 1.1 takes a bare `on` or `off` for a boolean, and so it may be one.
  const booleans = [true, false].filter((value) => choices.some((choice) => choice === word(value)))
  const schema = { enum: [...choices, ...booleans] }
  return { shape: choices.join('|'), schema, fromText: check, fromFile: (value) => check(word(value)) }
}

/** Where to listen: `host:port`, port 0 for a free one, or off. */
export const listenAddress: SettingType<{ host: string; port: number } | null> = {
  shape: 'HOST:PORT|off',
  schema: { type: ['string', 'boolean'] },
  toFile: (value) => (value === null ? 'off' : `${value.host}:${value.port}`),
  fromText: (value) => {
    if (['off', 'false', 'no'].includes(value.toLowerCase())) return null
    const [, host, port] = /^(.*):(\d{1,5})$/.exec(value) ?? []
    if (host === undefined || Number(port) > 65_535) return fail('host:port, or off', value)
    return { host: host.replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(port) }
  },
  fromFile: (value) =>
    value === false
      ? null
      : typeof value === 'string'
        ? listenAddress.fromText(value)
        : fail('host:port, or off', value),
}

/** Headers as OpenTelemetry writes them: `name=value` with commas between, values percent-encoded. */
export const headers: SettingType<Readonly<Record<string, string>>> = {
  shape: 'NAME=VALUE,...',
  schema: { type: 'object' },
  fromText: (value) =>
    Object.fromEntries(
      value
        .split(',')
        .filter((item) => item.trim() !== '')
        .map((item) => {
          const equals = item.indexOf('=')
          return equals > 0
            ? [item.slice(0, equals).trim().toLowerCase(), decoded(item.slice(equals + 1).trim())]
            : fail('NAME=VALUE', withoutValue(item))
        }),
    ),
  fromFile: (value, written) => pairs.fromFile(value, written),
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds, written as `500ms`, `10s`, `2m`, `1h`, `30d`; a bare number is seconds. */
export const duration: SettingType<number> = {
  shape: 'DURATION',
  schema: { type: ['string', 'number'], pattern: String.raw`^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)?\s*$`, minimum: 0 },
  toFile: (ms) => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`),
  fromText: (value) => {
    const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(value.trim())
    return match === null
      ? fail('a duration such as 500ms, 10s or 2m', value)
      : Math.round(Number(match[1]) * UNIT_MS[match[2] ?? 's']!)
  },
  fromFile: (value) =>
    typeof value === 'number' || typeof value === 'string'
      ? duration.fromText(String(value))
      : fail('a duration such as 500ms, 10s or 2m', value),
}

/** The same where a bare number is milliseconds, as OpenTelemetry has it. */
export const millis: SettingType<number> = {
  ...duration,
  toFile: (ms) => `${ms}ms`,
  fromText: (value) => duration.fromText(/^\s*\d+\s*$/.test(value) ? `${value.trim()}ms` : value),
  fromFile: (value) => (typeof value === 'number' ? duration.fromText(`${value}ms`) : duration.fromFile(value)),
}

export const list: SettingType<readonly string[]> = {
  shape: 'A,B,...',
  schema: { type: 'array', items: { type: 'string' } },
  fromText: (value) =>
    value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  fromFile: (value) =>
    Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : fail('a list of texts', value),
}

/** Paths and globs: a comma inside braces is the glob's own. A flag that is repeated adds to the list. */
export const paths: SettingType<readonly string[]> = {
  ...list,
  addsUp: true,
  fromText: (value) =>
    value
      .split(/,(?![^{]*\})/)
      .map((item) => item.trim())
      .filter((item) => item !== ''),
}

/** What is wrong may be a secret: its beginning tells which it is. */
const withoutValue = (item: string): string => (item.length > 12 ? `${item.slice(0, 8)}...` : item)

/** Pairs as text: `a=1,b=2`; a flag may be repeated, one pair each (`--param notes=a,b` keeps its comma). */
export const pairs: SettingType<Readonly<Record<string, string>>> = {
  shape: 'NAME=VALUE',
  schema: { type: 'object' },
  fromText: (value) => {
    const items = (value.match(/=/g) ?? []).length > 1 ? value.split(/,(?=[^,=]+=)/) : [value]
    return Object.fromEntries(
      items
        .filter((item) => item.trim() !== '')
        .map((item) => {
          const equals = item.indexOf('=')
          return equals > 0
            ? [item.slice(0, equals).trim(), item.slice(equals + 1)]
            : fail('NAME=VALUE', withoutValue(item))
        }),
    )
  },
  fromFile: (value, written) =>
    isFields(value)
      ? Object.fromEntries(
          Object.entries(value).map(([name, inner]) => [
            name,
            textOf(inner, isFields(written) ? written[name] : undefined),
          ]),
        )
      : fail('names with values', value),
}

/** Lists by name: `evaluator=step+update,actor=timesteps`. */
export const listsByName: SettingType<Readonly<Record<string, readonly string[]>>> = {
  shape: 'NAME=A+B',
  schema: { type: 'object', additionalProperties: { type: 'array', items: { type: 'string' } } },
  fromText: (value) =>
    Object.fromEntries(
      Object.entries(pairs.fromText(value)).map(([name, joined]) => [
        name,
        joined.split('+').map((item) => item.trim()),
      ]),
    ),
  fromFile: (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, list.fromFile(inner)]))
      : fail('lists of texts by name', value),
}

/** Labels as `METRIC_LABELS` has them: what is no `key=label` is passed over, the last one of a key counts. */
export const labels: SettingType<Readonly<Record<string, string>>> = {
  shape: 'KEY=LABEL,...',
  schema: { type: 'object' },
  fromText: (value) =>
    Object.fromEntries(
      value
        .split(',')
        .map((item) => [item.slice(0, item.indexOf('=')).trim(), item.slice(item.indexOf('=') + 1).trim()] as const)
        .filter(([key, label], i) => value.split(',')[i]!.includes('=') && key !== '' && label !== ''),
    ),
  fromFile: (value, written) => pairs.fromFile(value, written),
}

/** Directives of a filter, checked but kept as text; empty is none. */
export const filter: SettingType<string | null> = {
  shape: 'DIRECTIVES',
  schema: { type: ['string', 'integer', 'null'], minimum: 0, maximum: 5 },
  fromText: (value) => {
    try {
      return parseFilter(value) === null ? null : value
    } catch (error) {
      throw error instanceof FilterError ? new SettingError(error.message) : error
    }
  },
  // YAML reads a bare `off` as a word or as false, and levels may be numbers.
  fromFile: (value) =>
    typeof value === 'string' || typeof value === 'number'
      ? filter.fromText(String(value))
      : value === null
        ? null
        : value === false
          ? 'off'
          : fail('directives such as info,my_crate=debug', value),
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

const MIN_BYTES = 1_000_000

/** Bytes, written as `500MB`, `4GB` or `4GiB`, or off (null); a bare number is bytes. At least 1 MB. */
export const bytes: SettingType<number | null> = {
  shape: 'BYTES|off',
  schema: {
    type: ['string', 'number', 'boolean'],
    pattern: String.raw`^\s*(off|\d+(\.\d+)?\s*([kKmMgGtT][iI]?[bB])?)\s*$`,
  },
  toFile: (value) => (value === null ? 'off' : value % 1e6 === 0 ? `${value / 1e6}MB` : value),
  fromText: (value) => {
    const text = value.trim().toLowerCase()
    if (['off', 'false', 'no'].includes(text)) return null
    const match = /^(\d+(?:\.\d+)?)\s*([kmgt]i?b)?$/.exec(text)
    const count = match === null ? Number.NaN : Math.round(Number(match[1]) * (UNIT_BYTES[match[2] ?? ''] ?? 1))
    return count >= MIN_BYTES ? count : fail('a size of 1MB or more, such as 500MB or 4GiB, or off', value)
  },
  fromFile: (value) =>
    value === false
      ? null
      : typeof value === 'number' || typeof value === 'string'
        ? bytes.fromText(String(value))
        : fail('a size such as 500MB or 4GiB, or off', value),
}

/** The same, or off (null). */
export const orOff = <T>(type: SettingType<T>): SettingType<T | null> => ({
  shape: `${type.shape}|off`,
  schema: { anyOf: [type.schema, { enum: ['off', false] }] },
  toFile: (value) => (value === null ? 'off' : (type.toFile?.(value) ?? value)),
  fromText: (value) => (['off', 'false', 'no'].includes(value.trim().toLowerCase()) ? null : type.fromText(value)),
  fromFile: (value, written) => (value === false || value === 'off' ? null : type.fromFile(value, written)),
})
