import { numberOf } from '../../chart/drawn.ts'
import type { LivePoints, SeriesSummary } from '../../web/api.ts'

/**
 * Adds what came live to the short accounts of series, by key. What an account counts already, because it was asked for
 * after these points had come, is not counted again. @returns whether series joined, and whether one is not known at all
 */
export function addToSeries(
  known: Map<string, SeriesSummary>,
  { series, added }: Pick<LivePoints, 'series' | 'added'>,
): { isNew: boolean; isMissing: boolean } {
  const fresh = added.filter(({ key }) => !known.has(key))
  for (const one of fresh) known.set(one.key, one)
  let isMissing = false
  for (const { key, count, steps, times, values } of series) {
    const summary = known.get(key)
    if (summary === undefined) isMissing = true
    if (summary === undefined || count <= summary.count) continue
    for (const value of values.slice(-(count - summary.count)).map(numberOf)) {
      if (Number.isNaN(value)) summary.nan++
      else if (!Number.isFinite(value)) summary.infinite++
      else {
        summary.min = Math.min(summary.min ?? value, value)
        summary.max = Math.max(summary.max ?? value, value)
      }
    }
    summary.count = count
    summary.last = { step: steps.at(-1)!, time: times.at(-1)!, value: values.at(-1)! }
  }
  return { isNew: fresh.length > 0, isMissing }
}
