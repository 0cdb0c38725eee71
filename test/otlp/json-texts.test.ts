import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isDeeperThan } from '../../src/otlp/json-texts.ts'

const depthOf = (json: unknown): number =>
  typeof json === 'object' && json !== null
    ? 1 + Math.max(0, ...Object.values(json as Record<string, unknown>).map(depthOf))
    : 0

it('the depth of JSON is that of its lists and objects, whatever its texts hold', () => {
  const texts = fc.string({ unit: fc.constantFrom('[', ']', '{', '}', '"', '\\', 'a') })
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 6 },
      texts,
      fc.integer(),
      fc.array(tie('json'), { maxLength: 3 }),
      fc.dictionary(texts, tie('json'), { maxKeys: 3 }),
    ),
  }))
  fc.assert(
    fc.property(json, fc.boolean(), (value, isSpaced) => {
      const text = JSON.stringify(value, null, isSpaced ? 2 : 0)
      const depth = depthOf(value)
      expect([isDeeperThan(text, depth), depth > 0 && isDeeperThan(text, depth - 1)]).toEqual([false, depth > 0])
    }),
  )
})

it('a text that does not end hides what is behind it', () => {
  expect([isDeeperThan('["[[[', 1), isDeeperThan('["\\\\"[[', 2)]).toEqual([false, true])
})
