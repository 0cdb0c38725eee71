import { drawnLine } from '../chart/drawn.ts'
import type { DrawnLine } from '../chart/scene.ts'
import type { RunHistory } from '../store/history.ts'
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
  return { summary, drawn, origin: line.origin }
}
