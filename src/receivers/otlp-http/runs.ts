import type { Channel } from '../../channel/channel.ts'
import type { ChannelProducer } from '../../channel/producer.ts'
import type { Opened, RunStart } from '../../channel/messages.ts'
import type { Fields } from '../../layer/event.ts'
import type { SpanLayer, SpanRun } from '../../layer/spans.ts'
import { readTraces, type OtlpSpan, type ReadOptions } from '../../otlp/traces.ts'
import { ownerOf, type Owner } from './identity.ts'
import type { SpanPacker } from './packer.ts'

/** Most runs from the network at a time: whoever can reach the port must not be able to fill the disk with files. */
export const MAX_RUNS = 64

/** A run that OTLP comes into. */
export interface OtlpRun {
  /** ULID; another one once it is known that an earlier run goes on. */
  ulid: string
  readonly producer: ChannelProducer
  readonly packer: SpanPacker
  readonly into: SpanRun
  /** Resolves when what an earlier process knew of the run is known here. */
  ready: Promise<void>
}

/** What is known of a run that a sender begins. */
export type NetworkStart = Pick<RunStart, 'identity' | 'trackerRun'> & { name: string | null }

export interface RunsOptions {
  /** The run of this process, with which the ids of a sender are compared; null: there is none. */
  main: OtlpRun | null
  /** Everything goes into it, whatever the senders say of themselves. */
  isOnlyMain: boolean
  identity: readonly string[]
  acceptIds: boolean
  idleMs: number
  begin: (start: NetworkStart) => OtlpRun
  /** Nothing has come of a run for long: it ends. */
  end: (run: OtlpRun, time: number) => void
}

interface Known {
  run: OtlpRun
  /** UTC ms when something came last. */
  lastAt: number
}

/** The runs that come from the network: found, or begun, by what their senders say of themselves. */
export class NetworkRuns {
  readonly #options: RunsOptions
  readonly #known = new Map<string, Known>()
  /** By the object of a resource: most requests have one or two. */
  #cache = new WeakMap<Fields, OtlpRun>()

  constructor(options: RunsOptions) {
    this.#options = options
  }

  get all(): OtlpRun[] {
    return [...this.#known.values()].map(({ run }) => run)
  }

  /** The run of a resource, or null when there are too many. `now` is UTC ms. */
  of(resource: Fields, now: number): OtlpRun | null {
    const known = this.#cache.get(resource)
    if (known !== undefined) return known
    const run = this.#find(resource, now)
    if (run !== null) this.#cache.set(resource, run)
    return run
  }

  /** Ends those of which nothing has come for long. */
  endIdle(now: number): void {
    for (const [key, { run, lastAt }] of this.#known) {
      if (now - lastAt < this.#options.idleMs) continue
      this.#known.delete(key)
      this.#options.end(run, lastAt)
    }
  }

  #find(resource: Fields, now: number): OtlpRun | null {
    const { main, isOnlyMain, identity: attributes, acceptIds } = this.#options
    if (main !== null && isOnlyMain) return main
    const isOurs = (ulid: string): boolean => this.#ours(ulid) !== null
    const owner = ownerOf(resource, { attributes, acceptIds, isOurs })
    if (owner.kind === 'run') return this.#touch(this.#ours(owner.ulid)!, now)
    if (main !== null && attributes.length === 0 && owner.kind === 'identity') return main
    const start = startOf(owner)
    const known = this.#known.get(start.identity!)
    if (known !== undefined) return this.#touch(known.run, now)
    if (this.#known.size >= MAX_RUNS) return null
    const run = this.#options.begin(start)
    this.#known.set(start.identity!, { run, lastAt: now })
    return run
  }

  #touch(run: OtlpRun, now: number): OtlpRun {
    for (const known of this.#known.values()) if (known.run === run) known.lastAt = now
    return run
  }

  #ours(ulid: string): OtlpRun | null {
    const { main } = this.#options
    if (main?.ulid === ulid) return main
    return this.all.find((run) => run.ulid === ulid) ?? null
  }
}

function startOf(owner: Exclude<Owner, { kind: 'run' }>): NetworkStart {
  if (owner.kind === 'identity') return { identity: owner.identity, trackerRun: null, name: owner.name }
  return { identity: `mlflow:${owner.runId}`, trackerRun: owner.runId, name: null }
}

export interface GoingOn {
  layer: SpanLayer
  channel: Channel
  reading: ReadOptions
}

/** Tells the layer what an earlier process knew of a run, a piece at a time: the thread has other things to do. */
export async function goOn(run: OtlpRun, opened: Opened, { layer, channel, reading }: GoingOn): Promise<void> {
  const { ulid, spans, waiting } = opened
  run.ulid = ulid
  const wanted = new Set(waiting.map(({ span }) => span))
  const found = new Map<string, OtlpSpan>()
  for (const request of spans) {
    const read = readTraces(request, reading)
    layer.know(read)
    for (const span of read) if (wanted.has(span.traceId + span.spanId)) found.set(span.traceId + span.spanId, span)
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (waiting.length > 0) channel.whole(() => layer.goOnWaiting(waiting, run.into, (id) => found.get(id), reading))
}
