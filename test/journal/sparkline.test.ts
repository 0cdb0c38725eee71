import { expect, it } from 'vitest'
import { sparkline } from '../../src/telemetry/sparkline.ts'

it('a series that stands still is a flat line, also where means have been rounded', () => {
  const third = (0.1 + 0.1 + 0.1) / 3
  expect(third).not.toBe(0.1)
  expect(sparkline([0.1, third, 0.1])).toBe('▄▄▄')
  expect(sparkline([1, 2, Number.NaN, 3])).toBe('▁▅·█')
})
