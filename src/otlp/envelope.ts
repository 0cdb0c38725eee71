import type { Fields } from '../layer/event.ts'
import { RESOURCE, readShape, SCOPE, type Shape } from './shapes.ts'
import { readText } from './values.ts'
import { fieldSet, LEN, tagOf, WireReader } from './wire.ts'

// The field numbers are the same for traces and for logs.
const GROUP = tagOf(1, LEN) // ResourceSpans, ResourceLogs
const OWNER = tagOf(1, LEN) // Resource in ResourceSpans, InstrumentationScope in ScopeSpans
const ITEMS = tagOf(2, LEN) // ScopeSpans in ResourceSpans, Span in ScopeSpans
const NAME = tagOf(1, LEN) // of an InstrumentationScope
const SCHEMA_URL = tagOf(3, LEN)
const REQUEST = fieldSet(1)
const LEVEL = fieldSet(1, 2, 3)

/** The spans (or log records) of one scope of one resource. */
export interface Group {
  /** All fields of ResourceSpans but the scopes, as they came; the same object for all scopes of the resource. */
  resourceHead: Uint8Array
  /** All fields of ScopeSpans but the spans, as they came. */
  scopeHead: Uint8Array
  /** The attributes of the Resource. */
  resource: Fields
  /** Where in the body each span begins and ends, one behind the other. */
  items: number[]
}

/** Finds the groups of an Export*ServiceRequest; those without items are left out. */
export function groupsOf(r: WireReader): Group[] {
  const groups: Group[] = []
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === GROUP) readResourceGroup(r, groups)
    else r.skip(tag, REQUEST)
  }
  return groups
}

function readResourceGroup(r: WireReader, groups: Group[]): void {
  r.object()
  const outer = r.enter()
  const after = r.end
  // The resource may stand behind its scopes: first the whole level is read, then what is in it.
  const { head: resourceHead, owner: resource, items: scopes } = readLevel(r, RESOURCE)
  for (let i = 0; i < scopes.length; i += 2) {
    r.pos = scopes[i]!
    r.end = scopes[i + 1]!
    const { head: scopeHead, items } = readLevel(r, SCOPE)
    if (items.length === 0) continue
    groups.push({ resourceHead, scopeHead, resource, items })
  }
  r.pos = after
  r.end = outer
}

/** The name of the scope that a head of ScopeSpans or ScopeLogs, which has been read before, tells; empty: none. */
export function scopeNameOf(scopeHead: Uint8Array): string {
  const r = new WireReader(scopeHead)
  let name = ''
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag !== OWNER) {
      r.skip(tag)
      continue
    }
    const outer = r.enter()
    while (r.pos < r.end) {
      const inner = r.tag()
      if (inner === NAME) name = readText(r)
      else r.skip(inner)
    }
    r.end = outer
  }
  return name
}

interface Level {
  head: Uint8Array
  /** Attributes of the resource or scope. */
  owner: Fields
  items: number[]
}

function readLevel(r: WireReader, shape: Shape): Level {
  const owner: Fields = {}
  const head: Uint8Array[] = []
  const items: number[] = []
  while (r.pos < r.end) {
    const from = r.pos
    const tag = r.tag()
    if (tag === ITEMS) {
      r.object()
      const length = r.length()
      items.push(r.pos, r.pos + length)
      r.pos += length
      continue
    }
    // A message that comes twice is one, as protobuf has it: its attributes are joined.
    if (tag === OWNER) readShape(r, shape, owner)
    else r.skip(tag, tag === SCHEMA_URL ? 0 : LEVEL)
    r.object()
    head.push(r.viewOf(from, r.pos))
  }
  return { head: Buffer.concat(head), owner, items }
}
