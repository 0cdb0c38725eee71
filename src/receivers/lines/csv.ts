/** Longest name of a column, and most columns: what has more is no table of metrics. */
const MAX_NAME = 200
const MAX_COLUMNS = 10_000

/** What may stand between cells. */
export const DELIMITERS = [',', ';', '\t'] as const
export type Delimiter = (typeof DELIMITERS)[number]

const CELL: Readonly<Record<Delimiter, RegExp>> = {
  ',': /(?:"((?:[^"]|"")*)"|([^",]*))(?:,|$)/y,
  ';': /(?:"((?:[^"]|"")*)"|([^";]*))(?:;|$)/y,
  '\t': /(?:"((?:[^"]|"")*)"|([^"\t]*))(?:\t|$)/y,
}
/** A cell whose quotes are not closed. */
const OPEN = /"(?:[^"]|"")*$/y
const NAME = /^[A-Za-z_][\w/.\-@%()[\]{} :+#=^~|*&]*$/
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const NAN = /^[+-]?nan$/i
const INFINITY = /^([+-]?)inf(?:inity)?$/i

/** What is read of a line: its cells, and whether the one behind them goes on in the next line. */
export interface Cells {
  cells: readonly string[]
  isOpen: boolean
}

/** Reads a row, or the beginning of one; null: it is no line of a table. A cell in quotes may hold anything, quotes doubled. */
export function readCells(line: string, delimiter: Delimiter): Cells | null {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  const cells: string[] = []
  const cell = CELL[delimiter]
  for (cell.lastIndex = 0; ;) {
    const at = cell.lastIndex
    const found = cell.exec(text)
    if (cells.length > MAX_COLUMNS) return null
    if (found === null) {
      OPEN.lastIndex = at
      return OPEN.test(text) ? { cells, isOpen: true } : null
    }
    cells.push(found[1] === undefined ? found[2]!.trim() : found[1].replaceAll('""', '"'))
    // Without a delimiter behind it, it was the last one.
    if (!found[0].endsWith(delimiter) || at + found[0].length > text.length) return { cells, isOpen: false }
    if (cell.lastIndex === text.length) return { cells: [...cells, ''], isOpen: false }
  }
}

/** The cells of a whole row; null: the line is none. */
export function cellsOf(line: string, delimiter: Delimiter = ','): readonly string[] | null {
  const read = readCells(line, delimiter)
  return read === null || read.isOpen ? null : read.cells
}

/** A number with a comma in it, as spreadsheets of many countries write it. */
export const hasDecimalComma = (cell: string): boolean => /^[+-]?\d+,\d+(?:[eE][+-]?\d+)?$/.test(cell)

/** Whether cells are the names of columns: words, each once. The first may be empty (an index of pandas). */
export function isHeader(cells: readonly string[]): boolean {
  const names = cells.filter((cell, i) => i > 0 || cell !== '')
  // Asked of every row, most of which begin with a number.
  return (
    names.length >= 2 &&
    names.every((name) => name.length <= MAX_NAME && NAME.test(name) && !NAN.test(name) && !INFINITY.test(name)) &&
    new Set(names).size === names.length
  )
}

/** A cell as JSON: a number as it is written, a text as a text; undefined for an empty one, which says nothing. */
export function jsonOfCell(cell: string): string | undefined {
  if (cell === '') return undefined
  if (JSON_NUMBER.test(cell)) return cell
  if (NUMBER.test(cell)) return String(Number(cell))
  if (NAN.test(cell)) return 'NaN'
  const infinity = INFINITY.exec(cell)
  return infinity === null ? JSON.stringify(cell) : `${infinity[1] === '-' ? '-' : ''}Infinity`
}
