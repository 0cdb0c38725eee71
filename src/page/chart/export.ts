import type { Chart } from '../../web/api.ts'
import { ask } from '../state/api.ts'
import { numberOf } from '../../chart/drawn.ts'
import { theme } from '../state/theme.ts'
import { paint } from '../../chart/paint.ts'
import { SvgPen } from '../../chart/pen.ts'
import type { Plot } from './plot.ts'

/** As wide as the server answers: up to twice as many points come as they are. */
const WIDEST = 8192

function save(name: string, content: BlobPart, type: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([content], { type }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

const fileName = (plot: Plot, ending: string): string => `${plot.key.replace(/[^\w.-]+/g, '_')}.${ending}`

function svgOf(plot: Plot, title: string): string | null {
  if (plot.scene === null || plot.ticks === null || plot.frame === null) return null
  const colors = theme.peek()
  const pen = new SvgPen()
  pen.fillStyle = colors.surface
  pen.fillRect(0, 0, plot.width, plot.height + 22)
  pen.fillStyle = colors.text
  pen.font = `600 13px ${colors.font}`
  pen.fillText(title, 8, 15)
  const frame = { ...plot.frame, top: plot.frame.top + 20 }
  paint(pen, plot.scene, plot.ticks, frame, colors)
  return pen.toString(plot.width, plot.height + 22)
}

/** Saves the chart as it is seen, as lines that stay sharp. */
export function saveSvg(plot: Plot, title: string): void {
  const svg = svgOf(plot, title)
  if (svg !== null) save(fileName(plot, 'svg'), svg, 'image/svg+xml')
}

/** Saves the chart as it is seen, twice as fine as on the page. */
export function savePng(plot: Plot, title: string): void {
  if (plot.scene === null || plot.ticks === null || plot.frame === null) return
  const colors = theme.peek()
  const canvas = document.createElement('canvas')
  canvas.width = plot.width * 2
  canvas.height = (plot.height + 22) * 2
  const pen = canvas.getContext('2d')!
  pen.scale(2, 2)
  pen.fillStyle = colors.surface
  pen.fillRect(0, 0, plot.width, plot.height + 22)
  pen.fillStyle = colors.text
  pen.font = `600 13px ${colors.font}`
  pen.fillText(title, 8, 15)
  pen.translate(0, 20)
  paint(pen, plot.scene, plot.ticks, plot.frame, colors)
  canvas.toBlob((blob) => blob !== null && save(fileName(plot, 'png'), blob, 'image/png'))
}

interface CsvLine {
  run: string
  steps: readonly number[]
  times: readonly number[]
  values: readonly number[]
}

/** One row a point: run, step, time (UTC, ISO 8601), value. */
export function csvOf(lines: readonly CsvLine[]): string {
  const rows = lines.flatMap(({ run, steps, times, values }) =>
    steps.map((step, i) => `${run},${step},${new Date(times[i]!).toISOString()},${values[i]!}`),
  )
  return ['run,step,time,value', ...rows, ''].join('\n')
}

/** Saves the points that are drawn. */
export const saveCsv = (plot: Plot, lines: readonly CsvLine[]): void =>
  save(fileName(plot, 'csv'), csvOf(lines), 'text/csv')

/** All points of one run, asked for in parts that are small enough to come as they are. @throws RequestFailed */
async function wholeLine(key: string, run: string, from: number | null, to: number | null): Promise<CsvLine[]> {
  const query = new URLSearchParams({ run, key, width: String(WIDEST) })
  if (from !== null && to !== null) {
    query.set('from', String(from))
    query.set('to', String(to))
  }
  const { lines } = await ask<Chart>(`series?${query.toString()}`)
  const [line] = lines
  const first = from ?? line?.steps[0]
  const last = to ?? line?.steps.at(-1)
  if (line === undefined || first === undefined || last === undefined) return []
  if (line.isRaw || first === last) return [{ ...line, values: line.values.map(numberOf) }]
  const middle = Math.floor((first + last) / 2)
  return [...(await wholeLine(key, run, first, middle)), ...(await wholeLine(key, run, middle + 1, last))]
}

/** Saves all points of the runs that are shown. @throws RequestFailed */
export async function saveWholeCsv(plot: Plot, runs: readonly string[]): Promise<void> {
  const lines: CsvLine[] = []
  for (const run of runs) lines.push(...(await wholeLine(plot.key, run, null, null)))
  saveCsv(plot, lines)
}
