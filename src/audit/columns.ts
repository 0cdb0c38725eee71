/** What is to be expected of a row of the journal at a destination. The lowest counts where equal rows differ in it. */
export const STATE = { delivered: 0, rejected: 1, pending: 2 } as const
export type State = (typeof STATE)[keyof typeof STATE]

/** Points of one metric as columns that grow: 25 bytes a point, so that a million of them are no matter. */
export class PointColumns {
  count = 0
  time: Float64Array
  step: Float64Array
  value: Float64Array
  state: Uint8Array

  constructor(capacity = 64) {
    this.time = new Float64Array(capacity)
    this.step = new Float64Array(capacity)
    this.value = new Float64Array(capacity)
    this.state = new Uint8Array(capacity)
  }

  push(time: number, step: number, value: number, state: State = STATE.delivered): void {
    if (this.count === this.time.length) this.#grow()
    this.time[this.count] = time
    this.step[this.count] = step
    this.value[this.count] = value
    this.state[this.count] = state
    this.count += 1
  }

  #grow(): void {
    const grown = new PointColumns(2 * Math.max(1, this.count))
    for (const column of ['time', 'step', 'value', 'state'] as const) {
      grown[column].set(this[column])
    }
    this.time = grown.time
    this.step = grown.step
    this.value = grown.value
    this.state = grown.state
  }

  /** Order of two rows by time, step and value; 0: they are the same row to a tracker. */
  compare(a: number, b: number): number {
    return (
      this.time[a]! - this.time[b]! || this.step[a]! - this.step[b]! || compareValues(this.value[a]!, this.value[b]!)
    )
  }

  /** The rows as a set, in order. */
  distinct(): PointColumns {
    const order = this.#order()
    const set = new PointColumns(this.count)
    let last = -1
    for (const i of order) {
      // Equal rows stand with the lowest state first.
      if (last >= 0 && this.compare(last, i) === 0) continue
      set.push(this.time[i]!, this.step[i]!, this.value[i]!, this.state[i] as State)
      last = i
    }
    return set
  }

  /** Places of the rows in order. Trackers and journals mostly have them in order already. */
  #order(): Uint32Array {
    const order = Uint32Array.from({ length: this.count }, (_, i) => i)
    const byRow = (a: number, b: number): number => this.compare(a, b) || this.state[a]! - this.state[b]!
    for (let i = 1; i < this.count; i += 1) if (byRow(i - 1, i) > 0) return order.sort(byRow)
    return order
  }
}

/** Values in order, NaN behind all others and equal to itself. */
export const compareValues = (a: number, b: number): number =>
  a < b ? -1 : a > b ? 1 : a === b ? 0 : Number(Number.isNaN(a)) - Number(Number.isNaN(b))
