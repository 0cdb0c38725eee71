import type { StoredPoints } from '../journal/blocks.ts'
import type { StepsPage } from '../web/api.ts'

export interface StepsQuery {
  /** Steps, both included; absent: all. */
  from?: number
  to?: number
  /** Bars at most. */
  buckets: number
}

/** The metric that each span gives: `CATEGORY/span/NAME/duration_ms`. */
const SPAN_DURATION = /(?:^|\/)span\/(.+)\/duration_ms$/

/** Time spent in spans of each name, mean per step that has any, in up to `buckets` ranges of steps. */
export function readSteps(
  keys: readonly string[],
  blocks: Iterable<StoredPoints>,
  { from = -Infinity, to = Infinity, buckets }: StepsQuery,
): StepsPage {
  const nameOf = keys.map((key) => SPAN_DURATION.exec(key)?.[1])
  const byName = new Map<string, Map<number, number>>()
  const all = new Set<number>()
  for (const { count, series, step, value } of blocks) {
    for (let i = 0; i < count; i += 1) {
      const name = nameOf[series[i]!]
      const s = step[i]!
      if (name === undefined || s < from || s > to || !Number.isFinite(value[i]!)) continue
      let bySteps = byName.get(name)
      if (bySteps === undefined) byName.set(name, (bySteps = new Map()))
      bySteps.set(s, (bySteps.get(s) ?? 0) + value[i]!)
      all.add(s)
    }
  }
  if (all.size === 0) return { steps: [], width: 1, names: [] }
  const steps = [...all].sort((a, b) => a - b)
  // As many steps that have spans in each bar: steps may lie thousands apart.
  const perBar = Math.ceil(steps.length / buckets)
  const bars = Math.ceil(steps.length / perBar)
  const barOf = new Map(steps.map((step, i) => [step, Math.floor(i / perBar)]))
  const sizes = Array.from({ length: bars }, (_, bar) => Math.min(perBar, steps.length - bar * perBar))
  const names = [...byName].map(([name, bySteps]) => {
    const ms = Array.from({ length: bars }, () => 0)
    for (const [step, sum] of bySteps) ms[barOf.get(step)!]! += sum
    return { name, ms: ms.map((sum, bar) => sum / sizes[bar]!) }
  })
  const total = (ms: readonly number[]): number => ms.reduce((a, b) => a + b, 0)
  names.sort((a, b) => total(b.ms) - total(a.ms))
  return { steps: sizes.map((_, bar) => steps[bar * perBar]!), width: perBar, names }
}
