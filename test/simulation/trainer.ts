import { columnsOf, CHUNK_POINTS } from '../../src/channel/chunk.ts'
import type { EndStatus, EventRow, RunMessage, RunStart, WaitingRow } from '../../src/channel/messages.ts'
import { COUNTERS, EVENTS, NUMBERS, POINTS, skipped, SPANS, WAITING } from '../../src/telemetry/counters.ts'
import type { Random } from './random.ts'
import { REFUSED_KEY, REFUSED_TEXT, REFUSED_VALUE, SAME_KEY } from './servers.ts'

/** A point as the trainer has written it. */
export interface Written {
  key: string
  step: number
  time: number
  value: number
}

/** How many of each kind. */
export interface Counts {
  points: number
  spans: number
  events: number
}

/** Params that runs begin with, or with the first of them; the tracker refuses the other one. */
export const START_PARAMS: RunStart['params'] = [
  ['lr', '3e-4'],
  ['refused', REFUSED_TEXT],
]

const KEYS = ['trainer/loss', 'trainer/acc%', 'misc/grad norm', 'actor/reward'] as const
const NO_STEP = skipped('no_step')

/**
 * A trainer, with all that stands between it and the channel: says of one run what a real one would say, and keeps what
 * it has said. It outlives the processes that bridge it.
 */
export class Trainer {
  readonly start: RunStart
  readonly points: Written[] = []
  readonly spans: string[] = []
  /** Those of level WARN and above. */
  readonly events: EventRow[] = []
  /** Each with all the values that it was given. */
  readonly params = new Map<string, Set<string>>()
  end: { status: EndStatus; time: number } | null = null
  readonly #random: Random
  readonly #number: number
  readonly #hasPoison: boolean
  #series = new Map<string, number>()
  #hasHead = false
  /** Events that it has ever written: of those that were lost the number does not come again. */
  #event = 0
  #waiting: WaitingRow[] = []
  #waitingId = 0
  #step = 0
  #value = 0
  #time = 1_790_000_000_000

  /** `number` tells it from all others. */
  constructor(number: number, start: RunStart, random: Random) {
    this.#number = number
    this.start = start
    this.#random = random
    // What an earlier process of the run has said of it.
    for (const param of START_PARAMS) this.know(param)
    this.#hasPoison = random.chance(0.3)
    for (const param of start.params) this.know(param)
  }

  /** Another process bridges it from here on; `waiting`: what waits there. */
  bridged(waiting: readonly WaitingRow[]): void {
    this.#series = new Map()
    this.#hasHead = false
    this.#waiting = [...waiting]
    this.#waitingId = Math.max(this.#waitingId, ...waiting.map(({ id }) => id + 1))
  }

  /** A process has died: only so much of what it was told is in the journal. @returns the points that are not */
  lost({ points, spans, events }: Counts): Written[] {
    this.spans.splice(spans)
    this.events.splice(events)
    return this.points.splice(points)
  }

  /** The next thing that it does, as the messages it makes. */
  act(): RunMessage[] {
    const random = this.#random
    const what = random.next()
    if (what < 0.54) return this.#points(random.long(1, 250))
    if (what < 0.6) return [this.#events(random.chance(0.15) ? random.whole(3000, 7000) : random.long(1, 30))]
    if (what < 0.75) return this.#request()
    if (what < 0.85) return [this.#skip(random.whole(1, 5))]
    if (what < 0.92) return this.#settle()
    if (what < 0.97) {
      const isPoison = this.#hasPoison && random.chance(0.2)
      const value = isPoison ? REFUSED_TEXT : String(random.whole(0, 2))
      const param: [string, string] = [`p${random.whole(0, 150)}`, value]
      this.know(param)
      return [{ kind: 'params', params: [param] }]
    }
    return [{ kind: 'example', reason: 'no_step', line: 'a line' }]
  }

  /** What the end of the run says: what waits has no step, and how it ended. */
  finish(status: EndStatus, time: number): RunMessage[] {
    this.end = { status, time }
    const waiting = this.#waiting.splice(0)
    const numbers = waiting.reduce((sum, row) => sum + row.numbers, 0)
    const counts = countsOf([
      [WAITING, -numbers],
      [NO_STEP, numbers],
    ])
    return [
      { kind: 'counts', counts },
      { kind: 'settled', ids: waiting.map(({ id }) => id) },
      { kind: 'end', ...this.end },
    ]
  }

  /** A param that it was given. */
  know([name, value]: readonly [string, string]): void {
    const values = this.params.get(name) ?? new Set()
    this.params.set(name, values.add(value))
  }

  #points(count: number, waited = 0): RunMessage[] {
    const messages: RunMessage[] = []
    for (let left = count; left > 0;) {
      const n = Math.min(left, CHUNK_POINTS)
      left -= n
      const buffer = new ArrayBuffer(CHUNK_POINTS * 28)
      const columns = columnsOf(buffer, CHUNK_POINTS)
      for (let i = 0; i < n; i += 1) {
        const point = this.#point()
        if (!this.#series.has(point.key)) {
          this.#series.set(point.key, this.#series.size)
          messages.push({ kind: 'series', id: this.#series.get(point.key)!, key: point.key })
        }
        columns.value[i] = point.value
        columns.step[i] = point.step
        columns.time[i] = point.time
        columns.series[i] = this.#series.get(point.key)!
        this.points.push(point)
      }
      const skip = this.#random.whole(0, 3)
      const counts = countsOf([
        [EVENTS, 1],
        [NUMBERS, n + skip - waited],
        [POINTS, n],
        [NO_STEP, skip],
        [WAITING, -waited],
      ])
      messages.push({ kind: 'points', buffer, count: n, counts })
      waited = 0
    }
    return messages
  }

  #point(): Written {
    const random = this.#random
    this.#time += random.whole(0, 20)
    this.#value += 1
    // Now and then a step back, as a trainer does that goes on from a checkpoint.
    if (random.chance(0.3)) this.#step += random.whole(0, 3)
    if (random.chance(0.01)) this.#step = Math.max(0, this.#step - random.whole(1, 20))
    if (random.chance(0.05)) return { key: SAME_KEY, step: random.whole(0, 2), time: 1, value: 1 }
    if (this.#hasPoison && random.chance(0.02)) return this.#at(REFUSED_KEY, this.#value)
    if (this.#hasPoison && random.chance(0.02)) return this.#at(random.of(KEYS), REFUSED_VALUE, this.#value)
    if (random.chance(0.02)) return this.#at(random.of(KEYS), random.of([Number.NaN, Infinity, -Infinity]), this.#value)
    return this.#at(random.of(KEYS), this.#value)
  }

  /** `time` makes rows of the same value different ones. */
  #at = (key: string, value: number, time = this.#time): Written => ({ key, step: this.#step, time, value })

  #skip(count: number): RunMessage {
    return {
      kind: 'counts',
      counts: countsOf([
        [EVENTS, 1],
        [NUMBERS, count],
        [NO_STEP, count],
      ]),
    }
  }

  /** An OTLP request: spans, points of them, and numbers that wait for their parents. */
  #request(): RunMessage[] {
    const random = this.#random
    const messages: RunMessage[] = []
    if (!this.#hasHead)
      messages.push({ kind: 'head', id: 0, resource: new Uint8Array([0x0a, 0]), scope: new Uint8Array() })
    this.#hasHead = true
    const count = random.long(1, 60)
    const ids = Array.from({ length: count }, (_, i) => (this.spans.length + i + 1).toString(16).padStart(10, '0'))
    const spans = ids.map((id) => spanOf(`${this.#number.toString(16).padStart(6, '0')}${id}`))
    this.spans.push(...spans.map(({ id }) => id))
    const bytes = new Uint8Array(Buffer.concat(spans.map((span) => span.bytes)))
    let end = 0
    const ends = Uint32Array.from(spans, (span) => (end += span.bytes.length))
    messages.push(
      { kind: 'spans', spans: { bytes, ends, heads: new Uint32Array(count) } },
      { kind: 'counts', counts: countsOf([[SPANS, count]]) },
      ...this.#points(random.long(1, 40)),
      this.#events(random.whole(0, 2)),
    )
    if (random.chance(0.5)) messages.push(...this.#wait())
    return messages
  }

  /** A few warnings, or a flood of them. */
  #events(count: number): RunMessage {
    const random = this.#random
    const events = Array.from({ length: count }, (): EventRow => {
      this.#event += 1
      const level = random.chance(0.5) ? 'WARN' : 'ERROR'
      const step = random.chance(0.2) ? null : this.#step
      return { time: this.#time, level, target: 'ppo', message: `event ${this.#event}`, step, fields: '{"a":1}' }
    })
    this.events.push(...events)
    return { kind: 'events', events }
  }

  #wait(): RunMessage[] {
    const rows = Array.from({ length: this.#random.whole(1, 4) }, () => {
      this.#waitingId += 1
      const numbers = this.#random.whole(1, 3)
      return { id: this.#waitingId, since: this.#time, numbers, span: 'ab', part: -1, body: null }
    })
    this.#waiting.push(...rows)
    const numbers = rows.reduce((sum, row) => sum + row.numbers, 0)
    const counts = countsOf([
      [NUMBERS, numbers],
      [WAITING, numbers],
    ])
    return [
      { kind: 'counts', counts },
      { kind: 'waiting', rows },
    ]
  }

  /** The parents of something that waits have come. */
  #settle(): RunMessage[] {
    const row = this.#waiting.splice(this.#random.whole(0, Math.max(0, this.#waiting.length - 1)), 1)[0]
    if (row === undefined) return [this.#skip(1)]
    return [...this.#points(row.numbers, row.numbers), { kind: 'settled', ids: [row.id] }]
  }
}

function countsOf(counts: readonly (readonly [counter: number, n: number])[]): Float64Array {
  const all = new Float64Array(COUNTERS.length)
  for (const [counter, n] of counts) all[counter]! += n
  return all
}

/** A Span message with an id of 8 bytes, as 16 digits. */
function spanOf(id: string): { id: string; bytes: Buffer } {
  const traceId = Buffer.alloc(16, 7)
  const bytes = Buffer.concat([Buffer.from([0x0a, 16]), traceId, Buffer.from([0x12, 8]), Buffer.from(id, 'hex')])
  return { id, bytes }
}
