const BARS = '▁▂▃▄▅▆▇█'

/** Relative error of a mean of a million values. */
const ROUNDING = 1e-12

/** Values as a line of bars from the least to the greatest; `·` where there is none (NaN). */
export function sparkline(values: readonly number[]): string {
  const known = values.filter((value) => Number.isFinite(value))
  const min = Math.min(...known)
  const difference = Math.max(...known) - min
  // Means of the same value differ by what adding has rounded off.
  const range = difference <= ROUNDING * Math.abs(min) ? 0 : difference
  return values
    .map((value) => {
      if (!Number.isFinite(value)) return '·'
      // A range that is no double any more (from -1e308 to 1e308) is halved first.
      const place = Number.isFinite(range)
        ? (value - min) / range
        : (value / 2 - min / 2) / (Math.max(...known) / 2 - min / 2)
      return BARS[range === 0 ? 3 : Math.min(BARS.length - 1, Math.floor(place * BARS.length))]!
    })
    .join('')
}
