/** A float as the console shows it: six decimals where its size allows, else scientific; 0 and -0 are `0`. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return '0'
  const size = Math.abs(value)
  return size >= 0.001 && size < 10_000 ? value.toFixed(6) : value.toExponential(6).replace('e+', 'e')
}

/** A number as the trainer wrote it: `4.0` and `1e4` are floats, `4` is an integer with all its digits. */
export function formatNumber(value: number, written: string | null): string {
  if (!Number.isInteger(value)) return formatFloat(value)
  if (written === null) return value === 0 ? '0' : String(value)
  if (/[.e]/i.test(written)) return formatFloat(value)
  return written === '-0' ? '0' : written
}
