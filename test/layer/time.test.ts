import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TimeReader } from '../../src/layer/time.ts'

const read = (value: unknown): number | null => new TimeReader().read(value)

describe('a timestamp', () => {
  it('in ISO 8601 is read to the millisecond, whatever its digits and its zone are', () => {
    const reader = new TimeReader()
    const ms = fc.integer({ min: 86_400_000, max: Date.UTC(2100, 0) })
    fc.assert(
      fc.property(
        ms,
        fc.integer({ min: 0, max: 999_999 }),
        fc.integer({ min: -14 * 60, max: 14 * 60 }),
        fc.constantFrom('T', ' '),
        (at, rest, offset, between) => {
          const sign = offset < 0 ? '-' : '+'
          const two = (n: number): string => String(n).padStart(2, '0')
          const local = new Date(at + offset * 60_000).toISOString().slice(0, -1).replace('T', between)
          const zone =
            offset === 0 ? 'Z' : `${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`
          const text = `${local}${String(rest).padStart(6, '0')}${zone}`
          expect(reader.read(text)).toBe(at)
          expect(read(text)).toBe(at)
        },
      ),
    )
  })

  it('without a zone is in the zone of the machine', () => {
    expect(read('2026-11-22 04:45:11,114')).toBe(new Date(2026, 10, 22, 4, 45, 11, 114).getTime())
  })

  it('as a number is in seconds, milliseconds, microseconds or nanoseconds, by its size', () => {
    for (const value of [1795322894.083, 1795322894083, 1795322894083123, 1.795322894083123e18, '1795322894.083'])
      expect(read(value)).toBe(1795322894083)
  })

  it('that is an uptime, a duration or no date is no time', () => {
    for (const value of [
      '   0.000193938s',
      12.5,
      0,
      -1,
      '2026-13-01T00:00:00Z',
      '2026-11-22',
      'yesterday',
      '',
      null,
      true,
      {},
      '1969-12-31T23:59:59Z',
      '2026-11-22T05:07:39.787519Q',
    ])
      expect(read(value)).toBeNull()
  })

  it('that has a point and no digits behind it is none, also when the second is remembered', () => {
    const reader = new TimeReader()
    expect(reader.read('2026-11-22T05:07:39.125Z')).not.toBe(null)
    expect(reader.read('2026-11-22T05:07:39.Z')).toBe(null)
  })

  it('is remembered by the second without mixing up zones or digits', () => {
    const reader = new TimeReader()
    const second = Date.UTC(2026, 10, 22, 5, 7, 39)
    for (const [text, ms] of [
      ['2026-11-22T05:07:39.787Z', second + 787],
      ['2026-11-22T05:07:39.1Z', second + 100],
      ['2026-11-22T05:07:39Z', second],
      ['2026-11-22T05:07:39.001+01:00', second + 1 - 3_600_000],
      ['2026-11-22T05:07:39.002Z', second + 2],
    ] as const) {
      expect(reader.read(text)).toBe(ms)
    }
  })
})
