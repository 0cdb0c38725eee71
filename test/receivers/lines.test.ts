import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byKeyStepValue, fixture, hostileFiles, lineFixtures, numberOf, type Expected } from '../support/fixtures.ts'
import { extract, RECEIVED_AT, triples, type Extracted } from '../support/extract.ts'

const withoutOptional = (found: Extracted, expected: Expected): Extracted['points'] =>
  found.points.filter(({ key }) => !expected.optionalKeys.includes(key.slice(key.indexOf('/') + 1)))

function expectPoints(found: Extracted, expected: Expected): void {
  const got = withoutOptional(found, expected).sort(byKeyStepValue)
  const wanted = [...expected.points].sort(byKeyStepValue)
  expect(got.map(({ key, step, value }) => [key, step, value])).toEqual(
    wanted.map(({ key, step, value }) => [key, step, value]),
  )
  wanted.forEach(({ timestamp_ms: exact, timestamp_range_ms: range }, i) => {
    const { time } = got[i]!
    if (exact !== undefined) expect(time).toBe(exact)
    if (range !== undefined) expect(time >= range[0] && time <= range[1]).toBe(true)
  })
}

/** Numbers of the format or client that the fixture leaves open. */
const optionalCount = (found: Extracted, expected: Expected): number =>
  found.points.length - withoutOptional(found, expected).length

describe('a recorded log', () => {
  for (const { name, bytes, expected, ifNotInherited } of lineFixtures) {
    it(`${name} gives exactly the points that its program logged`, () => {
      const found = extract(bytes)
      expectPoints(found, expected)
      expect(found.counts['received.rounded_integers'] ?? 0).toBeGreaterThanOrEqual(expected.bigIntegers)
      if (expected.textLines >= 0)
        expect(found.counts['received.lines']! - (found.counts['received.events'] ?? 0)).toBe(expected.textLines)
    })

    it(`${name} accounts for every number that gives no point`, () => {
      const { counts, ...found } = extract(bytes)
      const { points, skipped_no_step: noStep, skipped_config: config } = expected.numbers
      expect(counts['received.numbers'] ?? 0).toBe(
        (counts['points'] ?? 0) + (counts['skipped.no_step'] ?? 0) + (counts['skipped.config'] ?? 0),
      )
      if (expected.optionalKeys.includes('rank')) return // the client's own number is on skipped lines too
      expect((counts['points'] ?? 0) - optionalCount({ counts, ...found }, expected)).toBe(points)
      expect([counts['skipped.no_step'] ?? 0, counts['skipped.config'] ?? 0]).toEqual([noStep, config])
    })

    it(`${name} gives only what the events themselves hold when steps are not inherited`, () => {
      expectPoints(extract(bytes, { settings: { inherit: false } }), ifNotInherited)
    })

    const prefix = name.includes('pino-nested') ? 'payload/' : name.includes('source-group') ? 'train/' : ''
    it(`${name} turns startup and config_trace into params`, () => {
      const params = new Map(extract(bytes).params)
      for (const [field, value] of Object.entries(expected.params)) {
        if (value === null) continue
        const text = params.get(prefix + field)
        if (typeof value === 'number') expect(Number(text)).toBe(value)
        else expect(text).toBe(String(value))
      }
    })
  }

  it('gives the same points however its bytes are cut into chunks', () => {
    const names = [
      'python-lines/tqdm-mixed.log',
      'python-lines/bare-json.jsonl',
      'rust-lines/nested-close.jsonl',
      'go-lines/zap.jsonl',
    ]
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 60 }),
        (name, sizes) => {
          const { bytes } = fixture(name)
          const cut = (whole: Buffer): Buffer[] => {
            const pieces: Buffer[] = []
            for (let from = 0, i = 0; from < whole.length; i += 1) {
              const size = sizes[i % sizes.length]!
              pieces.push(whole.subarray(from, from + size))
              from += size
            }
            return pieces
          }
          expect(extract(bytes, { cut })).toEqual(extract(bytes))
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('hostile input', () => {
  for (const { data, bytes, points, pointsCount, badLines, either } of hostileFiles) {
    it(`${data} gives its sound points, counts the rest and harms nothing`, () => {
      const found = extract(bytes)
      if (pointsCount !== null) expect(found.points.length).toBe(pointsCount)
      const wanted = (points ?? [])
        .filter(([key]) => Buffer.byteLength(key) <= 1024)
        .map(([key, step, value]) => JSON.stringify([key, step, String(numberOf(value))]))
      const allowed = new Set([
        ...wanted,
        ...either.flatMap(({ point }) =>
          point === null ? [] : [JSON.stringify([point[0], point[1], String(numberOf(point[2]))])],
        ),
      ])
      const got = triples(found).map(([key, step, value]) => JSON.stringify([key, step, String(value)]))
      if (points !== null) {
        expect(got.filter((text) => !allowed.has(text))).toEqual([])
        expect(wanted.filter((text) => !got.includes(text))).toEqual([])
      }
      const { counts } = found
      const faults = Object.entries(counts).filter(
        ([name]) => name.startsWith('not_events.') && name !== 'not_events.not_object',
      )
      expect(faults.reduce((sum, [, n]) => sum + n, 0)).toBeGreaterThanOrEqual(badLines)
      const skipped = Object.entries(counts).filter(([name]) => name.startsWith('skipped.'))
      expect(counts['received.numbers'] ?? 0).toBe((counts['points'] ?? 0) + skipped.reduce((sum, [, n]) => sum + n, 0))
      for (const name of ['polluted', 'step', 'loss']) expect(({} as Record<string, unknown>)[name]).toBeUndefined()
    })
  }

  it('never throws and never loses count, whatever the bytes are', () => {
    const pieces = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc.constantFrom('{', '}', '\n', '\r', '"', 'NaN', '\\', '{"step":1,"a":NaN}\n').map((text) => Buffer.from(text)),
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
        const { counts } = extract(Buffer.concat(parts))
        const skipped = Object.entries(counts).reduce(
          (sum, [name, n]) => (name.startsWith('skipped.') ? sum + n : sum),
          0,
        )
        expect(counts['received.numbers'] ?? 0).toBe((counts['points'] ?? 0) + skipped)
      }),
      { numRuns: 500 },
    )
  })

  it('takes a megabyte of escaped quotes, brackets or blanks in time that grows with its length', () => {
    for (const text of [
      '{"a":NaN,"b":"' + '\\"'.repeat(400_000),
      '{"a":'.repeat(180_000),
      `{"a":1}${' '.repeat(900_000)}x`,
      `${' '.repeat(900_000)}x`,
      `{"step":1,"a":1}${'\u001b[0m'.repeat(200_000)}`,
    ]) {
      const before = performance.now()
      extract(`${text}\n`)
      // Linear is milliseconds; a square would be minutes.
      expect(performance.now() - before).toBeLessThan(3000)
    }
  })
})

it('an event behind what erases a progress bar, or with several carriage returns at its end, is one', () => {
  const lines = [
    '\r\x1b[2K{"step":1,"x":1}',
    '50%\r\x1b[K{"step":2,"x":1}',
    '\x1b[?25l{"step":3,"x":1}\x1b[0m\x1b[?25h',
    '{"step":4,"x":1}\r\r',
    '\x1b[38:2::1:2:3m{"step":5,"x":1}\x1b[m',
  ]
  expect(triples(extract(`${lines.join('\n')}\n`)).map(([, step]) => step)).toEqual([1, 2, 3, 4, 5])
})

describe('a line', () => {
  it('is read behind any length of progress bar that overwrote itself', () => {
    const bar = `\r 45%|####      | 1/2 ${'.'.repeat(80)}`.repeat(20_000)
    const cut = (bytes: Buffer): Buffer[] =>
      Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) => bytes.subarray(i * 65_536, (i + 1) * 65_536))
    const { points, counts } = extract(`${bar}\r{"step":1,"loss":2}\r\n`, { cut })
    expect(points.map(({ key, value }) => [key, value])).toEqual([['misc/loss', 2]])
    expect(counts['not_events.too_long']).toBeUndefined()
  })

  it('is read behind a progress bar that ends each of its updates with a return, and before two returns', () => {
    const bar = Array.from({ length: 20_000 }, (_, i) => Buffer.from(`${String(i).padStart(99, '.')}\r`))
    const cut = (bytes: Buffer): Buffer[] => [...bar, bytes]
    const { points, counts } = extract('{"step":1,"loss":2}\r\r\n{"step":2,"loss":3}\r\r\n', { cut })
    expect(points.map(({ step, value }) => [step, value])).toEqual([
      [1, 2],
      [2, 3],
    ])
    expect(counts['not_events.too_long']).toBeUndefined()
  })

  it('counts what was drawn over as unsound in no way of cutting', () => {
    const input = Buffer.from('\n\xff 50%\r{"step":1,"loss":2}\n\xff\n', 'latin1')
    const inBytes = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.from([byte]))
    for (const found of [extract(input), extract(input, { cut: inBytes })])
      expect(found.counts).toMatchObject({ points: 1, 'received.invalid_utf8': 1 })
  })

  it('that nests thousands of levels beside a large number, or in its configuration, ends nothing', () => {
    const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`
    const input = `{"step":1,"big":1e300,"d":${deep}}\n{"message":"startup","d":${deep},"l":${'['.repeat(20_000)}${']'.repeat(20_000)}}\n{"message":"config_trace",${Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join(',')}}\n{"step":2,"loss":1}\n`
    const { points } = extract(input)
    expect(points.at(-1)).toMatchObject({ key: 'misc/loss', step: 2 })
  })

  it('keeps NaN, Infinity and -Infinity of Python as values and leaves the words in strings alone', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('NaN', 'Infinity', '-Infinity'), (text, token) => {
        const note = `${text} NaN Infinity`
        const { points, counts } = extract(`{"step":3,"note":${JSON.stringify(note)},"loss":${token}}\n`)
        expect(points.map(({ key, value }) => [key, value])).toEqual([['misc/loss', Number(token)]])
        expect(counts['received.events']).toBe(1)
      }),
    )
  })

  it('takes the time of receipt only when it has none of its own', () => {
    expect(extract('{"step":1,"a":1}\n').points[0]!.time).toBe(RECEIVED_AT)
    expect(extract('{"step":1,"a":1,"timestamp":"2026-11-22T05:07:39.787519Z"}\n').points[0]!.time).toBe(
      Date.UTC(2026, 10, 22, 5, 7, 39, 787),
    )
  })

  it('has its wrapper count where wrapper and line have the same field', () => {
    expect(triples(extract('{"step":1,"loss":9,"epoch":2,"metrics":{"step":5,"loss":1}}\n'))).toEqual([
      ['misc/loss', 5, 1],
      ['misc/epoch', 5, 2],
    ])
  })

  it('keeps the name of an object that stands beside a number of the line', () => {
    expect(triples(extract('{"a":{"step":4,"x":1},"y":2,"step":7}\n'))).toEqual([
      ['misc/a/step', 7, 4],
      ['misc/a/x', 7, 1],
      ['misc/y', 7, 2],
    ])
  })

  it('counts a step beyond 2^53 as out of range and asks no other field', () => {
    const { points, counts } = extract('{"step":1180591620717411303424,"update":3,"loss":1,"kl":2}\n')
    expect(points).toEqual([])
    expect(counts['skipped.step_out_of_range']).toBe(2)
  })

  it('takes no step from a string, a fraction or a boolean, and one from an integral float', () => {
    expect(triples(extract('{"timesteps":"8","policy_version":1.5,"step":true,"global_step":4.0,"loss":1}\n'))).toEqual(
      [['misc/loss', 4, 1]],
    )
  })

  it('is no event when text stands before or behind its object', () => {
    const { points, counts } = extract('epoch 1 {"step":1,"loss":1}\n{"step":1,"loss":1} done\n')
    expect(points).toEqual([])
    expect(counts).toMatchObject({ 'received.lines': 2, 'not_events.text': 1, 'not_events.invalid_json': 1 })
  })
})
