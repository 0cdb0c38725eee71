import { drawnLine } from '../chart/drawn.ts'
import type { DrawnLine } from '../chart/scene.ts'
import type { RunHistory } from '../store/history.ts'
import { Extremes } from '../store/extremes.ts'
import type { Axis, SeriesSummary } from '../web/api.ts'

export interface ReadOptions {
  axis: Axis
  /** In units of the axis, both included; absent: all. */
  from?: number
  to?: number
  /** Pixels. */
  width: number
  /** Strength of the moving average in [0, 1); 0: none. */
  smoothing: number
  log: boolean
}

/** One series of one run as it is drawn. */
export interface ReadLine {
  summary: SeriesSummary
  drawn: DrawnLine
  /** UTC ms of the first point of the run: zero of the relative axis. */
  origin: number
  /** The moving average, where its points are others than those of the line. */
  smoothed: { xs: number[]; ys: number[] } | null
}

/** Reads one key of a run; null: it has no point. */
export function readLine(history: RunHistory, key: string, options: ReadOptions): ReadLine | null {
  const { axis, from, to, width } = options
  const line = history.line(key, {
    axis,
    width,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  })
  const summary = line === null ? null : history.summary(line.id)
  if (line === null || summary === null) return null
  const drawn = drawnLine(line)
  const isSmoothed = options.smoothing > 0 && !line.isRaw
  return { summary, drawn, origin: line.origin, smoothed: isSmoothed ? smoothAll(history, drawn, options) : null }
}

/**
 * The moving average over all points of a long series and not over the extremes that are drawn of it, which are no average
 * of anything. Null where the axis goes back: the average in the order of arrival is none in that of the axis.
 */
function smoothAll(
  history: RunHistory,
  { id, steps, times, origin }: DrawnLine & { origin: number },
  { axis, smoothing, width, log }: ReadOptions,
): { xs: number[]; ys: number[] } | null {
  const places = axis === 'step' ? steps : times
  const from = places[0] ?? 0
  const to = places.at(-1) ?? 0
  const extremes = new Extremes(from, to, width)
  let last = -Infinity
  let mean = 0
  let weight = 0
  for (const block of history.blocks()) {
    const column = axis === 'step' ? block.step : block.time
    for (let i = 0; i < block.count; i += 1) {
      if (block.series[i] !== id) continue
      const value = block.value[i]!
      const place = column[i]!
      if (place < last) return null
      last = place
      if (value - value !== 0 || (log && value <= 0)) continue
      mean = smoothing * mean + (1 - smoothing) * value
      weight = smoothing * weight + (1 - smoothing)
      if (place >= from && place <= to) extremes.add(place, block.step[i]!, block.time[i]!, mean / weight)
    }
  }
  const zero = axis === 'relative' ? origin : 0
  const points = [...extremes.points()]
  return {
    xs: points.map(({ step, time }) => (axis === 'step' ? step : time - zero)),
    ys: points.map(({ value }) => value),
  }
}
