import type { PointBatch, TextBatch } from '../exporter.ts'
import { mlflowKey } from './keys.ts'

/** A string of JSON that is ASCII alone, so that each of its characters is one byte. */
const asciiJson = (text: string): string =>
  JSON.stringify(text).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/**
 * Bodies of `runs/log-batch`. MLflow answers 200 and loses the rest of a batch when a field does not parse, so that
 * everything is checked here: `run_id` stands first, steps and times are integers, NaN and infinities are quoted.
 */
export class MetricEncoder {
  /** Beginning of a metric by series, behind another metric: `,{"key":"...","value":`. */
  readonly #heads: string[] = []
  /** Keys that MLflow takes under another name, and which it has not been told yet. */
  readonly #untold = new Set<string>()

  encode(runId: string, batch: PointBatch): Buffer {
    const { count, value, time, step, series } = batch
    let body = `{"run_id":${asciiJson(runId)},"metrics":[`
    // The points of one event have its time and step: their text is made once (0.87x).
    let tail = ''
    for (let i = 0; i < count; i += 1) {
      if (i === 0 || time[i] !== time[i - 1] || step[i] !== step[i - 1])
        tail = `,"timestamp":${time[i]!},"step":${step[i]!}}`
      const head = this.#heads[series[i]!] ?? this.#head(batch, series[i]!)
      const number = value[i]!
      const text = Number.isFinite(number) ? number : `"${number}"`
      body += (i === 0 ? head.slice(1) : head) + text + tail
    }
    // Bytes of ASCII need not be counted before they are written (0.94x; with the comma in the heads 0.79x).
    return Buffer.from(`${body}]}`, 'latin1')
  }

  /** Keys that stand under another name and have not been taken since the last call. */
  takeUntold(): string[] {
    const untold = [...this.#untold]
    this.#untold.clear()
    return untold
  }

  putBack(untold: readonly string[]): void {
    for (const original of untold) this.#untold.add(original)
  }

  #head(batch: PointBatch, series: number): string {
    const key = batch.keyOf(series)
    const mapped = mlflowKey(key)
    if (mapped !== key) this.#untold.add(key)
    const head = `,{"key":${asciiJson(mapped)},"value":`
    this.#heads[series] = head
    return head
  }
}

/** Why MLflow would not take a point of the batch, or null when it takes all. */
export function refusedPoint(batch: PointBatch): string | null {
  for (let i = 0; i < batch.count; i += 1) {
    const time = batch.time[i]!
    const step = batch.step[i]!
    // The points of one event have its time and step.
    if (i > 0 && time === batch.time[i - 1] && step === batch.step[i - 1]) continue
    if (!Number.isSafeInteger(time) || time < 0)
      return `MLflow takes timestamps as whole milliseconds from 1970 on, this one is ${time}`
    if (!Number.isSafeInteger(step)) return `MLflow takes whole steps below 2^53, this one is ${step}`
  }
  return null
}

/** Longest value of a param and of a tag: MLflow cuts longer ones without a word (mlflow/utils/validation.py). */
const MAX_VALUE = { params: 6000, tags: 8000 } as const

/** A value that says itself that it was cut. */
function fitted(value: string, limit: number): string {
  if (value.length <= limit) return value
  const note = `… [${value.length} characters]`
  return value.slice(0, limit - note.length) + note
}

/** A param or tag as MLflow gets it, and keeps it. */
export const encodeText = (kind: TextBatch['kind'], name: string, value: string): readonly [string, string] => [
  mlflowKey(name),
  fitted(value, MAX_VALUE[kind]),
]

export const encodeTexts = (runId: string, { kind, entries }: TextBatch): string =>
  JSON.stringify({
    run_id: runId,
    [kind]: entries.map(([name, text]) => {
      const [key, value] = encodeText(kind, name, text)
      return { key, value }
    }),
  })
