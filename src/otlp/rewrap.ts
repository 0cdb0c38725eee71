import { LEN, tagOf } from './wire.ts'
import { WireWriter } from './writer.ts'

const RESOURCE_SPANS = tagOf(1, LEN)
const SCOPE_SPANS = tagOf(2, LEN)
const SPANS = tagOf(2, LEN)

/** A span or log record as it was received: see `OtlpSpan`. */
export interface SpanRow {
  resourceHead: Uint8Array
  scopeHead: Uint8Array
  bytes: Uint8Array
}

/**
 * Builds an ExportTraceServiceRequest (with log records for spans it is an ExportLogsServiceRequest: the field numbers are
 * the same). Neighbours of the same resource share a ResourceSpans, those of the same scope in it
 * a ScopeSpans. Spans and heads go in as they are, so that nothing is lost that this code does not know.
 */
export function wrapTraces(rows: readonly SpanRow[]): Uint8Array {
  const out = new WireWriter(rows.reduce((sum, row) => sum + row.bytes.length + 16, 256))
  for (let from = 0; from < rows.length;) {
    const to = endOfRun(rows, from, 'resourceHead')
    const resource = out.begin(RESOURCE_SPANS)
    out.raw(rows[from]!.resourceHead)
    writeScopes(out, rows.slice(from, to))
    out.finish(resource)
    from = to
  }
  return out.bytes()
}

function writeScopes(out: WireWriter, rows: readonly SpanRow[]): void {
  for (let from = 0; from < rows.length;) {
    const to = endOfRun(rows, from, 'scopeHead')
    const scope = out.begin(SCOPE_SPANS)
    out.raw(rows[from]!.scopeHead)
    for (const row of rows.slice(from, to)) out.field(SPANS, row.bytes)
    out.finish(scope)
    from = to
  }
}

/** The index behind the rows from `from` on whose head is the same. */
function endOfRun(rows: readonly SpanRow[], from: number, head: 'resourceHead' | 'scopeHead'): number {
  const first = rows[from]![head]
  let to = from + 1
  while (to < rows.length && isSame(rows[to]![head], first)) to += 1
  return to
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0
