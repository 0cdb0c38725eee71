import { DatabaseSync } from 'node:sqlite'
import type { Mark } from '../channel/messages.ts'
import { Statements } from './statements.ts'
import { setMeta } from './tables.ts'

/** Before the key of a mark, in `meta`. */
const MARK = 'file.'

/** Writes how far a followed file has been read. */
export function writeMark(rows: Statements, [key, value]: Mark): void {
  if (value === null) rows.run('DELETE FROM meta WHERE key = ?', MARK + key)
  else setMeta(rows, MARK + key, value)
}

/** How far the files of a run have been read. */
export const readMarks = (rows: Statements): Mark[] =>
  rows
    .all(`SELECT key, value FROM meta WHERE key >= '${MARK}' AND key < 'file/'`)
    .map(({ key, value }) => [String(key).slice(MARK.length), String(value)])

/** The same of a journal that somebody else may hold; none when it cannot be read. */
export function readMarksOf(path: string): Mark[] {
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 2000 })
    return readMarks(new Statements(database))
  } catch {
    return []
  } finally {
    database?.close()
  }
}
