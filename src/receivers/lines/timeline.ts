import type { Channel } from '../../channel/channel.ts'
import { SPANS, SPANS_CHANNEL_FULL, type Counters } from '../../telemetry/counters.ts'
import type { SpanPacker } from '../otlp-http/packer.ts'
import type { LineSpan } from './spans.ts'

/** Spans are encoded together: as many as this, ... */
const MAX_WAITING = 256
/** ... or what there is after this long. */
const FLUSH_MS = 100

/** Spans that may wait for the journal, in bytes; what is made beyond it is dropped and counted, for lines are not refused. */
const MAX_WAITING_BYTES = 64 << 20

export interface TimelineOptions {
  channel: Channel
  packer: SpanPacker
  counters: Counters
  /** Attributes of the Resource that the spans belong to. */
  resource: Readonly<Record<string, string>>
  /** Spans could not be encoded: a fault of ours, which stops nothing else. */
  onFault: (error: unknown) => void
}

/** Brings spans that were made of lines into the channel, in the form in which OTLP brings them. */
export class Timeline {
  readonly #options: TimelineOptions
  #waiting: LineSpan[] = []
  #timer: NodeJS.Timeout | null = null
  #underWay: Promise<void> = Promise.resolve()

  constructor(options: TimelineOptions) {
    this.#options = options
  }

  add(span: LineSpan): void {
    this.#waiting.push(span)
    if (this.#waiting.length >= MAX_WAITING) void this.flush()
    else this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS)
  }

  /** Resolves when everything that was added is in the channel. */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const spans = this.#waiting
    this.#waiting = []
    if (spans.length > 0) this.#underWay = this.#underWay.then(() => this.#pass(spans)).catch(this.#options.onFault)
    return this.#underWay
  }

  /** OpenTelemetry's modules are loaded here: most runs have no spans. */
  async #pass(spans: readonly LineSpan[]): Promise<void> {
    const { channel, packer, counters, resource } = this.#options
    const [{ serializeSpans }, { readTraces }] = await Promise.all([
      import('../../otlp/readable.ts'),
      import('../../otlp/traces.ts'),
    ])
    // Counts and spans are committed together, so that the account adds up wherever the process dies.
    channel.whole(() => {
      counters.add(SPANS, spans.length)
      if (channel.spanBytes > MAX_WAITING_BYTES) counters.add(SPANS_CHANNEL_FULL, spans.length)
      else packer.pass(readTraces(serializeSpans(spans, resource), { integerText: 'never' }))
    })
  }
}
