/** Whether a name is chosen by patterns with `*` and `?`; those behind `!` leave out. Without any that chooses, all are. */
export function globs(patterns: readonly string[]): (name: string) => boolean {
  const chosen = patterns.filter((pattern) => !pattern.startsWith('!')).map(toExpression)
  const leftOut = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => toExpression(pattern.slice(1)))
  const isChosen = (name: string): boolean => chosen.length === 0 || chosen.some((expression) => expression.test(name))
  return (name) => isChosen(name) && !leftOut.some((expression) => expression.test(name))
}

const toExpression = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
    's',
  )
