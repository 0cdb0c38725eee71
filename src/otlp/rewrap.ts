import { SPAN, type SpanBlock, type SpanHeads, type SpanRow } from './span-blocks.ts'
import { LEN, tagOf } from './wire.ts'
import { sizeOf, WireWriter } from './writer.ts'

export type { SpanRow } from './span-blocks.ts'

const RESOURCE_SPANS = tagOf(1, LEN)
const SCOPE_SPANS = tagOf(2, LEN)

/**
 * Builds an ExportTraceServiceRequest (with log records for spans it is an ExportLogsServiceRequest: the field numbers are
 * the same). Neighbours of the same resource share a ResourceSpans, those of the same scope in it
 * a ScopeSpans. Spans and heads go in as they are, so that nothing is lost that this code does not know.
 */
export const wrapTraces = (rows: readonly SpanRow[]): Uint8Array =>
  wrap(
    rows,
    ({ bytes }) => 1 + sizeOf(bytes.length) + bytes.length,
    (out, { bytes }) => out.field(SPAN, bytes),
  )

/** The same of blocks, each of which is copied once, whatever is in it; `memory` gives the bytes to write into. */
export const wrapBlocks = (blocks: readonly SpanBlock[], memory?: (bytes: number) => Buffer): Uint8Array =>
  wrap(
    blocks,
    ({ bytes }) => bytes.length,
    (out, { bytes }) => out.raw(bytes),
    memory,
  )

/** Lengths are known before anything is written, or megabytes would be moved to make room for them. */
function wrap<T extends SpanHeads>(
  parts: readonly T[],
  sizeIn: (part: T) => number,
  put: (out: WireWriter, part: T) => void,
  memory: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafeSlow(bytes),
): Uint8Array {
  const resources = groups(parts, 'resourceHead').map((some) => {
    const scopes = groups(some, 'scopeHead').map((own) => ({
      own,
      size: own[0]!.scopeHead.length + sum(own, sizeIn),
    }))
    const size = some[0]!.resourceHead.length + sum(scopes, (scope) => sizeOfField(scope.size))
    return { head: some[0]!.resourceHead, scopes, size }
  })
  // A few bytes more: the writer makes room for the longest varint.
  const out = new WireWriter(memory(sum(resources, ({ size }) => sizeOfField(size)) + 16))
  for (const { head, scopes, size } of resources) {
    out.varint(RESOURCE_SPANS)
    out.varint(size)
    out.raw(head)
    for (const { own, size: scopeSize } of scopes) {
      out.varint(SCOPE_SPANS)
      out.varint(scopeSize)
      out.raw(own[0]!.scopeHead)
      for (const part of own) put(out, part)
    }
  }
  return out.bytes()
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((all, item) => all + of(item), 0)

/** Of the fields here: their numbers are below 16. */
const sizeOfField = (length: number): number => 1 + sizeOf(length) + length

/** Neighbours with the same head. */
function groups<T extends SpanHeads>(parts: readonly T[], head: keyof SpanHeads): T[][] {
  const found: T[][] = []
  for (const part of parts) {
    const last = found.at(-1)
    if (last !== undefined && isSame(last[0]![head], part[head])) last.push(part)
    else found.push([part])
  }
  return found
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0
