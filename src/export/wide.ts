import type { StoredPoints } from '../journal/blocks.ts'
import type { RunHistory } from '../store/history.ts'
import type { Batch, Cell, Table } from './table.ts'

/** Points of a stretch of steps whose rows are put together in memory at once. */
const MOST = 50_000

/** Parts of the range of steps in which points are counted. */
const PARTS = 1 << 16

interface Covered {
  first: number
  least: number
  greatest: number
}

/**
 * A row for each step, in order, and a column for each key: its last value at that step. Keys write the same step at
 * different times, so the journal is read three times: for the range of steps, for how many points lie where, and stretch
 * by stretch for the rows, each time only what may hold points of the stretch.
 */
export function wideTable(history: RunHistory, isMeant: (key: string) => boolean, upTo: number): Table {
  const wanted = history.keys.map(isMeant)
  const hasPoints = wanted.map(() => false)
  const covered: Covered[] = []
  for (const block of history.blocks()) {
    if (block.first > upTo) break
    const of = { first: block.first, least: Infinity, greatest: -Infinity }
    for (const [i, id] of points(block, wanted, upTo)) {
      hasPoints[id] = true
      of.least = Math.min(of.least, block.step[i]!)
      of.greatest = Math.max(of.greatest, block.step[i]!)
    }
    if (of.least <= of.greatest) covered.push(of)
  }
  const ids = [...hasPoints.keys()].filter((id) => hasPoints[id])
  return {
    columns: [
      { name: 'step', type: 'integer' },
      ...ids.map((id) => ({ name: history.keyOf(id), type: 'number' as const })),
    ],
    batches: wideBatches(history, ids, { wanted, covered, upTo }),
  }
}

interface Meant {
  wanted: readonly boolean[]
  covered: readonly Covered[]
  upTo: number
}

function* wideBatches(history: RunHistory, ids: readonly number[], meant: Meant): Generator<Batch> {
  const placeOf = new Map(ids.map((id, place) => [id, place + 1]))
  for (const { from, to } of stretchesOf(history, meant)) {
    const rows = new Map<number, Map<number, number>>()
    for (const block of within(history, meant.covered, from, to)) {
      for (const [i, id] of points(block, meant.wanted, meant.upTo)) {
        const step = block.step[i]!
        if (step < from || step >= to) continue
        const row = rows.get(step) ?? new Map<number, number>()
        rows.set(step, row.set(placeOf.get(id)!, block.value[i]!))
      }
    }
    const steps = [...rows.keys()].sort((a, b) => a - b)
    const column = (place: number): Cell[] => steps.map((step) => rows.get(step)!.get(place) ?? null)
    yield { count: steps.length, columns: [steps, ...ids.map((_, i) => column(i + 1))] }
  }
}

/** Stretches of steps, `to` not included, with few enough points each, unless one step has more. */
function* stretchesOf(history: RunHistory, { wanted, covered, upTo }: Meant): Generator<{ from: number; to: number }> {
  const least = covered.reduce((n, of) => Math.min(n, of.least), Infinity)
  const greatest = covered.reduce((n, of) => Math.max(n, of.greatest), -Infinity)
  if (covered.length === 0) return
  const width = Math.max(1, Math.ceil((greatest - least + 1) / PARTS))
  const counts = new Float64Array(Math.ceil((greatest - least + 1) / width))
  for (const block of within(history, covered, least, Infinity))
    for (const [i] of points(block, wanted, upTo)) counts[Math.floor((block.step[i]! - least) / width)]! += 1
  let from = least
  let sum = 0
  for (const [part, count] of counts.entries()) {
    const at = least + part * width
    if (sum > 0 && sum + count > MOST) {
      yield { from, to: at }
      from = at
      sum = 0
    }
    sum += count
  }
  yield { from, to: Infinity }
}

function* within(history: RunHistory, covered: readonly Covered[], from: number, to: number): Generator<StoredPoints> {
  for (const { first, least, greatest } of covered) {
    if (greatest < from || least >= to) continue
    const { value: block } = history.blocks(first - 1).next()
    // It may have been dropped since.
    if (block?.first === first) yield block
  }
}

/** Place and series of each point that is meant. */
function* points(block: StoredPoints, wanted: readonly boolean[], upTo: number): Generator<[number, number]> {
  for (let i = 0; i < block.count && block.first + i <= upTo; i += 1) {
    const id = block.series[i]!
    if (wanted[id] === true) yield [i, id]
  }
}
