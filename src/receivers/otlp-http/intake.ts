import type { Channel } from '../../channel/channel.ts'
import type { Fields } from '../../layer/event.ts'
import type { SpanLayer } from '../../layer/spans.ts'
import { logsFromJson, tracesFromJson } from '../../otlp/json.ts'
import { readLogs, type OtlpLog } from '../../otlp/logs.ts'
import type { Encoding, PartialSuccess } from '../../otlp/status.ts'
import { readTraces, type OtlpSpan, type ReadOptions } from '../../otlp/traces.ts'
import { WireError } from '../../otlp/wire.ts'
import { Refusal } from './body.ts'
import { MAX_RUNS, type NetworkRuns, type OtlpRun } from './runs.ts'
import type { SignalPath } from './server.ts'

/** Spans that may wait for the journal, in bytes. */
const MAX_WAITING_BYTES = 64 << 20

export interface IntakeOptions {
  channel: Channel
  runs: NetworkRuns
  layer: SpanLayer
  reading: ReadOptions
  /** Metrics came: said once. */
  onMetrics: () => void
  /** More runs came than there may be. */
  onTooMany: () => void
}

/** What came for one run. */
interface Share {
  spans: OtlpSpan[]
  logs: OtlpLog[]
}

/** Takes OTLP requests into their runs: whole or not at all, and answers when all of it is in the journals. */
export class OtlpIntake {
  readonly #options: IntakeOptions

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** @returns what was refused, for ever; null: nothing. @throws Refusal 400 (no OTLP), 503 (full, or the disk cannot take it) */
  async take(path: SignalPath, body: Buffer, encoding: Encoding): Promise<PartialSuccess | null> {
    const { channel, layer, onMetrics } = this.#options
    if (path === '/v1/metrics') {
      onMetrics()
      return null
    }
    if (this.#isFull) throw full()
    const now = Date.now()
    const { shares, refused } = this.#share(this.#read(path, body, encoding), now)
    await Promise.all([...shares.keys()].map(({ ready }) => ready))
    if (this.#isFull) throw full()
    channel.whole(() => {
      for (const [run, { spans, logs }] of shares) {
        if (logs.length > 0) layer.logs(logs, run.into, now)
        if (spans.length > 0) run.packer.pass(layer.spans(spans, run.into, now))
      }
    })
    const committed = await channel.barrier([...shares.keys()].map(({ producer }) => producer.run))
    if (committed !== 'durable') throw new Refusal(503, 'the journal cannot be written at this moment; come again')
    return refused === 0 ? null : this.#tooMany(refused)
  }

  get #isFull(): boolean {
    const { channel } = this.#options
    return channel.isFull || channel.spanBytes > MAX_WAITING_BYTES
  }

  #tooMany(rejected: number): PartialSuccess {
    this.#options.onTooMany()
    return {
      rejected,
      message: `${MAX_RUNS} runs from the network is the most there can be at a time; let the senders share a resource, or wait until runs have ended`,
    }
  }

  #read(path: SignalPath, body: Buffer, encoding: Encoding): Share {
    const { reading } = this.#options
    const isJson = encoding === 'json'
    try {
      if (path === '/v1/logs')
        return { spans: [], logs: readLogs(isJson ? logsFromJson(body.toString()) : body, reading) }
      return { spans: readTraces(isJson ? tracesFromJson(body.toString()) : body, reading), logs: [] }
    } catch (error) {
      if (error instanceof WireError) throw new Refusal(400, error.message)
      throw error
    }
  }

  /** Whose each item is; those of too many runs are refused. */
  #share({ spans, logs }: Share, now: number): { shares: Map<OtlpRun, Share>; refused: number } {
    const shares = new Map<OtlpRun, Share>()
    let refused = 0
    const shareOf = (resource: Fields): Share | null => {
      const run = this.#options.runs.of(resource, now)
      if (run === null) {
        refused += 1
        return null
      }
      let share = shares.get(run)
      if (share === undefined) shares.set(run, (share = { spans: [], logs: [] }))
      return share
    }
    for (const span of spans) shareOf(span.resource)?.spans.push(span)
    for (const log of logs) shareOf(log.resource)?.logs.push(log)
    return { shares, refused }
  }
}

const full = (): Refusal => new Refusal(503, 'what waits for the journal is at its limit; come again')
