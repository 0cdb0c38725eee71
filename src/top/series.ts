import type { RunSummary, SeriesSummary } from '../web/api.ts'

/** Groups in the order of training; others stand between these and the last. */
const FIRST = ['trainer', 'actor', 'evaluator']
const LAST = 'misc'

const rankOf = (category: string): number => {
  const place = FIRST.indexOf(category)
  return place >= 0 ? place : category === LAST ? FIRST.length + 1 : FIRST.length
}

const isSpan = (key: string): boolean => /(^|\/)span\//.test(key)

/** Series group by group, how long spans took at the end of each. */
export const sortedSeries = (series: readonly SeriesSummary[]): SeriesSummary[] =>
  series.toSorted(
    (a, b) =>
      rankOf(a.category) - rankOf(b.category) ||
      a.category.localeCompare(b.category) ||
      Number(isSpan(a.key)) - Number(isSpan(b.key)) ||
      a.id - b.id,
  )

export function groupsOf(series: readonly SeriesSummary[]): { name: string; count: number }[] {
  const counts = new Map<string, number>()
  for (const { category } of series) counts.set(category, (counts.get(category) ?? 0) + 1)
  return [...counts].map(([name, count]) => ({ name, count }))
}

/** Labels; where two series have the same one, with their group. */
export function titlesOf(series: readonly SeriesSummary[]): (of: SeriesSummary) => string {
  const times = new Map<string, number>()
  for (const { label } of series) times.set(label, (times.get(label) ?? 0) + 1)
  return ({ label, category }) => (times.get(label)! > 1 && category !== '' ? `${label} · ${category}` : label)
}

/** A run with its last step and time as its series have them: the list of runs learns them later. */
export function withLast(run: RunSummary, series: readonly SeriesSummary[]): RunSummary {
  if (series.length === 0) return run
  const greatest = (of: (each: SeriesSummary) => number): number =>
    series.reduce((n, each) => Math.max(n, of(each)), -Infinity)
  return { ...run, lastStep: greatest(({ last }) => last.step), lastTime: greatest(({ last }) => last.time) }
}
