import { compareValues, STATE, type PointColumns } from './columns.ts'
import { noCounts, type Counts } from './counts.ts'

/** What two sets of points have in common, with the first difference in words. */
export interface PointComparison {
  counts: Counts
  first: string | null
}

/**
 * Compares the points of one metric, in the journal and at the tracker, as sets. Within one step and time a value that
 * is missing and one that was not sent are one point that is `different`, as far as they pair. What is pending or was
 * rejected may be there or not.
 */
export function comparePoints(inJournal: PointColumns, atTracker: PointColumns, tellsAdded: boolean): PointComparison {
  const ours = inJournal.distinct()
  const theirs = atTracker.distinct()
  const counts = noCounts()
  let first: string | null = null
  for (let i = 0, j = 0; i < ours.count || j < theirs.count;) {
    const place = placeOf(ours, i, theirs, j)
    const ends = { i: endOf(ours, i, place), j: endOf(theirs, j, place) }
    const { missing, added } = compareValuesAt({ ours, theirs, from: { i, j }, ends, counts })
    const different = Math.min(missing.length, added.length)
    counts.different += different
    counts.missing += missing.length - different
    if (tellsAdded) counts.added += added.length - different
    if (missing.length > 0 || (tellsAdded && added.length > 0)) first ??= describe(place, missing, added)
    i = ends.i
    j = ends.j
  }
  counts.journal = ours.count
  counts.repeated = inJournal.count - ours.count
  return { counts, first }
}

interface Place {
  time: number
  step: number
}

/** The lower place of the next row of each. */
function placeOf(ours: PointColumns, i: number, theirs: PointColumns, j: number): Place {
  const a = { time: ours.time[i]!, step: ours.step[i]! }
  const b = { time: theirs.time[j]!, step: theirs.step[j]! }
  if (i >= ours.count) return b
  if (j >= theirs.count) return a
  return (a.time - b.time || a.step - b.step) <= 0 ? a : b
}

/** Behind the last row of this place. */
function endOf(points: PointColumns, from: number, { time, step }: Place): number {
  let end = from
  while (end < points.count && points.time[end] === time && points.step[end] === step) end += 1
  return end
}

interface OnePlace {
  ours: PointColumns
  theirs: PointColumns
  from: { i: number; j: number }
  ends: { i: number; j: number }
  counts: Counts
}

/** Counts what needs no pairing; gives back the values that only one side has. */
function compareValuesAt({ ours, theirs, from, ends, counts }: OnePlace): { missing: number[]; added: number[] } {
  const missing: number[] = []
  const added: number[] = []
  let { i, j } = from
  while (i < ends.i || j < ends.j) {
    const order = i === ends.i ? 1 : j === ends.j ? -1 : compareValues(ours.value[i]!, theirs.value[j]!)
    if (order > 0) added.push(theirs.value[j]!)
    else if (ours.state[i] === STATE.rejected) counts.rejected += 1
    else if (ours.state[i] === STATE.pending) counts.pending += 1
    else if (order === 0) counts.equal += 1
    else missing.push(ours.value[i]!)
    if (order <= 0) i += 1
    if (order >= 0) j += 1
  }
  return { missing, added }
}

function describe({ time, step }: Place, missing: readonly number[], added: readonly number[]): string {
  const at = `step ${step} at ${dateOf(time)}`
  const [wanted] = missing
  const [found] = added
  if (wanted === undefined) return `${at}: ${found} was never sent`
  return found === undefined ? `${at}: ${wanted} is not there` : `${at}: ${wanted} is ${found} there`
}

/** A time as ISO 8601, or as it is where no calendar reaches. */
export function dateOf(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}
