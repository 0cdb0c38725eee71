import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { TableState } from '../lines/presets.ts'

/** So many bytes before a position tell whether a file still is the one that was read up to there. */
export const TAIL_BYTES = 1024

/** How far a file has been read. */
export interface FileMark {
  /** For people only: a file may have been renamed. */
  path: string
  /** Behind the last whole line. */
  offset: number
  /** Hash of up to `TAIL_BYTES` bytes before it. */
  tail: string
  /** How far that is in the table that the file is. */
  table?: TableState
}

export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url').slice(0, 22)

/** A mark as the journal keeps it; null: it is none of ours. */
export function decodeMark(text: string): FileMark | null {
  try {
    const { path, offset, tail, table } = JSON.parse(text) as Partial<FileMark>
    const isMark = typeof path === 'string' && typeof tail === 'string' && Number.isSafeInteger(offset) && offset! >= 0
    return isMark ? { path, offset: offset!, tail, ...(isTable(table) ? { table } : {}) } : null
  } catch {
    return null
  }
}

const isTable = (table: Partial<TableState> | undefined): table is TableState =>
  Number.isSafeInteger(table?.rows) && typeof table?.chain === 'string'

/** Up to `length` bytes at `position`; fewer at the end of the file. */
export async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  const { bytesRead } = await handle.read(buffer, 0, length, position)
  return buffer.subarray(0, bytesRead)
}

/** The bytes before `position` that a mark there is made of. */
export const tailAt = (handle: FileHandle, position: number): Promise<Buffer> =>
  readAt(handle, Math.max(0, position - TAIL_BYTES), Math.min(TAIL_BYTES, position))

/** Whether a file holds what was read up to `mark`, whatever it is called now. */
export async function fits(handle: FileHandle, size: number, { offset, tail }: FileMark): Promise<boolean> {
  return size >= offset && hashOf(await tailAt(handle, offset)) === tail
}

/** The last `TAIL_BYTES` of some bytes and those behind them, as a copy. */
export function tailOf(before: Buffer, bytes: Buffer): Buffer {
  if (bytes.length >= TAIL_BYTES) return Buffer.from(bytes.subarray(-TAIL_BYTES))
  return Buffer.concat([before, bytes]).subarray(-TAIL_BYTES)
}
