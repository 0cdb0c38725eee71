import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { idText, KnownSpans, putIds } from '../../src/layer/known.ts'

const ids = new Int32Array(8)
const hex = (n: number, bytes: number): string => (n === 0 ? '' : n.toString(16).padStart(bytes * 2, '0'))

/** Puts the ids of span `own` of one trace. */
const put = (own: number, parent = 0): void => putIds(ids, hex(1, 16), hex(own, 8), hex(parent, 8))

describe('the newest spans', () => {
  it('are known, as many as asked for, and no older one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.integer({ min: 1, max: 30 })), (size, spans) => {
        const known = new KnownSpans(size)
        const added: number[] = []
        for (const span of spans) {
          const newest = added.slice(-size)
          put(span)
          expect(known.add(ids, 0)).toBe(!newest.includes(span))
          if (!newest.includes(span)) added.push(span)
        }
      }),
    )
  })

  it('are known while there are more and more, and when they have gone round several times', () => {
    const known = new KnownSpans(5_000)
    for (let span = 1; span <= 23_000; span += 1) {
      put(span)
      known.add(ids, 0)
      known.tell({ shared: { category: 'ACTOR' }, number: 'step' }, span)
    }
    for (let span = 17_000; span <= 23_000; span += 1) {
      put(span)
      known.ask(ids, 0, 4)
      expect(known.told).toEqual(span > 18_000 ? [{ category: 'ACTOR', step: span }] : [])
      expect(known.isMissing).toBe(span <= 18_000)
    }
  })

  it('are found in the same time when only the last words of their trace ids differ', () => {
    const known = new KnownSpans(100_000)
    const from = performance.now()
    for (let trace = 1; trace <= 60_000; trace += 1) {
      putIds(ids, hex(trace, 16), hex(1, 8), '')
      known.add(ids, 0)
    }
    expect(performance.now() - from).toBeLessThan(1500)
  })

  it('tell what they and those around them tell, innermost first, up to the one that is missing', () => {
    const known = new KnownSpans(10)
    put(2, 1)
    known.add(ids, 0)
    known.tell({ shared: { step: 2 }, number: null })
    put(3, 2)
    known.add(ids, 0)
    put(4, 3)
    known.add(ids, 0)
    known.tell({ shared: {}, number: 'update' }, 4)
    put(4)
    known.ask(ids, 0, 4)
    expect(known.told).toEqual([{ update: 4 }, { step: 2 }])
    put(1)
    expect([known.isMissing, idText(known.missing, 0)]).toEqual([true, idText(ids, 0)])
  })

  it('tell the same whoever asked before, whatever their parents are', () => {
    const span = fc.record({ parent: fc.integer({ min: 0, max: 9 }), tells: fc.boolean() })
    const asks = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(fc.array(span, { maxLength: 8 }), asks, (spans, all) => {
        const known = new KnownSpans(20)
        for (const [i, { parent, tells }] of spans.entries()) {
          put(i + 1, parent)
          known.add(ids, 0)
          known.tell(tells ? { shared: { step: i + 1 }, number: null } : null)
        }
        for (const asked of all) {
          const told: { step: number }[] = []
          const passed = new Set<number>()
          let own = asked
          for (; spans[own - 1] !== undefined && !passed.has(own); own = spans[own - 1]!.parent) {
            passed.add(own)
            if (spans[own - 1]!.tells) told.push({ step: own })
          }
          put(asked)
          known.ask(ids, 0, 4)
          expect([known.told, known.isMissing]).toEqual([told, own !== 0 && !passed.has(own)])
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('have an end where they go round in a circle', () => {
    const known = new KnownSpans(10)
    put(2, 3)
    known.add(ids, 0)
    put(3, 2)
    known.add(ids, 0)
    known.tell({ shared: { step: 3 }, number: null })
    put(2)
    known.ask(ids, 0, 4)
    expect([known.told, known.isMissing]).toEqual([[{ step: 3 }], false])
  })

  it('without a trace id, or none of their own, have nothing around them', () => {
    const known = new KnownSpans(10)
    putIds(ids, '', hex(1, 8), '')
    known.ask(ids, 0, 4)
    expect(known.isMissing).toBe(false)
    putIds(ids, hex(1, 16), '', '')
    known.ask(ids, 0, 4)
    expect(known.isMissing).toBe(false)
  })
})
