import { MlflowModel, type ModelAnswer, type ModelRequest, type ModelRun, type StoredPoint } from './mlflow-model.ts'
import { Checksum } from './written.ts'

/** Of one key: what it holds at each step, from 0 on; a time of 0 says nothing is there. */
class Column {
  value = new Float64Array(1024)
  time = new Float64Array(1024)

  reserve(step: number): void {
    if (step < this.value.length) return
    const grown = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const column = new Float64Array(Math.max(step + 1, old.length * 2))
      column.set(old)
      return column
    }
    this.value = grown(this.value)
    this.time = grown(this.time)
  }
}

/**
 * An MLflow that takes millions of points, 16 bytes each, for runs with one value per key and step; all else is as in
 * `MlflowModel`.
 */
export class ColumnModel {
  /** Points that came again, as the same rows: MLflow keeps them once. */
  repeats = 0
  /** Points that came again as other rows: MLflow keeps both. */
  doubled = 0
  points = 0
  readonly #model = new MlflowModel()
  readonly #columns = new Map<string, Column>()

  get version(): string {
    return this.#model.version
  }

  get runs(): ReadonlyMap<string, ModelRun> {
    return this.#model.runs
  }

  answer({ path, body }: ModelRequest): ModelAnswer {
    if (path === 'metrics/get-history-bulk-interval') return this.#history(body)
    if (path !== 'runs/log-batch') return this.#model.answer({ path, body })
    const { metrics = [], ...rest } = body as { metrics?: StoredPoint[] }
    const answer = this.#model.answer({ path, body: rest })
    if (answer.status === 200) for (const point of metrics) this.#store(point)
    return answer
  }

  /** What the columns take of this process. */
  get bytes(): number {
    return [...this.#columns.values()].reduce((sum, { value, time }) => sum + value.byteLength + time.byteLength, 0)
  }

  /** What is stored of a key. */
  checksum(key: string): Checksum {
    const sum = new Checksum()
    const column = this.#columns.get(key)
    column?.time.forEach((time, step) => {
      if (time !== 0) sum.add(step, column.value[step]!)
    })
    return sum
  }

  /** Steps below `end` that a key lacks, as ranges: the first and the last of each. */
  gaps(key: string, end: number): [from: number, to: number][] {
    const gaps: [number, number][] = []
    const time = this.#columns.get(key)?.time
    for (let step = 0; step < end; step += 1) {
      if ((time?.[step] ?? 0) !== 0) continue
      const last = gaps.at(-1)
      if (last?.[1] === step - 1) last[1] = step
      else gaps.push([step, step])
    }
    return gaps
  }

  #store({ key, step, value, timestamp }: StoredPoint): void {
    let column = this.#columns.get(key)
    if (column === undefined) this.#columns.set(key, (column = new Column()))
    column.reserve(step)
    if (column.time[step] === 0) this.points += 1
    else if (column.time[step] === timestamp && column.value[step] === value) this.repeats += 1
    else this.doubled += 1
    column.value[step] = Number(value)
    column.time[step] = timestamp
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- JSON of any shape
  #history({ metric_key: key, start_step, end_step, max_results }: any): ModelAnswer {
    const column = this.#columns.get(key)
    const metrics: StoredPoint[] = []
    for (let step = Number(start_step); step <= Number(end_step) && metrics.length < Number(max_results); step += 1) {
      const timestamp = column?.time[step] ?? 0
      if (timestamp !== 0) metrics.push({ key, step, timestamp, value: column!.value[step]! })
    }
    return { status: 200, json: { metrics } }
  }
}
