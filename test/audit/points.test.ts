import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PointColumns, STATE, type State } from '../../src/audit/columns.ts'
import { comparePoints } from '../../src/audit/points.ts'

type Row = [time: number, step: number, value: number, state: State]

const columns = (rows: readonly Row[]): PointColumns => {
  const points = new PointColumns(1)
  for (const row of rows) points.push(...row)
  return points
}
const distinct = (rows: readonly Row[]): number => new Set(rows.map((row) => String(row.slice(0, 3)))).size

/** So few times, steps and values that rows often meet. */
const rows = (...states: State[]): fc.Arbitrary<Row[]> =>
  fc.array(
    fc.tuple(
      fc.constantFrom(0, 1, 2),
      fc.constantFrom(-1, 0, 5),
      fc.constantFrom(Number.NaN, -Number.MAX_VALUE, 0, 0.5, 1e300),
      fc.constantFrom(...states),
    ),
    { maxLength: 30 },
  )

it('every distinct row of either side is counted once, whatever the rows are', () => {
  fc.assert(
    fc.property(rows(STATE.delivered), rows(STATE.delivered), (ours, theirs) => {
      const { counts, first } = comparePoints(columns(ours), columns(theirs), true)
      expect(counts.equal + counts.missing + counts.different).toBe(distinct(ours))
      expect(counts.equal + counts.different + counts.added).toBe(distinct(theirs))
      expect([counts.journal, counts.journal + counts.repeated]).toEqual([distinct(ours), ours.length])
      expect(first === null).toBe(counts.missing + counts.different + counts.added === 0)
      const inBoth = new Set(ours.map((row) => String(row.slice(0, 3))))
      const shared = theirs.filter((row) => inBoth.has(String(row.slice(0, 3))))
      expect(counts.equal).toBe(distinct(shared))
    }),
  )
})

it('what is pending or rejected is neither missing nor added, be it there or not', () => {
  const states = [STATE.delivered, STATE.rejected, STATE.pending]
  fc.assert(
    fc.property(rows(...states), rows(STATE.delivered), (ours, theirs) => {
      const { counts } = comparePoints(columns(ours), columns(theirs), true)
      const { journal, equal, missing, different, added, rejected, pending } = counts
      expect(equal + missing + different + rejected + pending).toBe(journal)
      expect(journal).toBe(distinct(ours))
      const delivered = ours.filter(([, , , state]) => state === STATE.delivered)
      expect(equal + missing + different).toBe(distinct(delivered))
      const known = new Set(ours.map((row) => String(row.slice(0, 3))))
      const foreign = theirs.filter((row) => !known.has(String(row.slice(0, 3))))
      expect(different + added).toBe(distinct(foreign))
    }),
  )
})

it('the order of the rows does not matter', () => {
  fc.assert(
    fc.property(rows(STATE.delivered, STATE.pending), rows(STATE.delivered), (ours, theirs) => {
      const straight = comparePoints(columns(ours), columns(theirs), true)
      const turned = comparePoints(columns(ours.toReversed()), columns(theirs.toReversed()), true)
      expect(turned).toEqual(straight)
    }),
  )
})

it('a value that was altered is one different point, and named', () => {
  const ours = columns([
    [1000, 1, 0.5, STATE.delivered],
    [2000, 2, Number.NaN, STATE.delivered],
  ])
  const theirs = columns([
    [1000, 1, 0.75, STATE.delivered],
    [2000, 2, Number.NaN, STATE.delivered],
  ])
  const { counts, first } = comparePoints(ours, theirs, true)
  expect(counts).toMatchObject({ equal: 1, different: 1, missing: 0, added: 0 })
  expect(first).toBe('step 1 at 1970-01-01T00:00:01.000Z: 0.5 is 0.75 there')
})

it('what only the tracker has is no difference where others may write', () => {
  const { counts, first } = comparePoints(columns([]), columns([[1, 1, 1, STATE.delivered]]), false)
  expect([counts.added, first]).toEqual([0, null])
})
