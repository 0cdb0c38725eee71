import type { DatabaseSync } from 'node:sqlite'
import type { PackedSpans } from '../channel/messages.ts'
import { countSpans, framed, framedSize, writeFrame, type SpanBlock } from '../otlp/span-blocks.ts'
import { WireError } from '../otlp/wire.ts'
import { bytesIn, countIn, DamagedJournal } from './damage.ts'
import type { Scratch } from '../channel/scratch.ts'

/** Most bytes of one block of spans, but for one that is larger alone. */
const MAX_BLOCK_BYTES = 1 << 20
/** Most bytes of what stands before a span. */
const FRAME_BYTES = 6

/** Spans of a run as they lie in the journal: `first` is the sequence number of the first. */
export interface StoredSpans extends SpanBlock {
  readonly first: number
}

/**
 * What to read spans from, as rows of `first`, `count`, `head` and `data`, in a journal of whatever format; null: it has
 * none. Before format 5 a row held one Span message, which has nothing before it where `count` is 0.
 */
export function spansOf(database: DatabaseSync): string | null {
  const columns = database
    .prepare("SELECT name FROM pragma_table_info('spans')")
    .all()
    .map(({ name }) => name)
  if (columns.length === 0) return null
  return columns.includes('count') ? 'spans' : '(SELECT sequence AS first, 0 AS count, head, data FROM spans)'
}

/** Spans of a row of those. @throws DamagedJournal when it holds something else */
export function blockOfRow(row: Record<string, unknown>, path: string): Pick<StoredSpans, 'first' | 'count' | 'bytes'> {
  const first = countIn(path, 'the first span of a block', row['first'])
  const count = countIn(path, `spans in the block of span ${first}`, row['count'])
  const bytes = bytesIn(path, 'spans', row['data'])
  if (count === 0) return { first, count: 1, bytes: framed(bytes) }
  const found = countOrNull(bytes)
  if (found !== count)
    throw new DamagedJournal(path, `the block of span ${first} should have ${count} spans and has ${found ?? 'others'}`)
  return { first, count, bytes }
}

function countOrNull(bytes: Uint8Array): number | null {
  try {
    return countSpans(bytes)
  } catch (error) {
    if (error instanceof WireError) return null
    throw error
  }
}

/** Spans that become one row. */
export interface NewBlock {
  head: number
  count: number
  data: Uint8Array
}

/** A row that is being filled. */
class OpenBlock implements NewBlock {
  readonly head: number
  count = 0
  readonly #bytes: Uint8Array
  #size = 0

  constructor(head: number, bytes: Uint8Array) {
    this.head = head
    this.#bytes = bytes
  }

  get data(): Uint8Array {
    return this.#bytes.subarray(0, this.#size)
  }

  hasRoom(length: number): boolean {
    return this.#size + framedSize(length) <= this.#bytes.length
  }

  add(span: Uint8Array): void {
    const from = writeFrame(this.#bytes, this.#size, span.length)
    this.#bytes.set(span, from)
    this.#size = from + span.length
    this.count += 1
  }
}

/**
 * Joins spans that came one after the other under the same head into blocks. `headOf` gives the row of a head, `takes` is
 * asked with the bytes of each span: where it says no, that one is left out. A block lies in `scratch` until the next one is
 * asked for.
 */
export function* joinSpans(
  packed: readonly PackedSpans[],
  headOf: (id: number) => number,
  takes: (bytes: number) => boolean,
  scratch: Scratch,
): Generator<NewBlock> {
  let left = packed.reduce((sum, { bytes, ends }) => sum + bytes.length + FRAME_BYTES * ends.length, 0)
  let block: OpenBlock | null = null
  for (const { bytes, ends, heads } of packed) {
    for (let i = 0, from = 0; i < ends.length; from = ends[i]!, i += 1) {
      const length = ends[i]! - from
      left -= length + FRAME_BYTES
      if (!takes(length)) continue
      const head = headOf(heads[i]!)
      if (block !== null && (block.head !== head || !block.hasRoom(length))) {
        yield block
        block = null
      }
      const room = length + FRAME_BYTES
      const size = Math.max(room, Math.min(MAX_BLOCK_BYTES, left + room))
      block ??= new OpenBlock(head, new Uint8Array(scratch.take(size), 0, size))
      block.add(bytes.subarray(from, ends[i]))
    }
  }
  if (block !== null) yield block
}
