import type { ChannelProducer } from '../../channel/producer.ts'
import type { OtlpSpan } from '../../otlp/traces.ts'

/** Most pairs of resource and scope that are remembered. */
const MAX_HEADS = 10_000

/** Gives the bytes of spans to the channel, and what they stand under once. */
export class SpanPacker {
  readonly #producer: ChannelProducer
  /** Number in the channel of each pair of resource and scope, by their bytes. */
  readonly #heads = new Map<string, number>()
  #nextHead = 0

  constructor(producer: ChannelProducer) {
    this.#producer = producer
  }

  /** Those of one call travel in one message. */
  pass(spans: readonly OtlpSpan[]): void {
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
    this.#producer.spans({ bytes, ends, heads })
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
    this.#producer.post({ kind: 'head', id, resource: resourceHead.slice(), scope: scopeHead.slice() })
    return id
  }
}
