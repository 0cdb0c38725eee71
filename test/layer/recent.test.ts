import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Recent } from '../../src/layer/recent.ts'

describe('the newest entries of a map that never ends', () => {
  it('are at least as many as asked for, each with the value set last, and never more than twice as many', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(30), { maxLength: 100 }), (size, keys) => {
        const recent = new Recent<number, number>(size)
        const written = new Map<number, number>()
        keys.forEach((key, at) => {
          recent.set(key, at)
          written.set(key, at)
          const newest = new Set(keys.slice(Math.max(0, at + 1 - size), at + 1))
          for (const one of newest) expect(recent.get(one)).toBe(written.get(one))
          const known = [...written.keys()].filter((one) => recent.has(one))
          expect(known.length).toBeLessThanOrEqual(2 * size)
          for (const one of known) expect(recent.get(one)).toBe(written.get(one))
        })
      }),
    )
  })
})
