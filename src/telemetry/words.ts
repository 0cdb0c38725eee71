import { counted } from './numbers.ts'
import { escapeControl } from './say.ts'

export { counted, count as number } from './numbers.ts'

export const points = (n: number): string => counted(n, 'point')

/** A word as a shell takes it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

/** Rows as lines with their columns below each other: the first `left` to the left, the others to the right, but for the last. */
export function table(cells: readonly (readonly string[])[], left: number): string[] {
  const rows = cells.map((row) => row.map(escapeControl))
  const widths = rows[0]!.map((_, column) => rows.reduce((widest, row) => Math.max(widest, row[column]!.length), 0))
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column < left || column === row.length - 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    )
    return `  ${cells.join('  ')}`.trimEnd()
  })
}
