import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_NAMES, Names, SPAN_START } from '../../src/otlp/names.ts'

/** The number of a text between other bytes. */
function numberOf(names: Names, text: string | Buffer): number {
  const bytes = Buffer.concat([Buffer.from('abcd'), Buffer.from(text), Buffer.from('efgh')])
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return names.find(bytes, view, 4, bytes.length - 4)
}

describe('names', () => {
  it('have one number each, and the same when they come again', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string({ maxLength: 70 }), fc.string({ unit: 'binary', maxLength: 20 }))),
        (texts) => {
          const names = new Names()
          const numbers = texts.map((text) => numberOf(names, text))
          for (const [i, text] of texts.entries()) {
            if (numbers[i]! >= 0) expect(names.texts[numbers[i]!]).toBe(text)
            for (const [j, other] of texts.entries())
              if (numbers[i]! >= 0) expect(numbers[i] === numbers[j]).toBe(text === other)
            expect(numberOf(names, text)).toBe(numbers[i])
          }
        },
      ),
    )
  })

  it('have none when they are empty, long, an index of an object, or no UTF-8', () => {
    const names = new Names()
    const none = ['', 'n'.repeat(57), '0', '17', '\uFFFD', Buffer.from([0xff]), Buffer.from([0x61, 0xc3])]
    expect(none.map((text) => numberOf(names, text))).toEqual(none.map(() => -1))
    expect(numberOf(names, 'n'.repeat(56))).toBeGreaterThan(0)
  })

  it('are never what begins a list, whatever bytes a long one has', () => {
    const names = new Names()
    // What `Names` keeps of the names that are known from the start, one word after the other.
    const bytes = Buffer.alloc(256)
    for (const [text, at] of [
      ['    ', 0],
      ['    ', 14],
      ['busy_ns', 28],
      ['idle_ns', 42],
      ['level', 56],
    ] as const) {
      bytes.write(text.slice(0, 4), at * 4)
      bytes.write(text.slice(-4), at * 4 + (text.length > 4 ? 4 : 0))
    }
    const long = Buffer.concat([bytes.subarray(0, 248), Buffer.alloc(7)])
    const view = new DataView(long.buffer, long.byteOffset, long.byteLength)
    expect(long.length).toBe(255)
    expect(names.isSame(SPAN_START, view, 0, 255)).toBe(false)
  })

  it('beyond a limit have none, and the others keep theirs', () => {
    const names = new Names()
    const first = numberOf(names, 'layer/1/weight')
    for (let i = 2; i < MAX_NAMES + 10; i += 1) numberOf(names, `layer/${i}/weight`)
    expect([names.count, names.isFull]).toEqual([MAX_NAMES, true])
    expect(numberOf(names, 'layer/1/weight')).toBe(first)
    expect(numberOf(names, 'one more')).toBe(-1)
  })
})
