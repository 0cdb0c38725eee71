/** What all benchmarks share: `--rounds N`, `--json`, and a line for people or for the harness. */
import { parseArgs } from 'node:util'
import { median } from './harness/statistics.ts'

export { median }

/** Row id -> a ratio or value per round. */
export type Rows = Record<string, number[]>

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    seconds: { type: 'string' },
  },
})

export const roundsOr = (fallback: number): number => Number(values.rounds ?? fallback)

/** An option that few benchmarks have. */
export const optionOr = (name: 'seconds', fallback: string): string => values[name] ?? fallback

/** Whether the row is asked for: `--only a,b` leaves out the others. */
export const wants = (row: string): boolean => values.only === undefined || values.only.split(',').includes(row)

/**
 * Prints medians with their range, or one line of JSON. `details` are absolute figures, for people; `theirs` are the values
 * of the other side, in the rounds of a row.
 */
export function report(rows: Rows, details: Record<string, unknown> = {}, theirs: Rows = {}): void {
  if (values.json) {
    console.log(JSON.stringify({ rows, theirs }))
    return
  }
  for (const [row, numbers] of Object.entries(rows)) {
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)]
    console.log(
      `${row.padEnd(22)} ${median(numbers).toFixed(3)}  (${low.toFixed(3)} to ${high.toFixed(3)}, ${numbers.length} rounds)`,
    )
  }
  for (const [name, value] of Object.entries(details)) console.log(`  ${name}: ${JSON.stringify(value)}`)
}
