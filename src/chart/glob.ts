/** Tells which keys a filter lets through, or what is wrong with it. */
export interface Filter {
  matches: (...texts: readonly string[]) => boolean
  error: string | null
}

const all: Filter = { matches: () => true, error: null }
const escaped = (text: string): string => text.replace(/[.+^${}()|[\]\\]/g, '\\$&')

/** `*` is any text, `?` one letter; a pattern without either may stand anywhere in the key. */
function globToExpression(glob: string): RegExp {
  const body = escaped(glob).replaceAll('*', '.*').replaceAll('?', '.')
  return new RegExp(/[*?]/.test(glob) ? `^${body}$` : body, 'iu')
}

/** `loss`, `trainer/*`, several with spaces or commas between (any may match), or `/regular expression/`. */
export function parseFilter(text: string): Filter {
  const trimmed = text.trim()
  if (trimmed === '') return all
  const expression = /^\/(.*)\/([a-z]*)$/su.exec(trimmed)
  try {
    const patterns = expression
      ? [new RegExp(expression[1] ?? '', expression[2] === '' ? 'i' : expression[2])]
      : trimmed
          .split(/[\s,]+/u)
          .filter(Boolean)
          .map(globToExpression)
    return { matches: (...texts) => patterns.some((pattern) => texts.some((one) => pattern.test(one))), error: null }
  } catch (error) {
    return { ...all, error: (error as Error).message }
  }
}
