import type { FileHandle } from 'node:fs/promises'
import type { LineFormat, TableState } from '../lines/presets.ts'
import { MAX_LINE_BYTES } from '../lines/split.ts'
import { readAt } from './mark.ts'

const PIECE_BYTES = 1 << 16
const NEWLINE = 10

/**
 * Has `format` read what stands in a file before `end`, as if it had come that way: so it knows the header of a table, and
 * how many rows there were. Nothing but the first line is read of what is no table, and no more than `rows` rows of one.
 * @returns where it has stopped
 */
export async function replay(handle: FileHandle, format: LineFormat, end: number, rows = Infinity): Promise<number> {
  let rest: Buffer = Buffer.alloc(0)
  let stopped = 0
  for (let at = 0; at < end;) {
    const piece = await readAt(handle, at, Math.min(PIECE_BYTES, end - at))
    if (piece.length === 0) break
    at += piece.length
    const bytes = Buffer.concat([rest, piece])
    let from = 0
    for (let newline = bytes.indexOf(NEWLINE); newline >= 0; newline = bytes.indexOf(NEWLINE, from)) {
      format.read(bytes.toString('utf8', from, newline))
      stopped += newline + 1 - from
      from = newline + 1
      if (format.table === null || format.table.rows >= rows) return stopped
    }
    rest = bytes.subarray(from)
    if (rest.length > MAX_LINE_BYTES) break
  }
  return stopped
}

/**
 * Loggers write a table anew when a column joins it: where the rows end that were taken of it before. Null: it has (as yet)
 * other ones.
 */
export async function endOfRows(
  handle: FileHandle,
  size: number,
  { former, format }: { former: TableState; format: LineFormat },
): Promise<number | null> {
  const offset = await replay(handle, format, size, former.rows)
  const { table } = format
  return table !== null && table.rows === former.rows && table.chain === former.chain ? offset : null
}
