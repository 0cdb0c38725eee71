import { Scratch } from '../../channel/scratch.ts'
import { MIN_BYTES } from '../body-memory.ts'
import type { PointBatch, TextBatch } from '../exporter.ts'
import { mlflowKey } from './keys.ts'

/** Most bytes of a number in JSON, or of one in quotes, and of what stands behind it. */
const NUMBER_BYTES = 26
const TAIL_BYTES = 80
const COMMA = 0x2c
const BRACKET = 0x5d

/** Of all encoders, which encode one batch after the other. */
const numberScratch = new Scratch()
const numberList: number[] = []

/** So that the memory of one large body is that of another. */
const rounded = (bytes: number): number => (bytes < MIN_BYTES ? bytes : Math.ceil(bytes / MIN_BYTES) * MIN_BYTES)

/** A string of JSON that is ASCII alone, so that each of its characters is one byte. */
const asciiJson = (text: string): string =>
  JSON.stringify(text).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/**
 * Numbers as a list of JSON, where `null` stands for those that it does not have. V8 remembers the text of each number that is
 * made a string of, and what it remembers lives through two collections; of a list that is stringified it remembers none (0.91x
 * of the processor time from a line to the request).
 */
function numbersAsJson(value: Float64Array, count: number): Buffer {
  numberList.length = count
  for (let i = 0; i < count; i += 1) numberList[i] = value[i]!
  const bytes = Buffer.from(numberScratch.take(count * NUMBER_BYTES + 2))
  bytes.write(JSON.stringify(numberList), 'latin1')
  return bytes
}

/**
 * Bodies of `runs/log-batch`. MLflow answers 200 and loses the rest of a batch when a field does not parse, so that
 * everything is checked here: `run_id` stands first, steps and times are integers, NaN and infinities are quoted.
 */
export class MetricEncoder {
  /** Beginning of a metric by series: `{"key":"...","value":`. */
  readonly #heads: Buffer[] = []
  /** Keys that MLflow takes under another name, and which it has not been told yet. */
  readonly #untold = new Set<string>()

  /** Times and steps are whole numbers, see `refusedPoint`. `take` gives memory of so many bytes or more, whose beginning the body is. */
  encode(runId: string, batch: PointBatch, take: (bytes: number) => Buffer): Buffer {
    const { count, value, time, step, series } = batch
    const beginning = `{"run_id":${asciiJson(runId)},"metrics":[`
    // Written where it goes from: as one string of pieces it cost a fifth of the thread in collections.
    const body = take(rounded(beginning.length + this.#mostBytes(batch)))
    let at = body.write(beginning, 'latin1')
    const numbers = numbersAsJson(value, count)
    let digit = 1
    let tail = 0
    let tailEnd = 0
    for (let i = 0; i < count; i += 1) {
      if (i > 0) body[at++] = COMMA
      const head = this.#heads[series[i]!]!
      body.set(head, at)
      at += head.length
      if (Number.isFinite(value[i]!)) {
        for (let byte = numbers[digit++]!; byte !== COMMA && byte !== BRACKET; byte = numbers[digit++]!)
          body[at++] = byte
      } else {
        digit += 'null,'.length
        at += body.write(`"${value[i]!}"`, at, 'latin1')
      }
      // The points of one event have its time and step: their text is made once (0.87x).
      if (i > 0 && time[i] === time[i - 1] && step[i] === step[i - 1]) {
        body.copyWithin(at, tail, tailEnd)
        at += tailEnd - tail
      } else {
        tail = at
        at += body.write(`,"timestamp":${time[i]!},"step":${step[i]!}}`, at, 'latin1')
        tailEnd = at
      }
    }
    at += body.write(']}', at, 'latin1')
    return body.subarray(0, at)
  }

  /** More bytes than the metrics of a batch take; their heads are known from here on. */
  #mostBytes(batch: PointBatch): number {
    let bytes = 0
    for (let i = 0; i < batch.count; i += 1)
      bytes += (this.#heads[batch.series[i]!] ?? this.#head(batch, batch.series[i]!)).length
    return bytes + batch.count * (1 + NUMBER_BYTES + TAIL_BYTES) + 2
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

  #head(batch: PointBatch, series: number): Buffer {
    const key = batch.keyOf(series)
    const mapped = mlflowKey(key)
    if (mapped !== key) this.#untold.add(key)
    const head = Buffer.from(`{"key":${asciiJson(mapped)},"value":`)
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
