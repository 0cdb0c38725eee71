/** A number as people read it. */
export const number = (n: number): string => n.toLocaleString('en-US')

/** `1 point`, `2 points`. */
export const points = (n: number): string => `${number(n)} ${n === 1 ? 'point' : 'points'}`

/** Rows as lines with their columns below each other: the first ones to the left as `align` says, the others to the right, the last to the left. */
export function table(rows: readonly (readonly string[])[], align: readonly 'left'[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const isLeft = column < align.length || column === row.length - 1
      return isLeft ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    })
    return `  ${cells.join('  ')}`.trimEnd()
  })
}
