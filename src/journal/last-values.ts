/** The last point of every series, as columns that grow: two stores a point. */
export class LastValues {
  #step = new Float64Array(64).fill(Number.NaN)
  #value = new Float64Array(64)

  set(series: number, step: number, value: number): void {
    if (series >= this.#step.length) this.#grow(series)
    this.#step[series] = step
    this.#value[series] = value
  }

  list(): { series: number; step: number; value: number }[] {
    const all = Array.from(this.#step, (step, series) => ({ series, step, value: this.#value[series]! }))
    return all.filter(({ step }) => !Number.isNaN(step))
  }

  #grow(series: number): void {
    const size = Math.max(series + 1, this.#step.length * 2)
    const step = new Float64Array(size).fill(Number.NaN)
    const value = new Float64Array(size)
    step.set(this.#step)
    value.set(this.#value)
    this.#step = step
    this.#value = value
  }
}
