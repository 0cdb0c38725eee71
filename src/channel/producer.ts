import type { Counters } from '../telemetry/counters.ts'
import { dropped } from '../telemetry/counters.ts'
import { CHUNK_POINTS, columnsOf, POINT_BYTES, type Columns } from './chunk.ts'
import type { PackedSpans, ToDelivery } from './messages.ts'

/** A partly filled chunk leaves after this long, ... */
const FLUSH_MS = 5
/** ... but only while fewer chunks than this are under way: under load chunks fill up by themselves. */
const FEW_UNDER_WAY = 2

const CHANNEL_FULL = dropped('channel_full')

/** The end of a port that sends. */
export interface Port {
  postMessage(message: ToDelivery, transfer?: ArrayBuffer[]): void
}

export type WhenFull = 'drop-newest' | 'block'
export type Offer = 'ok' | 'full' | 'closed'

/** What a barrier came to: on disk, in memory only (the disk cannot take it), or nobody is there to commit it. */
export type Committed = 'durable' | 'volatile' | 'closed'

/**
 * The ingest thread's end of the channel. Bounded by its pool of chunk buffers: `capacity` points in all, 28 bytes
 * each, allocated as they are needed. `offer()` never waits and never throws. When the pool is used up:
 *
 * - `drop-newest`: the newest points are dropped and counted; the trainer never waits.
 * - `block`: the receiver stops reading at `isFull`, and so makes the writer wait. What it has read already is taken
 *   beyond the pool: no more than one piece of input.
 */
export class ChannelProducer {
  readonly #port: Port
  readonly #counters: Counters
  readonly #idle: ArrayBuffer[] = []
  readonly #maxChunks: number
  readonly #whenFull: WhenFull
  #allocated = 0
  #buffer: ArrayBuffer | null = null
  #columns: Columns | null = null
  #count = 0
  #timer: NodeJS.Timeout | null = null
  #closed = false
  #onRoom = new Set<() => void>()
  /** What is taken must not be dropped: the pool may be exceeded. */
  #isForced = false
  #lastBarrier = 0
  readonly #barriers = new Map<number, (outcome: Committed) => void>()
  #spanBytes = 0

  constructor(port: Port, counters: Counters, capacity: number, whenFull: WhenFull) {
    this.#port = port
    this.#counters = counters
    this.#whenFull = whenFull
    this.#maxChunks = Math.max(2, Math.ceil(capacity / CHUNK_POINTS))
  }

  /** Whether the pool is used up; a closed channel is never full. */
  get isFull(): boolean {
    return !this.#closed && this.#idle.length === 0 && this.#allocated >= this.#maxChunks
  }

  /** Calls `then` once, when a buffer has come back (or the channel is closed); asked twice with the same, once. */
  whenRoom(then: () => void): void {
    this.#onRoom.add(then)
  }

  offer(series: number, step: number, time: number, value: number): Offer {
    if (this.#columns === null && !this.#open()) {
      this.#counters.add(CHANNEL_FULL, 1)
      return this.#closed ? 'closed' : 'full'
    }
    const columns = this.#columns!
    const at = this.#count
    columns.value[at] = value
    columns.step[at] = step
    columns.time[at] = time
    columns.series[at] = series
    this.#count = at + 1
    if (this.#count === CHUNK_POINTS) this.#send()
    return 'ok'
  }

  /** Runs `take`, of whose points none is dropped: for input that is refused whole beforehand, or taken whole. */
  whole(take: () => void): void {
    this.#isForced = true
    try {
      take()
    } finally {
      this.#isForced = false
    }
  }

  /** Spans that wait for the journal, in bytes. */
  get spanBytes(): number {
    return this.#spanBytes
  }

  /** Sends spans; `bytes` is given away. */
  spans(spans: PackedSpans): void {
    if (this.#closed) return
    this.#spanBytes += spans.bytes.byteLength
    this.#send()
    this.#port.postMessage({ kind: 'spans', spans }, [spans.bytes.buffer as ArrayBuffer])
    const { byteLength } = spans.bytes
    void this.barrier().then(() => (this.#spanBytes -= byteLength))
  }

  /** Resolves when everything up to here is committed. */
  barrier(): Promise<Committed> {
    if (this.#closed) return Promise.resolve('closed')
    const id = (this.#lastBarrier += 1)
    this.post({ kind: 'barrier', id })
    return new Promise((resolve) => this.#barriers.set(id, resolve))
  }

  /** A barrier has been passed. */
  committed(id: number, durable: boolean): void {
    this.#barriers.get(id)?.(durable ? 'durable' : 'volatile')
    this.#barriers.delete(id)
  }

  /** Anything that must keep its place among the points: what stands in the open chunk goes first. */
  post(message: ToDelivery): void {
    if (this.#closed) return
    this.#send()
    this.#port.postMessage(message)
  }

  /** A series definition: its points come later, so nothing has to leave before it. */
  define(id: number, key: string): void {
    if (!this.#closed) this.#port.postMessage({ kind: 'series', id, key })
  }

  /** To be called after each piece of input: what is waiting leaves within 5 ms. */
  touch(): void {
    if (this.#timer !== null || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      // With nothing but counts to tell, there is no chunk to be saved up.
      if (this.#count === 0 || this.#underWay < FEW_UNDER_WAY) this.#send()
      else this.touch()
    }, FLUSH_MS)
  }

  /** Takes back buffers whose points are committed. */
  recycle(buffers: readonly ArrayBuffer[]): void {
    for (const buffer of buffers) {
      if (this.#allocated > this.#maxChunks) this.#allocated -= 1
      else this.#idle.push(buffer)
    }
    this.#tellRoom()
  }

  /** Nothing is sent any more; what is offered from now on is counted as dropped. */
  close(): void {
    this.#closed = true
    this.#columns = null
    this.#buffer = null
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#tellRoom()
    for (const resolve of this.#barriers.values()) resolve('closed')
    this.#barriers.clear()
  }

  #tellRoom(): void {
    const waiting = [...this.#onRoom]
    this.#onRoom.clear()
    for (const then of waiting) then()
  }

  get #underWay(): number {
    return this.#allocated - this.#idle.length - (this.#buffer === null ? 0 : 1)
  }

  #open(): boolean {
    if (this.#closed) return false
    let buffer = this.#idle.pop()
    if (buffer === undefined) {
      if (this.#allocated >= this.#maxChunks && this.#whenFull === 'drop-newest' && !this.#isForced) return false
      this.#allocated += 1
      buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
    }
    this.#buffer = buffer
    this.#columns = columnsOf(buffer, CHUNK_POINTS)
    this.#count = 0
    return true
  }

  /** The open chunk with the counts so far, or the counts alone. */
  #send(): void {
    const counts = this.#counters.take()
    if (this.#buffer !== null && this.#count > 0) {
      const buffer = this.#buffer
      this.#port.postMessage({ kind: 'points', buffer, count: this.#count, counts }, [buffer])
      this.#buffer = null
      this.#columns = null
      this.#count = 0
    } else if (counts !== null) {
      this.#port.postMessage({ kind: 'counts', counts })
    }
  }
}
