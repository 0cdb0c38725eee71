/** Where in a log the steps of one category stand. */
export interface Rhythm {
  /** Its steps, each once, in the order of the log. */
  steps: readonly number[]
  /** Updates that had begun when each of them did, itself included. */
  positions: readonly number[]
  /** Line of each, from 1. */
  lines: readonly number[]
}

/** What a rhythm lacks: how often, and the line of the last step before the first gap (null: there is none before it). */
export interface Gaps {
  count: number
  line: number | null
}

/** What a category lacks that should come in each of `updates`. Where it lacks one is told by its own steps. */
export function missingUpdates({ steps, lines }: Rhythm, updates: number): Gaps {
  const gaps = steps.slice(1).map((step, i) => step - steps[i]!)
  const usual = mostCommon(gaps)
  const at = usual === null ? -1 : gaps.findIndex((gap) => gap > usual)
  return { count: updates - steps.length, line: lines.at(at < 0 ? -1 : at) ?? null }
}

/** The usual distance of a category's steps in updates, or null where they are too few to tell. */
export const usualDistance = ({ positions }: Rhythm): number | null =>
  mostCommon(
    positions
      .slice(1)
      .map((position, i) => position - positions[i]!)
      .filter((gap) => gap > 0),
  )

/**
 * What a category lacks that should come every `distance` updates, the first time within as many from the beginning.
 * Positions may be off by one, as categories of one update come in any order.
 */
export function missingAtDistance({ positions, lines }: Rhythm, updates: number, distance: number): Gaps {
  let count = 0
  let line: number | null = null
  for (let i = 0; i <= positions.length; i += 1) {
    const from = i === 0 ? 0 : positions[i - 1]!
    const isEnd = i === positions.length
    const gap = (isEnd ? updates : positions[i]!) - from
    // What is due in the last update may still come.
    const missing = isEnd
      ? Math.floor((gap - 1) / distance)
      : (i === 0 ? Math.ceil(gap / distance) : Math.round(gap / distance)) - 1
    if (missing <= 0) continue
    if (count === 0) line = i === 0 ? null : lines[i - 1]!
    count += missing
  }
  return { count, line }
}

function mostCommon(values: readonly number[]): number | null {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  const [best] = [...counts].sort(([a, m], [b, n]) => n - m || a - b)
  return best?.[0] ?? null
}
