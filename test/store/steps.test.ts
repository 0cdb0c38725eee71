import { expect, it } from 'vitest'
import { whole } from '../../src/store/pieces.ts'
import { readSteps } from '../../src/store/steps.ts'

it('time per step is told of the hundred names that took longest, and of all others together', () => {
  const durations = Array.from({ length: 150 }, (_, i) => [
    { name: `op ${i}`, step: 1, ms: i },
    { name: `op ${i}`, step: 2, ms: 1 },
  ]).flat()
  const { steps, names, others } = whole(readSteps(durations, { buckets: 10 }))
  expect(steps).toEqual([1, 2])
  expect(names.length).toBe(100)
  expect(names.at(0)).toEqual({ name: 'op 149', ms: [149, 1] })
  expect(names.at(-1)).toEqual({ name: 'op 50', ms: [50, 1] })
  expect(others).toEqual({ count: 50, ms: [(49 * 50) / 2, 50] })
})

it('time per step of few names has no others', () => {
  const { names, others } = whole(readSteps([{ name: 'update', step: 1, ms: 5 }], { buckets: 10 }))
  expect([names, others]).toEqual([[{ name: 'update', ms: [5] }], null])
})
