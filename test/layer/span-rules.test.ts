import { describe, expect, it } from 'vitest'
import { compileRules } from '../../src/layer/rules.ts'
import { toldOf } from '../../src/layer/span-rules.ts'
import { defaultLayer } from '../support/extract.ts'

const rules = compileRules(defaultLayer)

describe('what a span tells those inside it', () => {
  it('is kept as it is while it is short', () => {
    for (const value of ['TRAINER', ' Actor ', 'warm-up', 7, 2.5, true]) expect(toldOf(value, rules)).toBe(value)
  })

  it('names the same category when it is long, and takes the memory of a short one', () => {
    for (const text of [`${' '.repeat(1000)}trainer`, `evaluator${' '.repeat(1000)}`, 'x'.repeat(1_000_000)]) {
      const told = toldOf(text, rules)
      expect(String(told).length).toBeLessThan(10)
      expect(typeof told === 'string' ? rules.prefixOf(told) : rules.defaultPrefix).toBe(rules.prefixOf(text))
    }
  })

  it('is only that it is there where it is a list, a map or bytes', () => {
    for (const value of [['TRAINER'], { step: 1 }, new Uint8Array(1000), null]) expect(toldOf(value, rules)).toBe(null)
  })
})
