import { linesOf, allPlots } from './charts.ts'
import { seriesOf, shown } from './runs.ts'

/** What a chart shows, for tests and for the curious at the browser's console. A copy: changing it changes nothing. */
export interface ExposedChart {
  isSeen: boolean
  x: { min: number; max: number } | null
  y: { min: number; max: number } | null
  lines: Record<string, ExposedLine>
}

export interface ExposedLine {
  isRaw: boolean
  points: number
  steps: number[]
  values: number[]
  smoothed: number[] | null
  min: number
  max: number
  last: number | null
  odd: { step: number; value: number }[]
}

const copyOf = (plot: ReturnType<typeof allPlots>[number]): ExposedChart => ({
  isSeen: plot.isSeen,
  x: plot.scene === null ? null : { ...plot.scene.x },
  y: plot.scene === null ? null : { ...plot.scene.y },
  lines: Object.fromEntries(
    shown.peek().flatMap(({ run }) => {
      const line = linesOf(plot.key).lines.get(run)
      if (line === undefined) return []
      const finite = line.values.filter(Number.isFinite)
      const drawn = plot.scene?.lines.find((one) => one.run === run)
      const exposed: ExposedLine = {
        isRaw: line.isRaw,
        points: line.points,
        steps: [...line.steps],
        values: [...line.values],
        smoothed: drawn?.smoothed == null ? null : [...drawn.smoothed],
        min: finite.reduce((a, b) => Math.min(a, b), Infinity),
        max: finite.reduce((a, b) => Math.max(a, b), -Infinity),
        last: Number(seriesOf.get(run)?.get(plot.key)?.last.value ?? Number.NaN),
        odd: line.odd.map(({ step, value }) => ({ step, value })),
      }
      return [[run, exposed]]
    }),
  ),
})

/** Puts `spanbridge.charts` into the window. */
export function exposeCharts(): void {
  const spanbridge = {
    get charts(): Record<string, ExposedChart> {
      return Object.fromEntries(allPlots().map((plot) => [plot.key, copyOf(plot)]))
    },
  }
  Object.defineProperty(globalThis, 'spanbridge', { value: Object.freeze(spanbridge) })
}
