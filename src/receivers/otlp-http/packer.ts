import type { ChannelProducer } from '../../channel/producer.ts'
import type { SpanColumns } from '../../otlp/columns.ts'
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

  /**
   * The same for spans of a request in columns, which are at `places`. `isWhole`: nothing else of the request is needed any more, so
   * that the body itself may travel: without a second copy the garbage collector is called half as often.
   */
  columns(columns: SpanColumns, places: readonly number[], isWhole: boolean): void {
    if (places.length === 0) return
    const { from, to, body, groupEnd, groups } = columns
    const ends = new Uint32Array(places.length)
    const heads = new Uint32Array(places.length)
    let size = 0
    let group = 0
    let head = -1
    for (let i = 0; i < places.length; i += 1) {
      const span = places[i]!
      for (; span >= groupEnd[group]!; group += 1) head = -1
      if (head < 0) head = this.#headOf(groups[group]!)
      size += to[span]! - from[span]!
      ends[i] = size
      heads[i] = head
    }
    const bytes = isWhole && isAlone(body, size) ? body : Buffer.allocUnsafeSlow(size)
    for (let i = 0; i < places.length; i += 1) {
      const span = places[i]!
      // Within one body they only ever move to the front.
      body.copy(bytes, ends[i]! - (to[span]! - from[span]!), from[span], to[span])
    }
    this.#producer.spans({ bytes: bytes.subarray(0, size), ends, heads })
  }

  #headOf({ resourceHead, scopeHead }: Pick<OtlpSpan, 'resourceHead' | 'scopeHead'>): number {
    const key = `${Buffer.from(resourceHead).toString('latin1')}\0${Buffer.from(scopeHead).toString('latin1')}`
    const known = this.#heads.get(key)
    if (known !== undefined) return known
    if (this.#heads.size >= MAX_HEADS) this.#heads.clear()
    const id = this.#nextHead
    this.#nextHead += 1
    this.#heads.set(key, id)
    // Copies: of a view the whole buffer behind it, the request, would travel and be kept.
    const [resource, scope] = [new Uint8Array(resourceHead), new Uint8Array(scopeHead)]
    this.#producer.post({ kind: 'head', id, resource, scope })
    return id
  }
}

/** Whether a body has its memory for itself, and the spans fill it for the most part. */
const isAlone = ({ buffer, byteLength }: Buffer, size: number): boolean =>
  buffer.byteLength === byteLength && size * 2 > byteLength
