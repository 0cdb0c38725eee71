import type { Line, Value } from '../web/api.ts'
import type { DrawnLine } from './scene.ts'

/** A value as the API writes it, as a number. */
export const numberOf = (value: Value): number => (typeof value === 'number' ? value : Number(value))

/** A line as the API has it, with numbers for the words that JSON needs. */
export const drawnLine = (line: Line): DrawnLine & Pick<Line, 'origin' | 'upTo'> => ({
  ...line,
  values: line.values.map(numberOf),
  means: line.means?.map(numberOf) ?? null,
  odd: line.odd.map((mark) => ({ ...mark, value: numberOf(mark.value) })),
})
