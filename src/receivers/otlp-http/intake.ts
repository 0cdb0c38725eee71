import type { Channel } from '../../channel/channel.ts'
import type { Fields } from '../../layer/event.ts'
import type { SpanLayer } from '../../layer/spans.ts'
import { ColumnsPool, type SpanColumns } from '../../otlp/columns.ts'
import { logsFromJson, tracesFromJson } from '../../otlp/json.ts'
import { readLogs, type OtlpLog } from '../../otlp/logs.ts'
import type { Encoding, PartialSuccess } from '../../otlp/status.ts'
import type { ReadOptions } from '../../otlp/traces.ts'
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
  /** Groups of the spans of the request. */
  groups: number[]
  logs: OtlpLog[]
}

/** Takes OTLP requests into their runs: whole or not at all, and answers when all of it is in the journals. */
export class OtlpIntake {
  readonly #options: IntakeOptions
  readonly #columns: ColumnsPool

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#columns = new ColumnsPool((name) => options.layer.asksText(name))
  }

  /** Takes a body, which is given away. @returns what was refused, for ever; null: nothing. @throws Refusal 400 (no OTLP), 503 (full, or the disk cannot take it) */
  async take(path: SignalPath, body: Buffer, encoding: Encoding): Promise<PartialSuccess | null> {
    const { channel, onMetrics } = this.#options
    if (path === '/v1/metrics') {
      onMetrics()
      return null
    }
    if (this.#isFull) throw full()
    const columns = this.#columns.take()
    let taken: { runs: number[]; refused: number }
    try {
      const logs = this.#read(path, body, encoding, columns)
      taken = await this.#takeInto(columns, logs, Date.now())
    } finally {
      this.#columns.giveBack(columns)
    }
    const committed = await channel.barrier(taken.runs)
    if (committed !== 'durable') throw new Refusal(503, 'the journal cannot be written at this moment; come again')
    return taken.refused === 0 ? null : this.#tooMany(taken.refused)
  }

  /** @returns the numbers of the runs that it went into, and how many spans and records were refused */
  async #takeInto(
    columns: SpanColumns,
    logs: readonly OtlpLog[],
    now: number,
  ): Promise<{ runs: number[]; refused: number }> {
    const { channel, layer } = this.#options
    const { shares, refused } = this.#share(columns, logs, now)
    await Promise.all([...shares.keys()].map(({ ready }) => ready))
    if (this.#isFull) throw full()
    channel.whole(() => {
      for (const [run, { groups, logs }] of shares) {
        if (logs.length > 0) layer.logs(logs, run.into, now)
        if (groups.length > 0) {
          const fresh = layer.columns(columns, groups, run.into, now)
          run.packer.columns(columns, fresh, shares.size === 1)
        }
      }
    })
    return { runs: [...shares.keys()].map(({ producer }) => producer.run), refused }
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

  /** Spans go into `columns`. */
  #read(path: SignalPath, body: Buffer, encoding: Encoding, columns: SpanColumns): OtlpLog[] {
    const { reading } = this.#options
    const isJson = encoding === 'json'
    try {
      if (path === '/v1/logs') return readLogs(isJson ? logsFromJson(body.toString()) : body, reading)
      columns.read(isJson ? tracesFromJson(body.toString()) : body, reading)
      return []
    } catch (error) {
      if (error instanceof WireError) throw new Refusal(400, error.message)
      throw error
    }
  }

  /** Whose each item is; those of too many runs are refused. */
  #share(
    { groups, groupEnd }: SpanColumns,
    logs: readonly OtlpLog[],
    now: number,
  ): { shares: Map<OtlpRun, Share>; refused: number } {
    const shares = new Map<OtlpRun, Share>()
    let refused = 0
    const shareOf = (resource: Fields, count: number): Share | null => {
      const run = this.#options.runs.of(resource, now)
      if (run === null) {
        refused += count
        return null
      }
      let share = shares.get(run)
      if (share === undefined) shares.set(run, (share = { groups: [], logs: [] }))
      return share
    }
    for (const [i, { resource }] of groups.entries())
      shareOf(resource, groupEnd[i]! - (i === 0 ? 0 : groupEnd[i - 1]!))?.groups.push(i)
    for (const log of logs) shareOf(log.resource, 1)?.logs.push(log)
    return { shares, refused }
  }
}

const full = (): Refusal => new Refusal(503, 'what waits for the journal is at its limit; come again')
