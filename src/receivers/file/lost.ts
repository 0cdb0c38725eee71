import type { Mark } from '../../channel/messages.ts'
import type { TableState } from '../lines/presets.ts'
import type { OpenFile } from './followed-file.ts'
import { decodeMark, fits, type FileMark } from './mark.ts'

/** Most marks of files that are not there (any more): of the oldest nobody will come back. */
const MAX_LOST = 1000

/** Under which it is kept how far a file had been read before it was cut. */
export const formerKey = (id: string, { offset }: FileMark): string => `${id}~${offset}`

interface Tables {
  endOfRows(file: OpenFile, path: string, former: TableState): Promise<number | null>
}

export interface Found {
  /** Null: it is a file that nothing is known of. */
  offset: number | null
  table: TableState | null
  /** What is to be kept of that. */
  changed: Mark[]
}

/** How far a file has been read if it holds what a mark is of. */
async function offsetIn(file: OpenFile, path: string, mark: FileMark, tables: Tables): Promise<number | null> {
  if (mark.offset === 0) return null
  if (await fits(file.handle, file.size, mark)) return mark.offset
  return mark.table !== undefined && mark.path === path ? tables.endOfRows(file, path, mark.table) : null
}

/**
 * How far files have been read that are not being followed: their process has ended, they were cut, renamed away or
 * deleted. What was read of one may come again under another inode, as a copy of it.
 */
export class LostMarks {
  readonly #marks = new Map<string, FileMark>()

  constructor(marks: readonly Mark[]) {
    for (const [key, value] of marks) {
      const mark = value === null ? null : decodeMark(value)
      if (mark !== null) this.#marks.set(key, mark)
    }
  }

  get all(): Mark[] {
    return [...this.#marks].map(([key, mark]): Mark => [key, JSON.stringify(mark)])
  }

  /** Adds one. @returns what is to be kept of that */
  add(key: string, mark: FileMark): Mark[] {
    this.#marks.set(key, mark)
    const [oldest] = this.#marks.keys()
    const changed: Mark[] = [[key, JSON.stringify(mark)]]
    if (this.#marks.size <= MAX_LOST || oldest === undefined) return changed
    this.#marks.delete(oldest)
    return [...changed, [oldest, null]]
  }

  /** Whether a file was followed before. */
  has(id: string): boolean {
    return this.#marks.has(id)
  }

  /**
   * How far a file has been read: by its own mark, else by that of a file whose bytes it begins with, which is lost no
   * longer; null: it is another one. With what is to be kept of that.
   */
  async find(file: OpenFile, path: string, tables: Tables): Promise<Found> {
    const { id, handle, size } = file
    const own = this.#marks.get(id)
    if (own !== undefined) {
      this.#marks.delete(id)
      const { table = null } = own
      if (await fits(handle, size, own)) return { offset: own.offset, table, changed: [] }
      const offset = table === null ? null : await tables.endOfRows(file, path, table)
      if (offset !== null) return { offset, table, changed: [] }
    }
    // It was cut while nobody looked; what it held may be in a copy.
    const changed = own === undefined ? [] : this.add(formerKey(id, own), own)
    for (const [key, mark] of this.#marks) {
      const offset = await offsetIn(file, path, mark, tables)
      if (offset === null) continue
      this.#marks.delete(key)
      return { offset, table: mark.table ?? null, changed: [...changed, [key, null]] }
    }
    return { offset: null, table: null, changed }
  }
}
