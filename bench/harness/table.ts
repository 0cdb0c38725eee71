import type { Result, Verdict } from './results.ts'
import type { Goal, Unit } from './row.ts'

const digits = (value: number): string => {
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

const withUnit = (text: string, unit: Unit): string =>
  unit === 'x' || unit === '%' ? `${text}${unit === 'x' ? 'x' : ' %'}` : `${text} ${unit}`

export function goalText(goal: Goal | null, unit: Unit): string {
  if (goal === null) return ''
  if ('atLeast' in goal) return `>= ${withUnit(String(goal.atLeast), unit)}`
  return 'atMost' in goal ? `<= ${withUnit(String(goal.atMost), unit)}` : 'none beyond'
}

/** The median with its spread. */
export const figureText = ({ median, min, max, unit }: Result): string =>
  median === null ? '-' : `${withUnit(digits(median), unit)} (${digits(min!)}-${digits(max!)})`

/** The two sides of a ratio. */
export const sidesText = ({ ours, theirs, sideUnit }: Result): string =>
  ours === null || theirs === null ? '' : `${digits(ours)} / ${digits(theirs)} ${sideUnit ?? ''}`.trimEnd()

export const VERDICTS: Readonly<Record<Verdict, string>> = {
  met: 'ok',
  below: 'BELOW',
  figure: '',
  missing: 'no peer',
  failed: 'FAILED',
  open: 'not measured',
}

/** The table as a terminal shows it. */
export function tableOf(results: readonly Result[]): string {
  const cells = results.map((result) => [
    result.id,
    goalText(result.goal, result.unit),
    figureText(result),
    VERDICTS[result.verdict],
    [sidesText(result), result.against, result.note ?? ''].filter((text) => text !== '').join('; '),
  ])
  const all = [['row', 'goal', 'median (min-max)', '', 'sides; against'], ...cells]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]!.length)))
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === 4 ? cell : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
