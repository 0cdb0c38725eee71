/** A range of values, both ends included. */
export interface Range {
  min: number
  max: number
}

/** Share of a value below which a difference from it is rounding. */
export const TINY = 1e-13

const quantile = (sorted: readonly number[], q: number): number => {
  const place = (sorted.length - 1) * q
  const below = sorted[Math.floor(place)] ?? 0
  const above = sorted[Math.ceil(place)] ?? below
  return below + (above - below) * (place - Math.floor(place))
}

/** The smallest range with all values that are finite; null without any. */
export function rangeOf(values: readonly number[]): Range | null {
  let min = Infinity
  let max = -Infinity
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    if (value < min) min = value
    if (value > max) max = value
  }
  return min > max ? null : { min, max }
}

/**
 * The range without far outliers: what lies more than three times the middle half's width away from that half, after Tukey.
 * Where the middle half has no width nothing is an outlier.
 */
export function withoutOutliers(values: readonly number[]): Range | null {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  const whole = rangeOf(sorted)
  const low = quantile(sorted, 0.25)
  const high = quantile(sorted, 0.75)
  if (whole === null || high === low) return whole
  const reach = 3 * (high - low)
  return rangeOf(sorted.filter((value) => value >= low - reach && value <= high + reach))
}

/** How many finite values lie outside. */
export const countOutside = (values: readonly number[], { min, max }: Range): number =>
  values.reduce((n, value) => n + (Number.isFinite(value) && (value < min || value > max) ? 1 : 0), 0)
