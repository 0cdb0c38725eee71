import type { ChannelProducer } from '../../channel/producer.ts'
import type { SpanLayer } from '../../layer/spans.ts'
import { logsFromJson, tracesFromJson } from '../../otlp/json.ts'
import { readLogs } from '../../otlp/logs.ts'
import type { Encoding } from '../../otlp/status.ts'
import { readTraces, type ReadOptions } from '../../otlp/traces.ts'
import { WireError } from '../../otlp/wire.ts'
import { Refusal } from './body.ts'
import type { SpanPacker } from './packer.ts'
import type { SignalPath } from './server.ts'

/** Spans that may wait for the journal, in bytes. */
const MAX_WAITING_BYTES = 64 << 20

export interface IntakeOptions {
  producer: ChannelProducer
  packer: SpanPacker
  layer: SpanLayer
  reading: ReadOptions
  /** Metrics came: said once. */
  onMetrics: () => void
}

/** Takes OTLP requests into a run: whole or not at all, and answers when all of it is in the journal. */
export class OtlpIntake {
  readonly #options: IntakeOptions

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** @throws Refusal 400 (no OTLP), 503 (full, or the disk cannot take it) */
  async take(path: SignalPath, body: Buffer, encoding: Encoding): Promise<void> {
    const { producer, packer, layer, onMetrics } = this.#options
    if (path === '/v1/metrics') {
      onMetrics()
      return
    }
    if (producer.isFull || producer.spanBytes > MAX_WAITING_BYTES) throw full()
    const now = Date.now()
    const read = this.#readerOf(path, body, encoding)
    producer.whole(() => {
      if (read.kind === 'logs') layer.logs(read.logs, now)
      else packer.pass(layer.spans(read.spans, now))
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
}

const full = (): Refusal => new Refusal(503, 'what waits for the journal is at its limit; come again')
