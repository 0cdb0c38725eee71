import { count } from '../telemetry/numbers.ts'

export { count, counted } from '../telemetry/numbers.ts'

const SUFFIXES = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const

/** Without zeros at the end, and with a real minus. */
const trimmed = (text: string): string =>
  (text.includes('.') && !text.includes('e') ? text.replace(/\.?0+$/, '') : text).replace(/^-/, '−')

const MOST_DIGITS = 12

/** Digits behind the point that tell ticks of a distance apart: 2 for 0.25. */
function digitsFor(step: number): number {
  for (let digits = 0; digits < MOST_DIGITS; digits++) {
    const scaled = Math.abs(step) * 10 ** digits
    if (scaled > 0.5 && Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return digits
  }
  return MOST_DIGITS
}

/** As a power of ten, with the digits that tell ticks of a distance apart: `2.5e-4`. */
function exponential(value: number, step: number): string {
  const digits = Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(Math.abs(step) || 1)) + 1
  const [mantissa, exponent] = value.toExponential(Math.min(MOST_DIGITS, Math.max(1, digits))).split('e')
  return `${trimmed(mantissa!)}e${exponent!.replace('+', '')}`
}

/** For the axis: as short as the distance to the next tick allows. `2k`, `0.25`, `3e-4`. */
export function tickLabel(value: number, step: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size < 1e-3 || size >= 1e15) return exponential(value, step)
  for (const [unit, suffix] of SUFFIXES) {
    if (size < unit) continue
    return trimmed((value / unit).toFixed(digitsFor(step / unit))) + suffix
  }
  return trimmed(value.toFixed(digitsFor(step || 1)))
}

/** A value as a reader compares it, to `digits` significant ones: `467.7`, `52,937`, `1.493e-6`, `NaN`, `+∞`. */
export function shortValue(value: number, digits = 4): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+∞' : '−∞'
  const size = Math.abs(value)
  if (value === 0) return '0'
  if (size >= 1e15 || size < 1e-4)
    return trimmed(value.toExponential(digits - 1).replace(/\.?0+e/, 'e')).replace('e+', 'e')
  if (size >= 10 ** digits || Number.isInteger(value)) return trimmed(count(value))
  return trimmed(value.toPrecision(digits))
}

/** `420 ms`, `1.5 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1000) return ms === 0 ? '0' : `${shortValue(ms, 3)} ms`
  const seconds = ms / 1000
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0')
  if (seconds < 10) return `${trimmed(seconds.toFixed(1))} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}

/** Of a relative axis: as short as the distance between ticks allows, `1:30:00`, `45s`. */
export function relativeLabel(ms: number, step: number): string {
  if (ms === 0) return '0'
  if (step < 1000)
    return ms < 1000 && step < 1 ? `${trimmed(ms.toPrecision(3))}ms` : `${trimmed((ms / 1000).toFixed(3))}s`
  const seconds = Math.round(ms / 1000)
  if (step < 60_000 && Math.abs(seconds) < 60) return `${seconds}s`
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  const rest = seconds % 60
  if (step >= 86_400_000) return `${trimmed((seconds / 86_400).toFixed(1))}d`
  if (step >= 3_600_000) return `${hours}h`
  if (step >= 60_000 && hours === 0) return `${minutes}m`
  return `${hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}` : minutes}:${String(rest).padStart(2, '0')}`
}

const two = (n: number): string => String(n).padStart(2, '0')

/** Local time of day, with seconds: `12:03:04`. */
export const clock = (ms: number): string => {
  const date = new Date(ms)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** Local day and time: `3 Nov 12:03`. */
export const dayAndTime = (ms: number): string => {
  const date = new Date(ms)
  return `${date.getDate()} ${MONTHS[date.getMonth()] ?? ''} ${two(date.getHours())}:${two(date.getMinutes())}`
}

/** Of a time axis. */
export function timeLabel(ms: number, step: number): string {
  const date = new Date(ms)
  if (step >= 86_400_000) return `${date.getDate()} ${MONTHS[date.getMonth()] ?? ''}`
  if (step < 1000) return `${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
  return step < 60_000 ? clock(ms) : clock(ms).slice(0, 5)
}
