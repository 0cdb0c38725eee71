import type { Counters } from '../telemetry/counters.ts'
import { dropped, EVENTS_CHANNEL_FULL, EVENTS_OF, NUMBERS, POINTS } from '../telemetry/counters.ts'
import type { Channel } from './channel.ts'
import { CHUNK_POINTS, columnsOf, type Columns } from './chunk.ts'
import type { EventLevel, EventRow, PackedSpans, RunMessage } from './messages.ts'

const CHANNEL_FULL = dropped('channel_full')

export type Offer = 'ok' | 'full' | 'closed'

/** Bytes of an event beside its texts. */
const ROW_BYTES = 100

const bytesOf = ({ target, message, fields }: EventRow): number =>
  2 * (target.length + message.length + fields.length) + ROW_BYTES

/**
 * One run's end of the channel: its points gather in a chunk, and whatever else is said of the run keeps its place among
 * them. `offer()` never waits and never throws; what finds no buffer is dropped and counted.
 */
export class ChannelProducer {
  /** Number of the run in this process. */
  readonly run: number
  readonly #channel: Channel
  readonly #counters: Counters
  #buffer: ArrayBuffer | null = null
  #columns: Columns | null = null
  #count = 0
  #events: EventRow[] = []
  #eventBytes = 0

  /** Made by `Channel.producer`. */
  constructor(channel: Channel, run: number, counters: Counters) {
    this.#channel = channel
    this.run = run
    this.#counters = counters
  }

  offer(series: number, step: number, time: number, value: number): Offer {
    if (this.#columns === null && !this.#open()) {
      this.#counters.add(CHANNEL_FULL, 1)
      return this.#channel.isClosed ? 'closed' : 'full'
    }
    const columns = this.#columns!
    const at = this.#count
    columns.value[at] = value
    columns.step[at] = step
    columns.time[at] = time
    columns.series[at] = series
    this.#count = at + 1
    if (this.#count === CHUNK_POINTS) this.flush()
    return 'ok'
  }

  /**
   * Offers the first `count` of some points of one step and time: the columns are looked up once for all of them, by which a span of
   * 22 points is read and taken in a sixth less time (`bench/otlp.ts`).
   */
  offerAll(count: number, series: Int32Array, step: number, time: number, values: Float64Array): void {
    const columns = this.#columns
    if (columns === null || this.#count + count > CHUNK_POINTS) {
      for (let i = 0; i < count; i += 1) this.offer(series[i]!, step, time, values[i]!)
      return
    }
    const { value, step: steps, time: times, series: ids } = columns
    let at = this.#count
    for (let i = 0; i < count; i += 1) {
      value[at] = values[i]!
      steps[at] = step
      times[at] = time
      ids[at] = series[i]!
      at += 1
    }
    this.#count = at
    if (at === CHUNK_POINTS) this.flush()
  }

  /** Sends spans; `bytes` is given away. */
  spans(spans: PackedSpans): void {
    if (this.#channel.isClosed) return
    this.flush()
    const { byteLength } = spans.bytes
    this.#channel.send({ kind: 'spans', run: this.run, spans }, [spans.bytes.buffer as ArrayBuffer])
    this.#channel.holdSpans(byteLength, this.run)
  }

  /** Keeps an event for the journal; where there is no room it is not even made, but counted. */
  event(level: EventLevel, make: () => EventRow): void {
    if (!this.#channel.takesEvents) {
      this.#counters.add(EVENTS_OF[level], 1)
      this.#counters.add(EVENTS_CHANNEL_FULL, 1)
      return
    }
    const row = make()
    const bytes = bytesOf(row)
    this.#events.push(row)
    this.#eventBytes += bytes
    this.#channel.holdEvents(bytes)
  }

  /** Anything that must keep its place among the points: what stands in the open chunk goes first. */
  post(message: RunMessage): void {
    this.flush()
    this.#channel.send({ ...message, run: this.run })
  }

  /** A series definition: its points come later, so nothing has to leave before it. */
  define(id: number, key: string): void {
    this.#channel.send({ kind: 'series', run: this.run, id, key })
  }

  /** To be called after each piece of input: what is waiting leaves within 5 ms. */
  touch(): void {
    this.#channel.touch(this)
  }

  /** Whether points wait in the open chunk. */
  get hasPoints(): boolean {
    return this.#count > 0
  }

  /** Whether the run has a buffer that is being filled. */
  get hasBuffer(): boolean {
    return this.#buffer !== null
  }

  /** Sends the open chunk with the counts so far, or the counts alone. */
  flush(): void {
    if (this.#channel.isClosed) return
    if (this.#events.length > 0) this.#sendEvents()
    const counts = this.#takeCounts()
    if (this.#buffer !== null && this.#count > 0) {
      const buffer = this.#buffer
      this.#channel.send({ kind: 'points', run: this.run, buffer, count: this.#count, counts }, [buffer])
      this.#buffer = null
      this.#columns = null
      this.#count = 0
    } else if (counts !== null) {
      this.#channel.send({ kind: 'counts', run: this.run, counts })
    }
  }

  /** The channel is closed: what stands in the open chunk is gone. */
  forget(): void {
    this.#buffer = null
    this.#columns = null
    this.#count = 0
    this.#events = []
  }

  /**
   * The counts that go with the open chunk, or alone. It may be full in the middle of an event whose points are not counted
   * yet: they are now, and taken off what comes, so that whatever is committed adds up, also where the process dies then.
   */
  #takeCounts(): Float64Array | null {
    const { values } = this.#counters
    const ahead = this.#count + values[CHANNEL_FULL]! - values[POINTS]!
    if (ahead === 0) return this.#counters.take()
    for (const counter of [NUMBERS, POINTS]) this.#counters.add(counter, ahead)
    const counts = this.#counters.take()
    for (const counter of [NUMBERS, POINTS]) this.#counters.add(counter, -ahead)
    return counts
  }

  #sendEvents(): void {
    const [events, bytes] = [this.#events, this.#eventBytes]
    this.#events = []
    this.#eventBytes = 0
    this.#channel.send({ kind: 'events', run: this.run, events })
    this.#channel.releaseEvents(bytes, this.run)
  }

  #open(): boolean {
    const buffer = this.#channel.buffer()
    if (buffer === null) return false
    this.#buffer = buffer
    this.#columns = columnsOf(buffer, CHUNK_POINTS)
    this.#count = 0
    return true
  }
}
