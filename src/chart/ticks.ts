import { TINY, type Range } from './clip.ts'

/** Step of 1, 2, 2.5 or 5 times a power of ten that divides a width into at most `count` parts. */
function roundStep(width: number, count: number): number {
  const rough = width / Math.max(1, count)
  const power = 10 ** Math.floor(Math.log10(rough))
  const factor = [1, 2, 2.5, 5, 10].find((candidate) => candidate * power >= rough * (1 - 1e-9)) ?? 10
  return factor * power
}

/** Few round places in a range. */
export function linearTicks({ min, max }: Range, count: number): number[] {
  const width = max - min
  // Doubles that are nearly neighbours have no round places between them.
  if (!(width > TINY * Math.max(Math.abs(min), Math.abs(max))) || !Number.isFinite(width)) return [min]
  const step = roundStep(width, count)
  const ticks: number[] = []
  const last = Math.floor(max / step + 1e-9)
  // Not 0.30000000000000004.
  for (let i = Math.ceil(min / step - 1e-9); i <= last; i++) ticks.push(Number((i * step).toPrecision(15)))
  return ticks
}

/** Powers of ten in a range of positive values, thinned to about `count`; with 2 and 5 between where the range is short. */
export function logTicks({ min, max }: Range, count: number): number[] {
  const low = Math.floor(Math.log10(min))
  const high = Math.ceil(Math.log10(max))
  const every = Math.max(1, Math.ceil((high - low) / Math.max(1, count)))
  const factors = high - low <= 1 ? [1, 2, 5] : high - low <= 2 ? [1, 3] : [1]
  const ticks: number[] = []
  for (let power = low; power <= high; power += every)
    for (const factor of factors) ticks.push(Number(`${factor}e${power}`))
  const inside = ticks.filter((tick) => Number.isFinite(tick) && tick >= min * (1 - 1e-9) && tick <= max * (1 + 1e-9))
  return inside.length >= 2 ? inside : linearTicks({ min, max }, count).filter((tick) => tick > 0)
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 28].map((n) => n * DAY),
]

/** Round places in a range of ms. `offset`: ms that local clocks are ahead of UTC. */
export function timeTicks({ min, max }: Range, count: number, offset = 0): number[] {
  const rough = (max - min) / Math.max(1, count)
  if (rough < SECOND) return linearTicks({ min, max }, count)
  const step = TIME_STEPS.find((candidate) => candidate >= rough) ?? roundStep(max - min, count)
  const ticks: number[] = []
  for (let at = Math.ceil((min + offset) / step) * step - offset; at <= max; at += step) ticks.push(at)
  return ticks
}
