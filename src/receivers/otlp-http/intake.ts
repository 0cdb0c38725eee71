import type { ChannelProducer } from '../../channel/producer.ts'
import type { SpanLayer } from '../../layer/spans.ts'
import { logsFromJson, tracesFromJson } from '../../otlp/json.ts'
import { readLogs } from '../../otlp/logs.ts'
import type { Encoding } from '../../otlp/status.ts'
import { readTraces, type OtlpSpan, type ReadOptions } from '../../otlp/traces.ts'
import { WireError } from '../../otlp/wire.ts'
import { Refusal } from './body.ts'
import type { SignalPath } from './server.ts'

/** Spans that may wait for the journal, in bytes. */
const MAX_WAITING_BYTES = 64 << 20

/** Most pairs of resource and scope that are remembered. */
const MAX_HEADS = 10_000

export interface IntakeOptions {
  producer: ChannelProducer
  layer: SpanLayer
  reading: ReadOptions
  /** Metrics came: said once. */
  onMetrics: () => void
}

/** Takes OTLP requests into a run: whole or not at all, and answers when all of it is in the journal. */
export class OtlpIntake {
  readonly #options: IntakeOptions
  /** Number in the channel of each pair of resource and scope, by their bytes. */
  readonly #heads = new Map<string, number>()
  #nextHead = 0

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** @throws Refusal 400 (no OTLP), 503 (full, or the disk cannot take it) */
  async take(path: SignalPath, body: Buffer, encoding: Encoding): Promise<void> {
    const { producer, layer, onMetrics } = this.#options
    if (path === '/v1/metrics') {
      onMetrics()
      return
    }
    if (producer.isFull || producer.spanBytes > MAX_WAITING_BYTES) throw full()
    const now = Date.now()
    const read = this.#readerOf(path, body, encoding)
    producer.whole(() => {
      if (read.kind === 'logs') layer.logs(read.logs, now)
      else this.#pass(layer.spans(read.spans, now))
    })
    producer.touch()
    const committed = await producer.barrier()
    if (committed !== 'durable') throw new Refusal(503, 'the journal cannot be written at this moment; come again')
  }

  #readerOf(path: SignalPath, body: Buffer, encoding: Encoding) {
    const { reading } = this.#options
    const isJson = encoding === 'json'
    try {
      if (path === '/v1/logs')
        return { kind: 'logs', logs: readLogs(isJson ? logsFromJson(body.toString()) : body, reading) } as const
      return { kind: 'spans', spans: readTraces(isJson ? tracesFromJson(body.toString()) : body, reading) } as const
    } catch (error) {
      if (error instanceof WireError) throw new Refusal(400, error.message)
      throw error
    }
  }

  /** Gives the bytes of spans to the channel, those of one request in one piece. */
  #pass(spans: readonly OtlpSpan[]): void {
    if (spans.length === 0) return
    const bytes = new Uint8Array(spans.reduce((sum, span) => sum + span.bytes.byteLength, 0))
    const ends = new Uint32Array(spans.length)
    const heads = new Uint32Array(spans.length)
    let at = 0
    for (const [i, span] of spans.entries()) {
      bytes.set(span.bytes, at)
      at += span.bytes.byteLength
      ends[i] = at
      heads[i] = this.#headOf(span)
    }
    this.#options.producer.spans({ bytes, ends, heads })
  }

  #headOf({ resourceHead, scopeHead }: OtlpSpan): number {
    const key = `${Buffer.from(resourceHead).toString('latin1')}\0${Buffer.from(scopeHead).toString('latin1')}`
    const known = this.#heads.get(key)
    if (known !== undefined) return known
    if (this.#heads.size >= MAX_HEADS) this.#heads.clear()
    const id = this.#nextHead
    this.#nextHead += 1
    this.#heads.set(key, id)
    // Copies: the views are of a whole request.
    this.#options.producer.post({ kind: 'head', id, resource: resourceHead.slice(), scope: scopeHead.slice() })
    return id
  }
}

const full = (): Refusal => new Refusal(503, 'what waits for the journal is at its limit; come again')
