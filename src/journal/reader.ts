import { columnsOf, POINT_BYTES } from '../channel/chunk.ts'
import { copyColumns, pointsOfBlock, type StoredPoints } from './blocks.ts'
import { partOf } from '../otlp/span-blocks.ts'
import { bytesIn, DamagedJournal } from './damage.ts'
import { blockOfRow, type StoredSpans } from './span-rows.ts'
import type { Row, Statements } from './statements.ts'

/** What holds the rows behind the last ones on disk. */
interface Overflow {
  rows: Statements
  /** Last ones on disk. */
  points: number
  spans: number
}

const BLOCK = 'SELECT first, count, data FROM blocks WHERE first <= ? ORDER BY first DESC LIMIT 1'

const SPANS = `SELECT first, count, resource, scope, data FROM spans LEFT JOIN span_heads ON span_heads.id = head`
const SPANS_WITH = `${SPANS} WHERE first <= ? ORDER BY first DESC LIMIT 1`
const SPANS_BEHIND = `${SPANS} WHERE first > ? AND first <= ? ORDER BY first`

/** Reads points and spans of a journal in order, wherever they are. */
export class JournalReader {
  readonly #path: string
  readonly #disk: Statements
  #overflow: Overflow | null = null
  /** The last one read, since delivery goes through it in order. */
  #block: StoredPoints | null = null
  /** The same of spans. */
  #spans: StoredSpans | null = null

  constructor(path: string, disk: Statements) {
    this.#path = path
    this.#disk = disk
  }

  /** What comes behind these is in `overflow` from now on; null: everything is on disk. */
  set overflow(overflow: Overflow | null) {
    this.#overflow = overflow
  }

  /** Rows have been dropped. */
  forgetBlocks(): void {
    this.#block = null
    this.#spans = null
  }

  /** `count` points behind sequence number `after`. @throws DamagedJournal when one of them is not there */
  points(after: number, count: number): StoredPoints {
    const out = { first: after + 1, count, ...columnsOf(new ArrayBuffer(count * POINT_BYTES), count) }
    for (let filled = 0; filled < count;) {
      const block = this.#blockWith(after + filled + 1)
      const from = after + filled + 1 - block.first
      const n = Math.min(block.count - from, count - filled)
      copyColumns(block, from, out, filled, n)
      filled += n
    }
    return out
  }

  /**
   * Up to `limit` spans behind sequence number `after` and up to `last`: those that follow each other, from the first one
   * that is there; no more blocks once they have `bytes`. @throws DamagedJournal
   */
  spans(after: number, last: number, limit: number, bytes: number): StoredSpans[] {
    const overflow = this.#overflow
    const isOnDisk = overflow === null || after < overflow.spans
    const rows = isOnDisk ? this.#disk : overflow.rows
    const end = isOnDisk && overflow !== null ? overflow.spans : last
    const found: StoredSpans[] = []
    let [next, left, room] = [after + 1, limit, bytes]
    if (left <= 0 || next > end) return found
    for (const block of this.#spansFrom(rows, next, end)) {
      if (found.length > 0 && block.first > next) break
      const from = Math.max(0, next - block.first)
      const part = from === 0 && block.count <= left ? block : partOf(block, from, from + left)
      const first = block.first + from
      found.push({ ...part, first })
      next = first + part.count
      left -= part.count
      room -= part.bytes.length
      if (left === 0 || room <= 0) break
    }
    return found
  }

  /** The block that holds span `sequence`, if there is one, and those behind it that begin up to `end`. */
  *#spansFrom(rows: Statements, sequence: number, end: number): Generator<StoredSpans> {
    const isIn = ({ first, count }: StoredSpans): boolean => sequence >= first && sequence < first + count
    if (this.#spans === null || !isIn(this.#spans)) {
      const row = rows.get(SPANS_WITH, sequence)
      if (row !== undefined) this.#readSpans(row)
    }
    if (this.#spans !== null && isIn(this.#spans)) yield this.#spans
    for (const row of rows.prepare(SPANS_BEHIND).iterate(sequence, end)) yield this.#readSpans(row)
  }

  #readSpans(row: Row): StoredSpans {
    const spans = {
      resourceHead: bytesIn(this.#path, 'the resource of spans', row['resource']),
      scopeHead: bytesIn(this.#path, 'the scope of spans', row['scope']),
      ...blockOfRow(row, this.#path),
    }
    this.#spans = spans
    return spans
  }

  #blockWith(sequence: number): StoredPoints {
    if (this.#block !== null && sequence >= this.#block.first && sequence < this.#block.first + this.#block.count)
      return this.#block
    const overflow = this.#overflow
    const rows = overflow === null || sequence <= overflow.points ? this.#disk : overflow.rows
    const row = rows.get(BLOCK, sequence)
    const block = row === undefined ? null : pointsOfBlock(row, this.#path)
    if (block === null || sequence >= block.first + block.count)
      throw new DamagedJournal(this.#path, `no block holds point ${sequence}`)
    this.#block = block
    return block
  }
}
