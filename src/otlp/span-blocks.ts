import { LEN, tagOf, WireReader } from './wire.ts'
import { sizeOf } from './writer.ts'

/** What stands before each Span message in a ScopeSpans, with its length behind it. */
export const SPAN = tagOf(2, LEN)

/** What stands around spans: all fields of ResourceSpans but the scopes, and of ScopeSpans but the spans, as they came. */
export interface SpanHeads {
  readonly resourceHead: Uint8Array
  readonly scopeHead: Uint8Array
}

/** A span or log record as it was received: see `OtlpSpan`. */
export interface SpanRow extends SpanHeads {
  readonly bytes: Uint8Array
}

/**
 * Spans of one resource and scope, one behind the other in `bytes` as they stand in a ScopeSpans: before each its tag and
 * its length. So a block goes into a request as it is.
 */
export interface SpanBlock extends SpanHeads {
  readonly count: number
  readonly bytes: Uint8Array
}

/** Bytes of a Span message of `length` with what stands before it. */
export const framedSize = (length: number): number => 1 + sizeOf(length) + length

/** Writes what stands before a Span message of `length` at a place of `out`. @returns the place behind it */
export function writeFrame(out: Uint8Array, at: number, length: number): number {
  let to = at
  out[to++] = SPAN
  let rest = length
  for (; rest > 127; rest >>>= 7) out[to++] = (rest & 127) | 128
  out[to++] = rest
  return to
}

/** A Span message as a block of its own has it. */
export function framed(span: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(framedSize(span.length))
  out.set(span, writeFrame(out, 0, span.length))
  return out
}

/** Steps over the next span of a block. @returns where its message begins; it ends at `r.pos` @throws WireError when no span is there */
export function passSpan(r: WireReader): number {
  const tag = r.tag()
  if (tag !== SPAN) r.fail('a span', `field ${tag >>> 3}`)
  const length = r.length()
  const from = r.pos
  r.pos += length
  return from
}

/** How many spans a block holds. @throws WireError when it holds anything else */
export function countSpans(bytes: Uint8Array): number {
  const r = new WireReader(bytes)
  let count = 0
  for (; r.pos < r.end; count += 1) passSpan(r)
  return count
}

/** The Span messages of a block, as views of it. @throws WireError when something else is in it */
export function* spansIn(bytes: Uint8Array): Generator<Uint8Array> {
  for (const r = new WireReader(bytes); r.pos < r.end;) {
    const from = passSpan(r)
    yield r.viewOf(from, r.pos)
  }
}

/** The same with what stands around each. */
export function* rowsIn(blocks: readonly SpanBlock[]): Generator<SpanRow> {
  for (const { resourceHead, scopeHead, bytes } of blocks)
    for (const span of spansIn(bytes)) yield { resourceHead, scopeHead, bytes: span }
}

/** Spans `from` up to but without `to` of a block, as a view of it; all that it has from `from` on, where those are fewer. */
export function partOf(block: SpanBlock, from: number, to: number): SpanBlock {
  const r = new WireReader(block.bytes)
  for (let i = 0; i < from && r.pos < r.end; i += 1) passSpan(r)
  const begin = r.pos
  let count = 0
  for (; count < to - from && r.pos < r.end; count += 1) passSpan(r)
  return { ...block, count, bytes: r.viewOf(begin, r.pos) }
}

/** Spans `from` up to but without `to` of some blocks. */
export function partsOf(blocks: readonly SpanBlock[], from: number, to: number): SpanBlock[] {
  const parts: SpanBlock[] = []
  let first = 0
  for (const block of blocks) {
    const [a, b] = [Math.max(0, from - first), Math.min(block.count, to - first)]
    if (a < b) parts.push(a === 0 && b === block.count ? block : partOf(block, a, b))
    first += block.count
  }
  return parts
}
