/** Buckets of a series' outline. When they are full, neighbours are joined, and each holds twice as many points. */
const BUCKETS = 32

/** What a run's account says of one series. */
export interface SeriesStats {
  series: number
  count: number
  /** Step and value of the last point. */
  step: number
  value: number
  /** Over all values but NaN; NaN when there was no other. */
  min: number
  max: number
  nan: number
  /** Means of neighbouring points in their order, infinities and NaN apart; NaN where nothing else was. */
  outline: number[]
}

/** A few numbers per series, kept as columns while points go by: about 500 bytes each, however many points there are. */
export class SeriesStatsTable {
  #columns = columnsFor(64)

  add(series: number, step: number, value: number): void {
    if (series >= this.#columns.size) this.#columns = grown(this.#columns, series + 1)
    const columns = this.#columns
    const nth = columns.count[series]!
    columns.count[series] = nth + 1
    columns.step[series] = step
    columns.value[series] = value
    if (value < columns.min[series]!) columns.min[series] = value
    if (value > columns.max[series]!) columns.max[series] = value
    const width = columns.width[series]!
    let bucket = Math.floor(nth / width)
    if (bucket >= BUCKETS) {
      joinNeighbours(columns, series)
      bucket = BUCKETS / 2
    }
    if (Number.isFinite(value)) {
      columns.sums[series * BUCKETS + bucket]! += value
      columns.finite[series * BUCKETS + bucket]! += 1
    } else if (Number.isNaN(value)) columns.nan[series]! += 1
  }

  list(): SeriesStats[] {
    const { size, count, step, value, min, max, nan, width } = this.#columns
    const found: SeriesStats[] = []
    for (let series = 0; series < size; series += 1) {
      const n = count[series]!
      if (n === 0) continue
      const hasNumber = min[series]! <= max[series]!
      found.push({
        series,
        count: n,
        step: step[series]!,
        value: value[series]!,
        min: hasNumber ? min[series]! : Number.NaN,
        max: hasNumber ? max[series]! : Number.NaN,
        nan: nan[series]!,
        outline: this.#outline(series, Math.ceil(n / width[series]!)),
      })
    }
    return found
  }

  #outline(series: number, buckets: number): number[] {
    const { sums, finite } = this.#columns
    return Array.from({ length: buckets }, (_, i) => sums[series * BUCKETS + i]! / finite[series * BUCKETS + i]!)
  }
}

interface Columns {
  size: number
  count: Float64Array
  step: Float64Array
  value: Float64Array
  min: Float64Array
  max: Float64Array
  nan: Float64Array
  /** Points per bucket. */
  width: Float64Array
  sums: Float64Array
  finite: Float64Array
}

const columnsFor = (size: number): Columns => ({
  size,
  count: new Float64Array(size),
  step: new Float64Array(size),
  value: new Float64Array(size),
  min: new Float64Array(size).fill(Number.POSITIVE_INFINITY),
  max: new Float64Array(size).fill(Number.NEGATIVE_INFINITY),
  nan: new Float64Array(size),
  width: new Float64Array(size).fill(1),
  sums: new Float64Array(size * BUCKETS),
  finite: new Float64Array(size * BUCKETS),
})

function grown(old: Columns, needed: number): Columns {
  const larger = columnsFor(Math.max(needed, old.size * 2))
  for (const name of ['count', 'step', 'value', 'min', 'max', 'nan', 'width', 'sums', 'finite'] as const)
    larger[name].set(old[name])
  return larger
}

function joinNeighbours({ sums, finite, width }: Columns, series: number): void {
  const at = series * BUCKETS
  for (const column of [sums, finite]) {
    for (let i = 0; i < BUCKETS / 2; i += 1) column[at + i] = column[at + 2 * i]! + column[at + 2 * i + 1]!
    column.fill(0, at + BUCKETS / 2, at + BUCKETS)
  }
  width[series]! *= 2
}
