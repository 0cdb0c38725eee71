import type { Counters } from '../telemetry/counters.ts'
import { CHUNK_POINTS, POINT_BYTES } from './chunk.ts'
import type { ToDelivery } from './messages.ts'
import { ChannelProducer } from './producer.ts'

/** A partly filled chunk leaves after this long, ... */
const FLUSH_MS = 5
/** ... but only while fewer chunks than this are under way: under load chunks fill up by themselves. */
const FEW_UNDER_WAY = 2

/** What events of level WARN and above may take while they wait for the journal. */
const MAX_EVENT_BYTES = 8 << 20

/** The end of a port that sends. */
export interface Port {
  postMessage(message: ToDelivery, transfer?: ArrayBuffer[]): void
}

export type WhenFull = 'drop-newest' | 'block'

/** What a barrier came to: on disk, in memory only (the disk cannot take it), or nobody is there to commit it. */
export type Committed = 'durable' | 'volatile' | 'closed'

/**
 * The ingest thread's end of the channel, which all runs share. Bounded by its pool of chunk buffers: `capacity` points in
 * all, 28 bytes each, allocated as they are needed. When the pool is used up:
 *
 * - `drop-newest`: the newest points are dropped and counted; the trainer never waits.
 * - `block`: the receiver stops reading at `isFull`, and so makes the writer wait. What it has read already is taken
 *   beyond the pool: no more than one piece of input.
 *
 * Events of level WARN and above have a budget of 8 MB of their own, by the same two policies.
 */
export class Channel {
  readonly #port: Port
  readonly #idle: ArrayBuffer[] = []
  readonly #maxChunks: number
  readonly #whenFull: WhenFull
  readonly #producers = new Set<ChannelProducer>()
  #allocated = 0
  /** Runs that have something to send before long. */
  readonly #touched = new Set<ChannelProducer>()
  #timer: NodeJS.Timeout | null = null
  #closed = false
  #onRoom = new Set<() => void>()
  /** What is taken must not be dropped: the pool may be exceeded. */
  #isForced = false
  #lastBarrier = 0
  readonly #barriers = new Map<number, (outcome: Committed) => void>()
  #spanBytes = 0
  #eventBytes = 0

  constructor(port: Port, capacity: number, whenFull: WhenFull) {
    this.#port = port
    this.#whenFull = whenFull
    this.#maxChunks = Math.max(2, Math.ceil(capacity / CHUNK_POINTS))
  }

  /** A run's end of it; `counters` are sent beside its points. */
  producer(run: number, counters: Counters): ChannelProducer {
    const producer = new ChannelProducer(this, run, counters)
    this.#producers.add(producer)
    return producer
  }

  /** Nothing comes of a run any more. */
  leave(producer: ChannelProducer): void {
    producer.post({ kind: 'leave' })
    this.#producers.delete(producer)
    this.#touched.delete(producer)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Whether the pool, or the room for events, is used up; a closed channel is never full. */
  get isFull(): boolean {
    if (this.#closed) return false
    return (this.#idle.length === 0 && this.#allocated >= this.#maxChunks) || this.#eventBytes >= MAX_EVENT_BYTES
  }

  /** Share of the pool that is in use. */
  get used(): number {
    return (this.#allocated - this.#idle.length) / this.#maxChunks
  }

  /** Calls `then` once, when a buffer has come back (or the channel is closed); asked twice with the same, once. */
  whenRoom(then: () => void): void {
    this.#onRoom.add(then)
  }

  /**
   * Runs `take`: of its points none is dropped, and all that it sends is committed together or not at all. For input that
   * is refused whole beforehand, or taken whole.
   */
  whole(take: () => void): void {
    this.#isForced = true
    this.send({ kind: 'begin' })
    try {
      take()
    } finally {
      this.#isForced = false
      this.#flush()
      this.send({ kind: 'complete' })
    }
  }

  /** Spans that wait for the journal, in bytes. */
  get spanBytes(): number {
    return this.#spanBytes
  }

  /** Counts bytes of spans until they are committed. */
  holdSpans(bytes: number, run: number): void {
    this.#spanBytes += bytes
    void this.barrier([run]).then(() => (this.#spanBytes -= bytes))
  }

  /** Whether there is room for an event; where nothing may be dropped there always is. */
  get takesEvents(): boolean {
    if (this.#closed) return false
    return this.#eventBytes < MAX_EVENT_BYTES || this.#isForced || this.#whenFull === 'block'
  }

  /** Counts bytes of events ... */
  holdEvents(bytes: number): void {
    this.#eventBytes += bytes
  }

  /** ... until what has been sent by now is committed. */
  releaseEvents(bytes: number, run: number): void {
    void this.#ask([run]).then(() => this.#eventsLeft(bytes))
  }

  #eventsLeft(bytes: number): void {
    this.#eventBytes -= bytes
    this.#tellRoom()
  }

  /** Resolves when everything up to here is committed; `runs`: those whose disk is asked for. */
  barrier(runs: readonly number[]): Promise<Committed> {
    this.#flush()
    return this.#ask(runs)
  }

  /** The same of all that has been sent. */
  #ask(runs: readonly number[]): Promise<Committed> {
    if (this.#closed) return Promise.resolve('closed')
    const id = (this.#lastBarrier += 1)
    this.send({ kind: 'barrier', id, runs })
    return new Promise((resolve) => this.#barriers.set(id, resolve))
  }

  /** A barrier has been passed. */
  committed(id: number, durable: boolean): void {
    this.#barriers.get(id)?.(durable ? 'durable' : 'volatile')
    this.#barriers.delete(id)
  }

  /** What concerns all runs: what stands in their open chunks goes first. */
  post(message: Exclude<ToDelivery, { run: number }>): void {
    this.#flush()
    this.send(message)
  }

  /** Sends as it is, in the one order of the port. */
  send(message: ToDelivery, transfer?: ArrayBuffer[]): void {
    if (!this.#closed) this.#port.postMessage(message, transfer)
  }

  /** What a run has waiting leaves within 5 ms. */
  touch(producer: ChannelProducer): void {
    if (this.#closed) return
    this.#touched.add(producer)
    this.#timer ??= setTimeout(() => this.#onTimer(), FLUSH_MS)
  }

  /** Takes back buffers whose points are committed. */
  recycle(buffers: readonly ArrayBuffer[]): void {
    for (const buffer of buffers) {
      if (this.#allocated > this.#maxChunks) this.#allocated -= 1
      else this.#idle.push(buffer)
    }
    this.#tellRoom()
  }

  /** A buffer for a chunk, or null when there is none. */
  buffer(): ArrayBuffer | null {
    if (this.#closed) return null
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#allocated >= this.#maxChunks && this.#whenFull === 'drop-newest' && !this.#isForced) return null
    this.#allocated += 1
    return new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
  }

  /** Nothing is sent any more; what is offered from now on is counted as dropped. */
  close(): void {
    this.#closed = true
    for (const producer of this.#producers) producer.forget()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#tellRoom()
    for (const resolve of this.#barriers.values()) resolve('closed')
    this.#barriers.clear()
  }

  #onTimer(): void {
    this.#timer = null
    for (const producer of this.#touched) {
      // With nothing but counts to tell, there is no chunk to be saved up.
      if (producer.hasPoints && this.#underWay >= FEW_UNDER_WAY) continue
      this.#touched.delete(producer)
      producer.flush()
    }
    if (this.#touched.size > 0) this.#timer = setTimeout(() => this.#onTimer(), FLUSH_MS)
  }

  #flush(): void {
    for (const producer of this.#producers) producer.flush()
  }

  #tellRoom(): void {
    const waiting = [...this.#onRoom]
    this.#onRoom.clear()
    for (const then of waiting) then()
  }

  get #underWay(): number {
    let filling = 0
    for (const producer of this.#producers) if (producer.hasBuffer) filling += 1
    return this.#allocated - this.#idle.length - filling
  }
}
