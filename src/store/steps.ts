import type { StepsPage } from '../web/api.ts'

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

/** Time spent in spans of each name, mean per step that has any, in up to `buckets` ranges of steps. */
export function readSteps(
  durations: Iterable<Duration>,
  { from = -Infinity, to = Infinity, buckets }: StepsQuery,
): Omit<StepsPage, 'counted' | 'total'> {
  const byName = new Map<string, Map<number, number>>()
  const all = new Set<number>()
  for (const { name, step, ms } of durations) {
    if (step < from || step > to || !Number.isFinite(ms)) continue
    let bySteps = byName.get(name)
    if (bySteps === undefined) byName.set(name, (bySteps = new Map()))
    bySteps.set(step, (bySteps.get(step) ?? 0) + ms)
    all.add(step)
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
