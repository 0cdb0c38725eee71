/** Longest name of a column, and most columns: what has more is no table of metrics. */
const MAX_NAME = 200
const MAX_COLUMNS = 10_000

const CELL = /(?:"((?:[^"]|"")*)"|([^",]*))(?:,|$)/y
const NAME = /^[A-Za-z_][\w/.\-@%()[\]{} :+#=^~|*&]*$/
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const NAN = /^[+-]?nan$/i
const INFINITY = /^([+-]?)inf(?:inity)?$/i

/** The cells of a line; null: it is no line of a table. A cell in quotes may hold commas and doubled quotes, no newline. */
export function cellsOf(line: string): string[] | null {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  const cells: string[] = []
  for (CELL.lastIndex = 0; ;) {
    const at = CELL.lastIndex
    const found = CELL.exec(text)
    if (found === null || cells.length > MAX_COLUMNS) return null
    cells.push(found[1] === undefined ? found[2]!.trim() : found[1].replaceAll('""', '"'))
    // Without a comma behind it, it was the last one.
    if (!found[0].endsWith(',') || at + found[0].length > text.length) return cells
    if (CELL.lastIndex === text.length) return [...cells, '']
  }
}

/** Whether cells are the names of columns: words, each once. The first may be empty (an index of pandas). */
export function isHeader(cells: readonly string[]): boolean {
  const names = cells.filter((cell, i) => i > 0 || cell !== '')
  return (
    names.length >= 2 &&
    new Set(names).size === names.length &&
    names.every((name) => name.length <= MAX_NAME && NAME.test(name) && !NAN.test(name) && !INFINITY.test(name))
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
