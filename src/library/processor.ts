import { TraceFlags, type Context } from '@opentelemetry/api'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { Bridge } from '../bridge.ts'

/** Spans are handed over together: as many as this, ... */
const MAX_BATCH = 512
/** ... or what there is after this long. */
const FLUSH_MS = 1000
/** Spans that wait where the run cannot take them; beyond it the newest are dropped and counted. */
const MAX_WAITING = 20_000
/** Any time will do. */
const KEPT_ALIVE_MS = 1000

/**
 * A span processor of the OpenTelemetry SDK that puts the spans of this process into a run: their timeline goes where the
 * run goes, their numbers become metrics. `onEnd` never waits and never throws.
 *
 * @example new BasicTracerProvider({ spanProcessors: [bridge.spanProcessor] })
 */
export class BridgeSpanProcessor implements SpanProcessor {
  readonly #bridge: Bridge
  #waiting: ReadableSpan[] = []
  #timer: NodeJS.Timeout | null = null
  #soon: NodeJS.Immediate | null = null
  #underWay: Promise<void> | null = null
  #isShutDown = false

  /** @param bridge the run that `startBridge` has begun */
  constructor(bridge: Bridge) {
    this.#bridge = bridge
  }

  onStart(_span: Span, _parentContext: Context): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#isShutDown || (span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return
    if (this.#waiting.length >= MAX_WAITING) {
      this.#bridge.dropSpans(1)
      return
    }
    this.#waiting.push(span)
    this.#schedule()
  }

  /** Encoding takes longer than making the spans did, so it is left to the next turn of the loop. */
  #schedule(): void {
    if (this.#waiting.length >= MAX_BATCH) this.#soon ??= setImmediate(() => void this.#next())
    else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => void this.#next(), FLUSH_MS).unref()
  }

  /** Resolves when every span that has ended is in the journal, or the run cannot take it. */
  async forceFlush(): Promise<void> {
    // The thread keeps no process alive: a program that waits for nothing but this would be taken for one that is over.
    const alive = setInterval(() => {}, KEPT_ALIVE_MS)
    try {
      while (this.#waiting.length > 0 || this.#underWay !== null) {
        const before = this.#waiting.length
        await this.#next()
        if (this.#waiting.length >= before && before > 0) return // it is tried again with the next span
      }
    } finally {
      clearInterval(alive)
    }
  }

  async shutdown(): Promise<void> {
    await this.forceFlush()
    this.#isShutDown = true
  }

  #next(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#soon !== null) clearImmediate(this.#soon)
    this.#soon = null
    this.#underWay ??= this.#pass()
    return this.#underWay
  }

  /** Hands a batch over; what is left then has its turn. */
  async #pass(): Promise<void> {
    const isTaken = await this.#handOver(this.#waiting.slice(0, MAX_BATCH))
    this.#underWay = null
    if (isTaken) this.#schedule()
    else this.#timer ??= setTimeout(() => void this.#next(), FLUSH_MS).unref()
  }

  /** @returns whether the run has taken them */
  async #handOver(spans: ReadableSpan[]): Promise<boolean> {
    if (spans.length === 0) return true
    try {
      const body = ProtobufTraceSerializer.serializeRequest(spans)!
      await this.#bridge.takeOtlp('/v1/traces', Buffer.from(body), 'protobuf')
      this.#waiting.splice(0, spans.length)
      return true
    } catch {
      // Full, or a disk that is: they stay, and a later flush tries again.
      return false
    }
  }
}
