/** Parts of a series at most. When they are full, neighbours are joined, and each covers twice as many points. */
export const MAX_PARTS = 1024

/** Places of NaN and infinite values that are remembered: the first half of them and the newest. */
const MAX_ODD = 200

const FIRST_PARTS = 32

/** Doubles of a part: value, step and time of its least and of its greatest finite value, mean and count of all finite ones. */
const LEAST = 0
const GREATEST = 3
const MEAN = 6
const FINITE = 7
const DOUBLES = 8

/** One point. `time` in UTC ms. */
export interface Point {
  step: number
  time: number
  value: number
}

/** One that stands for others as well: `mean` is that of all finite values around it. */
export interface Extreme extends Point {
  mean: number
}

/**
 * One series in a few numbers: the extremes of equal parts of it, each with the place where it was, so that no spike is
 * ever left out. Up to 1,024 points it is the series itself. At most 70 KB.
 */
export class Outline {
  count = 0
  nan = 0
  infinite = 0
  /** Over finite values; +Infinity and -Infinity while there is none. */
  min = Infinity
  max = -Infinity
  first: Point | null = null
  last: Point | null = null
  /** Steps never went back, and so for times: what is read in order of arrival is in order of the axis. */
  isAscending = { step: true, time: true }
  /** Values that are not finite, in order of arrival. */
  readonly odd: Point[] = []
  readonly #mostParts: number
  /** Points of a part. */
  #width = 1
  #parts = new Float64Array(FIRST_PARTS * DOUBLES)

  /** `mostParts`: fewer, an even number of at least 32, take less memory and tell less. */
  constructor(mostParts = MAX_PARTS) {
    this.#mostParts = mostParts
  }

  add(step: number, time: number, value: number): void {
    const { last } = this
    if (last === null) {
      this.first = { step, time, value }
      this.last = { step, time, value }
    } else {
      if (step < last.step) this.isAscending.step = false
      if (time < last.time) this.isAscending.time = false
      last.step = step
      last.time = time
      last.value = value
    }
    let part = Math.floor(this.count / this.#width)
    if (part >= this.#mostParts) {
      this.#join()
      part = this.#mostParts / 2
    }
    const isNew = this.count % this.#width === 0
    this.count += 1
    if (value - value !== 0) this.#addOdd(step, time, value)
    else {
      if (value < this.min) this.min = value
      if (value > this.max) this.max = value
    }
    this.#put(part * DOUBLES, isNew, step, time, value)
  }

  /** Whether each part is one point. */
  get isRaw(): boolean {
    return this.#width === 1
  }

  get parts(): number {
    return Math.ceil(this.count / this.#width)
  }

  /** The points of a part that are drawn: its extremes in order of arrival, or the one that it has. */
  *points(): Generator<Extreme> {
    const at = (part: number, which: number): Extreme => {
      const place = part * DOUBLES + which
      return {
        value: this.#parts[place]!,
        step: this.#parts[place + 1]!,
        time: this.#parts[place + 2]!,
        mean: this.#parts[part * DOUBLES + MEAN]!,
      }
    }
    for (let part = 0; part < this.parts; part += 1) {
      const least = at(part, LEAST)
      const greatest = at(part, GREATEST)
      if (this.isRaw || Object.is(least.value, greatest.value)) yield least
      else if (least.time < greatest.time || (least.time === greatest.time && least.step < greatest.step)) {
        yield least
        yield greatest
      } else {
        yield greatest
        yield least
      }
    }
  }

  /** Middles of up to `n` neighbouring stretches; NaN where nothing finite is. */
  sparkline(n: number): number[] {
    const { parts } = this
    const stretches = Math.min(n, parts)
    return Array.from({ length: stretches }, (_, i) => {
      let sum = 0
      let finite = 0
      const end = Math.floor(((i + 1) * parts) / stretches)
      for (let part = Math.floor((i * parts) / stretches); part < end; part += 1) {
        const middle = this.#parts[part * DOUBLES + LEAST]! / 2 + this.#parts[part * DOUBLES + GREATEST]! / 2
        if (!Number.isFinite(middle)) continue
        sum += middle
        finite += 1
      }
      return sum / finite
    })
  }

  #addOdd(step: number, time: number, value: number): void {
    if (Number.isNaN(value)) this.nan += 1
    else this.infinite += 1
    if (this.odd.length === MAX_ODD) this.odd.splice(MAX_ODD / 2, 1)
    this.odd.push({ step, time, value })
  }

  #put(at: number, isNew: boolean, step: number, time: number, value: number): void {
    if (at >= this.#parts.length) {
      const grown = new Float64Array(this.#parts.length * 2)
      grown.set(this.#parts)
      this.#parts = grown
    }
    const parts = this.#parts
    const isFinite = value - value === 0
    // A part without a finite value has one that is not, until there is one.
    const isFirst = isNew || (isFinite && parts[at]! - parts[at]! !== 0)
    const finite = isNew ? 0 : parts[at + FINITE]!
    if (isFirst) parts[at + MEAN] = value
    else if (isFinite) parts[at + MEAN]! += (value - parts[at + MEAN]!) / (finite + 1)
    parts[at + FINITE] = isFinite ? finite + 1 : finite
    if (isFirst || (isFinite && value < parts[at + LEAST]!)) {
      parts[at + LEAST] = value
      parts[at + LEAST + 1] = step
      parts[at + LEAST + 2] = time
    }
    if (isFirst || (isFinite && value > parts[at + GREATEST]!)) {
      parts[at + GREATEST] = value
      parts[at + GREATEST + 1] = step
      parts[at + GREATEST + 2] = time
    }
  }

  #join(): void {
    const parts = this.#parts
    for (let i = 0; i < this.#mostParts / 2; i += 1) {
      const left = 2 * i * DOUBLES
      const right = left + DOUBLES
      const isLeftOdd = parts[left]! - parts[left]! !== 0
      const isRightOdd = parts[right]! - parts[right]! !== 0
      const lower = !isRightOdd && (isLeftOdd || parts[right + LEAST]! < parts[left + LEAST]!) ? right : left
      const upper = !isRightOdd && (isLeftOdd || parts[right + GREATEST]! > parts[left + GREATEST]!) ? right : left
      const [n, m] = [parts[left + FINITE]!, parts[right + FINITE]!]
      const [first, second] = [parts[left + MEAN]!, parts[right + MEAN]!]
      const mean = n === 0 ? second : m === 0 ? first : first + (second - first) * (m / (n + m))
      parts.copyWithin(i * DOUBLES + LEAST, lower + LEAST, lower + LEAST + 3)
      parts.copyWithin(i * DOUBLES + GREATEST, upper + GREATEST, upper + GREATEST + 3)
      parts[i * DOUBLES + MEAN] = mean
      parts[i * DOUBLES + FINITE] = n + m
    }
    this.#width *= 2
  }
}
