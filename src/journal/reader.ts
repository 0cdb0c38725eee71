import { columnsOf, POINT_BYTES } from '../channel/chunk.ts'
import { copyColumns, pointsOfBlock, type StoredPoints } from './blocks.ts'
import { bytesIn, DamagedJournal } from './damage.ts'
import type { Statements } from './statements.ts'

/** A span as it came, with what stands around it. */
export interface StoredSpan {
  sequence: number
  resourceHead: Uint8Array
  scopeHead: Uint8Array
  bytes: Uint8Array
}

/** What holds the rows behind the last ones on disk. */
interface Overflow {
  rows: Statements
  /** Last ones on disk. */
  points: number
  spans: number
}

const BLOCK = 'SELECT first, count, data FROM blocks WHERE first <= ? ORDER BY first DESC LIMIT 1'

const SPANS = `SELECT sequence, resource, scope, data FROM spans JOIN span_heads ON span_heads.id = head
  WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?`

/** Reads points and spans of a journal in order, wherever they are. */
export class JournalReader {
  readonly #path: string
  readonly #disk: Statements
  #overflow: Overflow | null = null
  /** The last one read, since delivery goes through it in order. */
  #block: StoredPoints | null = null

  constructor(path: string, disk: Statements) {
    this.#path = path
    this.#disk = disk
  }

  /** What comes behind these is in `overflow` from now on; null: everything is on disk. */
  set overflow(overflow: Overflow | null) {
    this.#overflow = overflow
  }

  /** Rows have been dropped. */
  forgetBlock(): void {
    this.#block = null
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

  /** Up to `limit` spans behind sequence number `after` and up to `last`. */
  spans(after: number, last: number, limit: number): StoredSpan[] {
    const overflow = this.#overflow
    const isOnDisk = overflow === null || after < overflow.spans
    const rows = isOnDisk ? this.#disk : overflow.rows
    const end = isOnDisk && overflow !== null ? overflow.spans : last
    return rows.all(SPANS, after, end, limit).map((row) => ({
      sequence: Number(row['sequence']),
      resourceHead: bytesIn(this.#path, 'the resource of a span', row['resource']),
      scopeHead: bytesIn(this.#path, 'the scope of a span', row['scope']),
      bytes: bytesIn(this.#path, 'a span', row['data']),
    }))
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
