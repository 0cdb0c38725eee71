import { shortValue } from '../chart/format.ts'
import { escapeControl } from '../telemetry/say.ts'
import { sparkline } from '../telemetry/sparkline.ts'
import { number, table } from '../telemetry/words.ts'
import type { RunSummary, SeriesSummary } from '../web/api.ts'
import { accountLines, stateOf } from './account.ts'
import { severityOf } from './chart.ts'
import { sortedSeries } from './series.ts'

const MARKS = { good: '', warn: ' !', bad: ' !!' }

/** Account and last values of a run as plain lines. `now` in UTC ms. */
export function snapshotOf(run: RunSummary, series: readonly SeriesSummary[], now: number): string {
  const account = accountLines(run).map((pieces) => `  ${pieces.map(([text]) => text).join('')}`)
  const lines = [`${run.title} (${run.run}) ${stateOf(run, now).words}`, ...account].map(escapeControl)
  if (series.length > 0)
    lines.push('', ...table([['', 'metric', 'last', 'min', 'max', 'at step', ''], ...rowsOf(series)], 2))
  return `${lines.join('\n')}\n`
}

const rowsOf = (series: readonly SeriesSummary[]): string[][] =>
  sortedSeries(series).map((each) => {
    const { category, label, unit, last, min, max, nan, thresholds } = each
    const value = Number(last.value)
    const of = (n: number | null): string => (n === null ? '' : shortValue(n, 6))
    return [
      category,
      unit === null ? label : `${label} (${unit})`,
      of(value) + MARKS[severityOf(value, thresholds)],
      of(min),
      of(max),
      number(last.step),
      sparkline(each.sparkline.map((n) => n ?? Number.NaN)) + (nan > 0 ? ` ${number(nan)} NaN` : ''),
    ]
  })
