import { isFields, type Fields } from './event.ts'
import { MAX_DEPTH } from './rules.ts'

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]'

const SECRET_WORDS = new Set([
  'password',
  'passwords',
  'secret',
  'secrets',
  'credential',
  'credentials',
  'passwd',
  'pwd',
  'passphrase',
  'apikey',
  'authorization',
])
const KEY_WORDS = new Set(['token', 'key'])
/** Before `tokens` or `keys` these tell that they are no vocabulary: `api_keys`, and not `special_tokens`. */
const ACCESS_WORDS = new Set(['api', 'access', 'auth', 'private', 'secret'])

/** A text under a name that ends in `token` or `key` is a secret from this length on: `eos_token` is not, an API key is. */
const SHORTEST_SECRET = 16

/** Words of a name, split at `_ - . /` and where the case changes: `apiKey` has two. */
const wordsOf = (name: string): string[] =>
  name
    .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
    .toLowerCase()
    .split(/[\s_\-./]+/)
    .filter((word) => word !== '')

/** Whether the value of a param must never reach the journal. */
export function isSecret(name: string, text: string): boolean {
  const words = wordsOf(name)
  if (words.some((word) => SECRET_WORDS.has(word))) return true
  if (text.length < SHORTEST_SECRET) return false
  const last = words.at(-1) ?? ''
  return KEY_WORDS.has(last) || (/^(?:token|key)s$/.test(last) && ACCESS_WORDS.has(words.at(-2) ?? ''))
}

/** Who asks, in an address: `postgresql://me:pw@host/db`, `https://token@host`. Linear, for it reads foreign text. */
const CREDENTIALS = /(?<=\w:\/\/)[^\s/?#"']*@/g

/** The value of a name as it may be kept and shown: a secret is taken out whole, and of an address its user and password. */
export const withoutSecrets = (name: string, text: string): string =>
  isSecret(name, text) ? REDACTED : text.includes('://') ? text.replace(CREDENTIALS, `${REDACTED}@`) : text

/** What stands in the place of a value with too much inside it; as it is, it is no JSON. */
export const TOO_DEEP = '[too deep]'

/** Any value as JSON text; secrets inside it are taken out, and NaN and infinities, which JSON lacks, are texts. */
export function jsonText(name: string, value: unknown): string {
  // Names are paths; what is in a list has the list's. `this` of a replacer is what holds the value.
  const pathOf = new Map<unknown, string>()
  function shown(this: unknown, key: string, inner: unknown): unknown {
    const outer = pathOf.get(this) ?? name
    const of = Array.isArray(this) || key === '' ? outer : `${outer}/${key}`
    if (typeof inner === 'object' && inner !== null) pathOf.set(inner, of)
    if (typeof inner === 'string') return withoutSecrets(of, inner)
    if (JSON.isRawJSON(inner)) return isSecret(of, inner.rawJSON) ? REDACTED : inner
    if (typeof inner !== 'number') return inner
    return isSecret(of, String(inner)) ? REDACTED : Number.isFinite(inner) ? inner : String(inner)
  }
  try {
    return JSON.stringify(value, shown) ?? 'null'
  } catch {
    return TOO_DEEP // thousands of lists inside each other
  }
}

function textOf(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  if (JSON.isRawJSON(value)) return value.rawJSON
  return typeof value === 'number' ? String(value) : jsonText(name, value)
}

/**
 * Flattens configuration into params: nested objects join with `/`, lists stay JSON text, secrets are redacted.
 * `leaveOut` tells which names at the top are none.
 */
export function* flattenParams(
  fields: Fields,
  leaveOut: (name: string) => boolean,
): Generator<[name: string, text: string]> {
  const stack: { name: string; value: unknown; depth: number }[] = Object.keys(fields)
    .filter((name) => !leaveOut(name))
    .map((name) => ({ name, value: fields[name], depth: 1 }))
    .toReversed()
  while (stack.length > 0) {
    const { name, value, depth } = stack.pop()!
    if (isFields(value) && !JSON.isRawJSON(value) && depth < MAX_DEPTH && Object.keys(value).length > 0) {
      for (const inner of Object.keys(value).toReversed()) {
        stack.push({ name: `${name}/${inner}`, value: value[inner], depth: depth + 1 })
      }
      continue
    }
    const text = depth < MAX_DEPTH ? textOf(name, value) : TOO_DEEP
    yield [name, withoutSecrets(name, text)]
  }
}
