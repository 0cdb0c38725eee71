import type { SpanRow } from './span-blocks.ts'
import { spanAsWritten } from './traces.ts'
import { readName } from './values.ts'
import { LEN, tagOf, WireReader } from './wire.ts'
import { WireWriter } from './writer.ts'

const RESOURCE = tagOf(1, LEN) // in ResourceSpans
const RESOURCE_ATTRIBUTES = tagOf(1, LEN)
const KEY = tagOf(1, LEN)
const SPAN_ATTRIBUTES = tagOf(9, LEN)

/**
 * The span with attributes of its Resource behind its own, which count where both have one: for receivers that drop the
 * Resource. What a Span message ends with may be any of its fields.
 */
export function withResource(row: SpanRow, isCopied: (name: string) => boolean): SpanRow {
  const attributes = attributesOf(row.resourceHead).filter(({ name }) => isCopied(name))
  if (attributes.length === 0) return row
  const own = spanAsWritten(row.bytes, {}).attributes
  const missing = attributes.filter(({ name }) => !Object.hasOwn(own, name))
  const out = new WireWriter(row.bytes.length + 256)
  out.raw(row.bytes)
  for (const { bytes } of missing) out.field(SPAN_ATTRIBUTES, bytes)
  return { ...row, bytes: out.bytes() }
}

/** The KeyValue messages of a Resource, as they came. */
function attributesOf(resourceHead: Uint8Array): { name: string; bytes: Uint8Array }[] {
  const found: { name: string; bytes: Uint8Array }[] = []
  const r = new WireReader(resourceHead)
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag !== RESOURCE) {
      r.skip(tag)
      continue
    }
    const outer = r.enter()
    while (r.pos < r.end) {
      const inner = r.tag()
      if (inner !== RESOURCE_ATTRIBUTES) r.skip(inner)
      else {
        const bytes = r.viewOfField()
        found.push({ name: nameOf(bytes), bytes })
      }
    }
    r.end = outer
  }
  return found
}

function nameOf(keyValue: Uint8Array): string {
  const r = new WireReader(keyValue)
  let name = ''
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === KEY) name = readName(r)
    else r.skip(tag)
  }
  return name
}
