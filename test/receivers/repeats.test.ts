import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { Layer } from '../../src/layer/layer.ts'
import { readDecimal } from '../../src/receivers/lines/decimal.ts'
import { extract } from '../support/extract.ts'
import { lineFixtures } from '../support/fixtures.ts'

/** What `readDecimal` makes of a text: the number and where it ended; null where it is none. */
function decimalOf(text: string): { value: number; end: number } | null {
  const bytes = Buffer.from(`${text},`)
  const into = new Float64Array(1)
  const end = readDecimal(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, into, 0)
  return end < 0 ? null : { value: into[0]!, end }
}

const digits = (most: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: most }).map((all) => all.join(''))

/** Texts that are numbers of JSON, of up to 24 digits. */
const written = fc
  .record({
    sign: fc.constantFrom('', '-'),
    whole: fc.oneof(
      fc.constant('0'),
      digits(12).map((all) => all.replace(/^0+(?=\d)/, '')),
    ),
    fraction: fc.option(digits(24), { nil: null }),
    exponent: fc.option(
      fc.tuple(fc.constantFrom('e', 'E', 'e-', 'e+'), fc.integer({ min: 0, max: 400 })).map((it) => it.join('')),
      { nil: null },
    ),
  })
  .map(
    ({ sign, whole, fraction, exponent }) =>
      `${sign}${whole}${fraction === null ? '' : `.${fraction}`}${exponent ?? ''}`,
  )

/** The middle between two neighbouring doubles, where rounding is decided by the last digit, and the texts just beside it. */
const middles = fc
  .tuple(
    fc.bigInt({ min: 1n << 52n, max: (1n << 53n) - 1n }),
    fc.integer({ min: 0, max: 8 }),
    fc.constantFrom(-1n, 0n, 1n),
  )
  .map(([mantissa, power, beside]) => {
    const text = String((2n * mantissa + 1n) * 5n ** BigInt(power) + beside).padStart(power + 2, '0')
    return power === 0
      ? text.replace(/^0+/, '')
      : `${text.slice(0, -power).replace(/^0+(?=\d)/, '')}.${text.slice(-power)}`
  })

describe('a number that is read from bytes', () => {
  it('is the double that JSON.parse gives, to the last bit', () => {
    const numbers = fc.oneof(
      written,
      middles,
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((it) => JSON.stringify(it)),
    )
    fc.assert(
      fc.property(numbers, (text) => {
        expect(decimalOf(text)).toEqual({ value: JSON.parse(text), end: text.length })
      }),
      { numRuns: 20_000 },
    )
  })

  it.each(['', '-', '01', '-01', '1.', '.5', '1.e5', '1e', '1e+', '+1', 'NaN', 'x'])(
    'is none where JSON has none: %j',
    (text) => {
      expect(decimalOf(text)?.end).not.toBe(text.length)
    },
  )
})

const line = (step: number | string, loss: number | string, more = ''): string =>
  `{"timestamp":"2026-11-22T05:07:39.125Z","level":"INFO","fields":{"message":"update","category":"TRAINER","step":${step},"loss":${loss}${more}}}`

/** How often a text was parsed as JSON while `work` ran. */
function parsesDuring(work: () => void): number {
  const parse = vi.spyOn(JSON, 'parse')
  try {
    work()
    return parse.mock.calls.length
  } finally {
    parse.mockRestore()
  }
}

describe('a line whose layout was there before', () => {
  it('is not parsed', () => {
    const log = Array.from({ length: 100 }, (_, i) => line(i, i / 7)).join('\n')
    expect(parsesDuring(() => void extract(`${log}\n`))).toBe(1)
  })

  it('is not parsed either where thousands of layouts take turns', () => {
    const some = (from: number): string[] =>
      Array.from({ length: 150 }, (_, i) => line(from + i, 0.5, `,"key_${i}":${i / 3}`))
    const log = [...some(0), ...some(150), ...some(300)].join('\n')
    expect(parsesDuring(() => void extract(`${log}\n`))).toBe(150)
  })

  it('is not parsed where two pieces of input hold it', () => {
    const log = Buffer.from(`${Array.from({ length: 100 }, (_, i) => line(i, i / 7)).join('\n')}\n`)
    const cut = (bytes: Buffer): Buffer[] => [bytes.subarray(0, 5000), bytes.subarray(5000)]
    expect(parsesDuring(() => void extract(log, { cut }))).toBe(1)
  })

  // Each is written behind two lines of one layout.
  const others: Readonly<Record<string, string>> = {
    'a step that is no integer': line(2.5, 1),
    'a step beyond 2^53': line('9007199254740993', 1),
    'a value beyond 2^53': line(3, '18446744073709551615'),
    'a value that is a text': line(3, '"1"'),
    'a value that is null': line(3, 'null'),
    'a value that is an object': line(3, '{"a":1}'),
    'a value that is NaN': line(3, 'NaN'),
    'a field more': line(3, 1, ',"kl":2'),
    'a field that stands there twice': line(3, 1, ',"loss":2'),
    'another category': line(3, 1).replace('TRAINER', 'ACTOR'),
    'a message that makes it configuration': line(3, 1).replace('update', 'startup'),
    'a message with escapes': line(3, 1).replace('update', String.raw`up\"da\u0074e`),
    'a time that is none': line(3, 1).replace('2026-11-22T05:07:39.125Z', 'twelve seconds later'),
    'a time with another zone': line(3, 1).replace('39.125Z', '39.125+02:00'),
    'a time without a fraction': line(3, 1).replace('39.125Z', '40Z'),
    'an empty time': line(3, 1).replace('2026-11-22T05:07:39.125Z', ''),
    'a control character in a text': line(3, 1).replace('update', 'up\tdate'),
    'blanks between its parts': line(3, 1).replaceAll(':', ' : '),
    'a torn end': line(3, 1).slice(0, -2),
    'something behind it': `${line(3, 1)} `,
    'broken UTF-8': line(3, 1).replace('update', 'upd\xffate'),
    'a carriage return': `${line(3, 1)}\r`,
    'minus zero': line(3, '-0.0'),
  }
  it.each(Object.entries(others))('becomes what parsing makes of it with %s', (_, other) => {
    const log = Buffer.from(`${[line(1, 0.25), line(2, 0.5), other, line(4, 0.75), other].join('\n')}\n`, 'latin1')
    expect(extract(log)).toEqual(extract(log, { isParsed: true }))
  })

  it('becomes what parsing makes of it, in every recorded log', () => {
    for (const { bytes } of lineFixtures) expect(extract(bytes)).toEqual(extract(bytes, { isParsed: true }))
  })

  it('is told from one with an empty time, where times have no fraction', () => {
    const log = ['2026-11-22T05:07:40Z', '2026-11-22T05:07:41Z', '', '2026-11-22T05:07:41Z', '']
      .map((time, step) => `{"step":${step},"loss":2,"timestamp":"${time}"}\n`)
      .join('')
    expect(extract(log)).toEqual(extract(log, { isParsed: true }))
  })

  it('is told from one with a duration beyond 2^53, whose rounding is counted', () => {
    const log = ['0.35', '0.36', '-9007199254740993', '100000000000000000001']
      .map((time) => `{"timestamp":"2026-11-22T05:07:39.125Z","step":1,"time":${time}}\n`)
      .join('')
    expect(extract(log).counts['received.rounded_integers']).toBe(2)
    expect(extract(log)).toEqual(extract(log, { isParsed: true }))
  })

  it('is learned in a time that does not grow with the square of its blanks', () => {
    const blanks = ' '.repeat(300_000)
    const log = `{${blanks}"tags":[1],"step":1,"loss":2}\n{"step":1${blanks},"tags":[1],"loss":2}\n`
    const from = performance.now()
    extract(log)
    expect(performance.now() - from).toBeLessThan(2000)
  })

  const named = (name: string): string => `{"step":1,"name":"${name}","loss":2}`

  it('is learned seldom where most never come again', () => {
    const outline = vi.spyOn(Layer.prototype, 'outline')
    try {
      extract(Array.from({ length: 4000 }, (_, i) => `${line(1, 0.5)}\n${named(`episode ${i}`)}\n`).join(''))
      expect(outline.mock.calls.length).toBeLessThan(256 + 8000 / 64)
    } finally {
      outline.mockRestore()
    }
  })

  it('is parsed where more than 64 others have the same names beside other texts', () => {
    const all = Array.from({ length: 100 }, (_, i) => `${named(`part ${i}`)}\n`).join('')
    expect(parsesDuring(() => void extract(all + all + all))).toBe(100 + 2 * 36)
  })

  it('is parsed where what is the same in all is longer than 64 KiB: a log of them would fill the memory', () => {
    const long = `${named('x'.repeat(70_000))}\n`
    expect(parsesDuring(() => void extract(long.repeat(5)))).toBe(5)
  })

  it('is told from a number that is a date in one line and a duration in the next', () => {
    const log = [1_795_322_750.083, 0.35, 1_795_322_751.5, 0.5]
      .map((time, i) => `{"step":${i},"time":${time},"loss":1}\n`)
      .join('')
    expect(extract(log)).toEqual(extract(log, { isParsed: true }))
  })
})
