/** Number of insertions, deletions and replacements between two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

/** `; did you mean X?` when one of `known` is near, else nothing. */
export function nearest(word: string, known: readonly string[]): string {
  const [best] = known.map((name) => ({ name, far: distance(word, name) })).sort((a, b) => a.far - b.far)
  return best !== undefined && best.far <= Math.max(2, word.length / 4) ? `; did you mean ${best.name}?` : ''
}

/** Up to `n` of `known`, the most alike first; those that hold the word before all others. */
export function nearestOf(word: string, known: readonly string[], n: number): string[] {
  const rank = (name: string): number => (name.toLowerCase().includes(word.toLowerCase()) ? 0 : distance(word, name))
  return known
    .map((name) => ({ name, far: rank(name) }))
    .sort((a, b) => a.far - b.far)
    .slice(0, n)
    .map(({ name }) => name)
}
