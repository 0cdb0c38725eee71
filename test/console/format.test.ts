import fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatFloat, formatNumber } from '../../src/console/format.ts'

it('a float has six decimals between 0.001 and 10,000, and is scientific beyond', () => {
  const table: [number, string][] = [
    [0, '0'],
    [-0, '0'],
    [0.5, '0.500000'],
    [-0.5, '-0.500000'],
    [0.001, '0.001000'],
    [0.00099999, '9.999900e-4'],
    [0.0003, '3.000000e-4'],
    [9999.9999999, '10000.000000'],
    [10_000, '1.000000e4'],
    [-12_345.678, '-1.234568e4'],
    [1e-300, '1.000000e-300'],
    [1.7976931348623157e308, '1.797693e308'],
    [5e-324, '4.940656e-324'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'inf'],
    [Number.NEGATIVE_INFINITY, '-inf'],
  ]
  expect(table.map(([value]) => [value, formatFloat(value)])).toEqual(table)
})

it('an integer stays as it was written, and a float that happens to be whole is a float', () => {
  expect([formatNumber(4, '4'), formatNumber(4, '4.0'), formatNumber(4, null), formatNumber(1e4, '1e4')]).toEqual([
    '4',
    '4.000000',
    '4',
    '1.000000e4',
  ])
  expect([formatNumber(2 ** 64, '18446744073709551615'), formatNumber(-0, '-0'), formatNumber(-0, '-0.0')]).toEqual([
    '18446744073709551615',
    '0',
    '0',
  ])
})

it('what is shown is the value, to seven digits or six decimals', () => {
  fc.assert(
    fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (value) => {
      const shown = Number(formatFloat(value))
      expect(Math.abs(shown - value)).toBeLessThanOrEqual(
        Math.max(Math.abs(value) * 5.1e-7, 5.1e-7 * Number(Math.abs(value) >= 0.001)),
      )
    }),
  )
})
