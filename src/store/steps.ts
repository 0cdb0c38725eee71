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
  if (all.size === 0) return { steps: [], width: 1, names: [] }
  const steps = [...all].sort((a, b) => a - b)
  yield
  // As many steps that have spans in each bar: steps may lie thousands apart.
  const perBar = Math.ceil(steps.length / buckets)
  const bars = Math.ceil(steps.length / perBar)
  const barOf = new Map(steps.map((step, i) => [step, Math.floor(i / perBar)]))
  const sizes = Array.from({ length: bars }, (_, bar) => Math.min(perBar, steps.length - bar * perBar))
  const names: { name: string; ms: number[]; total: number }[] = []
  for (const [name, bySteps] of byName) {
    yield
    const sums = Array.from({ length: bars }, () => 0)
    for (const [step, sum] of bySteps) sums[barOf.get(step)!]! += sum
    const ms = sums.map((sum, bar) => sum / sizes[bar]!)
    names.push({ name, ms, total: ms.reduce((a, b) => a + b, 0) })
  }
  names.sort((a, b) => b.total - a.total)
  return {
    steps: sizes.map((_, bar) => steps[bar * perBar]!),
    width: perBar,
    names: names.map(({ name, ms }) => ({ name, ms })),
  }
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
