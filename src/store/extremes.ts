import type { Extreme, Point } from './outline.ts'

/** What is drawn of a stretch of one series: columns in the order of the axis. */
export interface Drawn {
  steps: number[]
  times: number[]
  values: number[]
  /** Of the values around each; null where each stands for itself. */
  means: number[] | null
}

/**
 * Extremes of one series by pixel: of the points whose place on the axis falls into a pixel, the least and the greatest, in
 * the order in which they came. What is not finite is left out.
 */
export class Extremes {
  readonly #from: number
  readonly #scale: number
  readonly #width: number
  readonly #least: (Point | null)[]
  readonly #greatest: (Point | null)[]
  readonly #order: number[]
  readonly #mean: Float64Array
  readonly #finite: Float64Array
  #count = 0

  /** `from` and `to` in units of the axis, `width` in pixels. */
  constructor(from: number, to: number, width: number) {
    this.#from = from
    this.#width = width
    this.#scale = to > from ? width / (to - from) : 0
    this.#least = Array.from({ length: width }, () => null)
    this.#greatest = Array.from({ length: width }, () => null)
    this.#order = Array.from({ length: width }, () => 0)
    this.#mean = new Float64Array(width)
    this.#finite = new Float64Array(width)
  }

  add(place: number, step: number, time: number, value: number): void {
    if (value - value !== 0) return
    const pixel = Math.min(this.#width - 1, Math.max(0, Math.floor((place - this.#from) * this.#scale)))
    const least = this.#least[pixel]
    const greatest = this.#greatest[pixel]
    this.#count += 1
    this.#finite[pixel]! += 1
    this.#mean[pixel]! += (value - this.#mean[pixel]!) / this.#finite[pixel]!
    if (least === null || least === undefined || value < least.value) {
      this.#least[pixel] = { step, time, value }
      this.#order[pixel] = -this.#count
    }
    if (greatest === null || greatest === undefined || value > greatest.value) {
      this.#greatest[pixel] = { step, time, value }
      this.#order[pixel] = this.#count
    }
  }

  *points(): Generator<Extreme> {
    for (let pixel = 0; pixel < this.#width; pixel += 1) {
      const least = this.#least[pixel]
      const greatest = this.#greatest[pixel]
      if (least === null || least === undefined || greatest === null || greatest === undefined) continue
      const mean = this.#mean[pixel]!
      if (least.value === greatest.value) yield { ...least, mean }
      else if (this.#order[pixel]! > 0)
        yield* [
          { ...least, mean },
          { ...greatest, mean },
        ]
      else
        yield* [
          { ...greatest, mean },
          { ...least, mean },
        ]
    }
  }
}

/** Points as columns, in the order of the axis. */
export function drawn(
  points: Iterable<Point | Extreme>,
  axis: 'step' | 'time',
  isAscending: boolean,
  isRaw: boolean,
): Drawn {
  const sorted = isAscending ? points : [...points].sort((a, b) => a[axis] - b[axis])
  const out: Drawn = { steps: [], times: [], values: [], means: isRaw ? null : [] }
  for (const point of sorted) {
    out.steps.push(point.step)
    out.times.push(point.time)
    out.values.push(point.value)
    out.means?.push('mean' in point ? point.mean : point.value)
  }
  return out
}
