import type { StepsPage } from '../web/api.ts'
import type { Pieces } from './pieces.ts'

export interface StepsQuery {
  /** Steps, both included; absent: all. */
  from?: number
  to?: number
  /** Bars at most. */
  buckets: number
}

/** How long one span took but for the spans inside it, and at which step. */
export interface Duration {
  name: string
  step: number
  ms: number
}

/** Names with bars of their own; those that took less are one, however many a trainer makes up. */
const MOST_NAMES = 100

/** Spans that are added up between two chances for others. */
const A_PIECE = 10_000

/** Milliseconds by step, of each name; and all steps. */
interface Sums {
  byName: Map<string, Map<number, number>>
  steps: Set<number>
}

/** Time spent in spans of each name, mean per step that has any, in up to `buckets` ranges of steps. */
export function* readSteps(
  durations: readonly Duration[],
  { from = -Infinity, to = Infinity, buckets }: StepsQuery,
): Pieces<Omit<StepsPage, 'counted' | 'total'>> {
  const { byName, steps: all } = yield* sumsOf(durations, from, to)
  if (all.size === 0) return { steps: [], width: 1, names: [], others: null }
  const steps = [...all].sort((a, b) => a - b)
  yield
  // As many steps that have spans in each bar: steps may lie thousands apart.
  const perBar = Math.ceil(steps.length / buckets)
  const bars = Math.ceil(steps.length / perBar)
  const barOf = new Map(steps.map((step, i) => [step, Math.floor(i / perBar)]))
  const sizes = Array.from({ length: bars }, (_, bar) => Math.min(perBar, steps.length - bar * perBar))
  const ranked: { name: string; bySteps: ReadonlyMap<number, number>; total: number }[] = []
  for (const [name, bySteps] of byName) {
    yield
    let total = 0
    for (const [step, sum] of bySteps) total += sum / sizes[barOf.get(step)!]!
    ranked.push({ name, bySteps, total })
  }
  ranked.sort((a, b) => b.total - a.total)
  const meansOf = function* (of: typeof ranked): Pieces<number[]> {
    const sums = Array.from({ length: bars }, () => 0)
    for (const { bySteps } of of) {
      yield
      for (const [step, sum] of bySteps) sums[barOf.get(step)!]! += sum
    }
    return sums.map((sum, bar) => sum / sizes[bar]!)
  }
  const names: StepsPage['names'] = []
  for (const one of ranked.slice(0, MOST_NAMES)) names.push({ name: one.name, ms: yield* meansOf([one]) })
  const rest = ranked.slice(MOST_NAMES)
  const others = rest.length === 0 ? null : { count: rest.length, ms: yield* meansOf(rest) }
  return { steps: sizes.map((_, bar) => steps[bar * perBar]!), width: perBar, names, others }
}

function* sumsOf(durations: readonly Duration[], from: number, to: number): Pieces<Sums> {
  const sums: Sums = { byName: new Map(), steps: new Set() }
  for (const [i, { name, step, ms }] of durations.entries()) {
    if (i % A_PIECE === A_PIECE - 1) yield
    if (step < from || step > to || !Number.isFinite(ms)) continue
    let bySteps = sums.byName.get(name)
    if (bySteps === undefined) sums.byName.set(name, (bySteps = new Map()))
    bySteps.set(step, (bySteps.get(step) ?? 0) + ms)
    sums.steps.add(step)
  }
  return sums
}
