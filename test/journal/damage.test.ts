import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesIn, commandIn, countIn, DamagedJournal, targetIn, textIn } from '../../src/journal/damage.ts'

/** What was read, or how it is damaged. */
function read(get: () => unknown): unknown {
  try {
    return get()
  } catch (error) {
    if (!(error instanceof DamagedJournal)) throw error
    return error.message
  }
}

const damaged = (words: string): string => `/x.sqlite is damaged: ${words}`

describe('what is read of a journal', () => {
  it('is a count when it is a whole number from 0 on, and nothing else', () => {
    for (const count of [0, 1, Number.MAX_SAFE_INTEGER]) expect(countIn('/x.sqlite', 'points', count)).toBe(count)
    for (const [value, got] of [
      [-1, '-1'],
      [0.5, '0.5'],
      [Number.MAX_SAFE_INTEGER + 1, '9007199254740992'],
      [Number.NaN, 'NaN'],
      ['3', '3'],
      [3n, '3'],
      [null, 'null'],
    ] as const)
      expect(read(() => countIn('/x.sqlite', 'points', value))).toBe(damaged(`expected a count as points, got ${got}`))
  })

  it('is bytes when it is a blob', () => {
    const bytes = Uint8Array.of(1, 2)
    expect(bytesIn('/x.sqlite', 'a span', bytes)).toBe(bytes)
    expect(read(() => bytesIn('/x.sqlite', 'a span', null))).toBe(damaged('expected bytes as a span, got nothing'))
    expect(read(() => bytesIn('/x.sqlite', 'a span', 'ab'))).toBe(damaged('expected bytes as a span, got string'))
  })

  it('is a text when it is one', () => {
    expect(textIn('/x.sqlite', 'a key', '')).toBe('')
    expect(read(() => textIn('/x.sqlite', 'a key', null))).toBe(damaged('expected a text as a key, got nothing'))
    expect(read(() => textIn('/x.sqlite', 'a key', 7))).toBe(damaged('expected a text as a key, got number'))
  })

  it('is a command when it is a list of words', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        expect(commandIn('/x.sqlite', JSON.stringify(words))).toEqual(words)
      }),
    )
    for (const json of ['', '{', 'null', '{}', '"ls"', '[1]', '["ls",1]', '["ls",null]'])
      expect(read(() => commandIn('/x.sqlite', json))).toBe(damaged('expected a list of words as its command'))
  })

  it('is a target when it is an object of texts, some of which may be absent', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.option(fc.string())), (target) => {
        expect(targetIn('/x.sqlite', JSON.stringify(target))).toEqual(JSON.parse(JSON.stringify(target)))
      }),
    )
    for (const json of [null, 7, '', '{', 'null', '"x"', '1', '{"a":1}', '{"a":"x","b":{}}', Uint8Array.of(123, 125)])
      expect(read(() => targetIn('/x.sqlite', json))).toBe(
        damaged('expected names with texts as the target of a destination'),
      )
  })
})
