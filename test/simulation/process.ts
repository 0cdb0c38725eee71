import type { FromDelivery, Outcome, RunMessage, RunStart, ToDelivery } from '../../src/channel/messages.ts'
import type { Settings } from '../../src/config/settings.ts'
import { DeliveryThread } from '../../src/delivery/thread.ts'
import type { Exporter } from '../../src/exporters/exporter.ts'
import { createExporters } from '../../src/exporters/index.ts'
import { Via } from '../../src/otlp/via.ts'
import type { Disk } from './disk.ts'
import type { Network } from './network.ts'
import type { Random } from './random.ts'
import { Crash, type Life, type Time } from './time.ts'
import type { Counts, Trainer } from './trainer.ts'

/** Most time between two messages of a request: more than a commit is put off. */
const LONGEST_GAP_MS = 100

/** An exporter that takes fewer points, or spans, at a time: batches begin and end within blocks, then. */
function inBatchesOf(count: number, exporter: Exporter): Exporter {
  const main = exporter.accepts.points === undefined ? 'spans' : 'points'
  return { ...exporter, accepts: { ...exporter.accepts, [main]: count } }
}

/** What processes run in. */
export interface Surroundings {
  time: Time
  random: Random
  disk: Disk
  network: Network
  settings: Settings
  /** Most points, or spans, of a request, so that short runs are many of them. */
  batch: number
  stateDir: string
  trace: (line: string) => void
  /** The trainer of a run that has its journal, a new one where `start` has made a new run. */
  trainerOf: (run: string, start: RunStart) => Trainer
}

/** What a barrier tells of a run once it is passed. */
interface Mark extends Counts {
  trainer: Trainer
}

/** What a process may be told to bridge: a run that is known, or a new one. */
export interface Begun {
  start: RunStart
  /** Journal of an earlier run that goes on. */
  resume: string | null
}

/**
 * One process with a real delivery thread; what stands before that on the way is played. Messages arrive in order, each
 * a moment after the one before.
 */
export class Process {
  readonly life: Life = { alive: true }
  readonly thread: DeliveryThread
  outcome: Outcome | null = null
  isReady = false
  /** Buffers that have not come back. */
  buffers = 0
  /** By their numbers; null while it is not known which one it is. */
  readonly #runs: (Trainer | null)[] = []
  readonly #starts: RunStart[] = []
  readonly #barriers = new Map<number, Mark[]>()
  readonly #surroundings: Surroundings
  #barrier = 0
  #sentAt = 0
  /** What is known to be on disk, by trainer. */
  readonly acked = new Map<Trainer, Counts>()
  /** Journals whose disk has failed and does not work again yet: something of them is in memory only. */
  readonly #overflown = new Set<string>()

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
    const { settings, stateDir, time, network, random, batch } = surroundings
    const via = new Via(`process${random.whole(0, 1e9)}`)
    const dispatcher = network.dispatcherOf(this.life)
    this.thread = new DeliveryThread({
      settings,
      stateDir,
      command: 'spanbridge',
      createExporters: (trackerRun) =>
        createExporters({ settings, via, dispatcher }, trackerRun).map((exporter) => inBatchesOf(batch, exporter)),
      onVia: () => {},
      post: (message) => this.#hear(message),
      clock: time.clockOf(this.life),
    })
  }

  /** Dies: nothing of it goes on. */
  kill(): never {
    this.#surroundings.trace('killed')
    this.life.alive = false
    this.#surroundings.disk.release(this.life)
    throw new Crash()
  }

  get isOverflown(): boolean {
    return this.#overflown.size > 0
  }

  /** Barriers that are not passed yet. */
  get unanswered(): number {
    return this.#barriers.size
  }

  /** The runs that have their journals. */
  get runs(): readonly Trainer[] {
    return this.#runs.filter((trainer) => trainer !== null)
  }

  /** How many were begun. */
  get begun(): readonly RunStart[] {
    return this.#starts
  }

  begin({ start, resume }: Begun): void {
    this.#runs.push(null)
    this.#starts.push(start)
    this.#send({ kind: 'run', run: this.#runs.length - 1, start, resume })
  }

  /** Says something of a run, together and with a barrier behind it where `isRequest`. */
  say(trainer: Trainer, messages: readonly RunMessage[], isRequest: boolean): void {
    const run = this.#runs.indexOf(trainer)
    // Now and then commits are due while only a part of a request is here.
    const gap = isRequest && this.#surroundings.random.chance(0.3) ? LONGEST_GAP_MS : 0
    if (isRequest) this.#send({ kind: 'begin' })
    for (const message of messages) {
      if (message.kind === 'points') this.buffers += 1
      this.#send({ ...message, run }, gap)
    }
    if (isRequest) this.#send({ kind: 'complete' })
    if (isRequest) this.barrier([trainer])
  }

  /** Wants to hear when all that has been said is committed. */
  barrier(trainers: readonly Trainer[]): void {
    this.#barrier += 1
    this.#barriers.set(
      this.#barrier,
      trainers.map((trainer) => ({
        trainer,
        points: trainer.points.length,
        spans: trainer.spans.length,
        events: trainer.events.length,
      })),
    )
    const runs = trainers.map((trainer) => this.#runs.indexOf(trainer))
    this.#send({ kind: 'barrier', id: this.#barrier, runs })
  }

  post(message: ToDelivery): void {
    this.#send(message)
  }

  #send(message: ToDelivery, gap = 0): void {
    const { time, random } = this.#surroundings
    this.#sentAt = Math.max(this.#sentAt + 0.001 + random.next() * gap, time.now + random.next())
    time.after(this.#sentAt - time.now, () => this.thread.take(message), this.life)
  }

  #hear(message: FromDelivery): void {
    if (!this.life.alive) return
    const { trace } = this.#surroundings
    if (message.kind === 'empty') this.buffers -= message.buffers.length
    else if (message.kind === 'ready') this.isReady = true
    else if (message.kind === 'opened') {
      const trainer = this.#surroundings.trainerOf(message.ulid, this.#starts[message.run]!)
      this.#runs[message.run] = trainer
      trainer.bridged(message.waiting)
    } else if (message.kind === 'say') {
      trace(`says: ${message.text}`)
      const path = /^(?:the|no) journal (.*?) (?:can|is damaged)/.exec(message.text)?.[1] ?? ''
      if (/kept in memory/.test(message.text)) this.#overflown.add(path)
      else if (/can be written again/.test(message.text)) this.#overflown.delete(path)
    } else if (message.kind === 'finished') {
      trace(`finished ${JSON.stringify(message.outcome)}`)
      this.outcome = message.outcome
    } else this.#committed(message)
  }

  #committed({ id, durable }: { id: number; durable: boolean }): void {
    const marks = this.#barriers.get(id)!
    this.#barriers.delete(id)
    if (!durable) return
    for (const { trainer, points, spans, events } of marks) {
      const acked = this.acked.get(trainer) ?? { points: 0, spans: 0, events: 0 }
      this.acked.set(trainer, {
        points: Math.max(acked.points, points),
        spans: Math.max(acked.spans, spans),
        events: Math.max(acked.events, events),
      })
    }
  }
}
