import { createHash } from 'node:crypto'

/** Most characters (code points) of a metric, param or tag name. */
const MAX_KEY = 250

/** Characters that MLflow refuses: its rule is `^[/\w.\- :]*$`, and Python's `\w` is letters, digits and `_`. */
const REFUSED = /[^/\p{L}\p{N}_.\- :]/gu

/** Names must also be normal relative paths. */
const isNormalPath = (key: string): boolean =>
  key !== '' && !key.startsWith('..') && key.split('/').every((part) => part !== '' && part !== '.' && part !== '..')

const isAllowed = (key: string): boolean => key.search(REFUSED) < 0 && isNormalPath(key) && [...key].length <= MAX_KEY

/** Eight hexadecimal digits that tell two keys apart once their characters are alike. */
const shortHash = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 8)

/**
 * The name under which MLflow takes `key`: the same in NFC where it is allowed, else with `_` for every character that
 * is not, cut to size, and a short hash of the original behind it. (Rules: mlflow/utils/validation.py, checked against
 * a live server.)
 */
export function mlflowKey(key: string): string {
  const composed = key.normalize('NFC')
  if (isAllowed(composed)) return composed
  const parts = composed
    .replace(REFUSED, '_')
    .split('/')
    .map((part) => (part === '' ? '_' : /^\.\.?$/.test(part) ? part.replaceAll('.', '_') : part))
  const mapped = parts.join('/').replace(/^\.\./, '__')
  return `${[...mapped].slice(0, MAX_KEY - 9).join('')}_${shortHash(key)}`
}

/** Tag whose value is the original of a mapped key: it ends in the same hash. */
export const originalKeyTag = (original: string): string => `spanbridge.key.${shortHash(original)}`
