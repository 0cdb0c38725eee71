import type { Axis } from '../web/api.ts'
import { countOutside, rangeOf, TINY, withoutOutliers, type Range } from './clip.ts'
import { smooth } from './smooth.ts'

/** A line as it is kept: columns in the order of the axis; what is no number stands as NaN or infinity. */
export interface DrawnLine {
  run: string
  id: number
  isRaw: boolean
  /** How many points the range has. */
  points: number
  steps: number[]
  times: number[]
  values: number[]
  /** Means of the parts that the values stand for: what smoothing goes over; null: the values themselves. */
  means: number[] | null
  nan: number
  infinite: number
  odd: { step: number; time: number; value: number }[]
}

/** How a run is drawn. */
export interface Look {
  color: string
  dash: readonly number[]
  title: string
  /** UTC ms of the first point: zero of the relative axis. */
  start: number
}

export interface SceneOptions {
  axis: Axis
  /** In units of the axis. */
  zoom: Range | null
  smoothing: number
  log: boolean
  clip: boolean
  looks: ReadonlyMap<string, Look>
  /** Steps that are marked: events, and the one that was jumped to. */
  marks: readonly { at: number; kind: 'WARN' | 'ERROR' | 'place' }[]
  thresholds: { warn: number; bad: number; below?: boolean } | null
}

export interface SceneLine {
  run: string
  look: Look
  xs: readonly number[]
  ys: readonly number[]
  /** Null where smoothing is off. */
  smoothed: readonly number[] | null
  odd: readonly { x: number; value: number }[]
}

/** All that a chart shows, in units of its axes. */
export interface Scene {
  axis: Axis
  log: boolean
  x: Range
  y: Range
  lines: SceneLine[]
  marks: SceneOptions['marks']
  thresholds: SceneOptions['thresholds']
  /** Points that a logarithmic axis cannot show. */
  notPositive: number
  /** Values in view that are no number, and those that are infinite. */
  nan: number
  infinite: number
  /** Points that the cut of outliers leaves out. */
  clipped: number
  isEmpty: boolean
}

/** Where the points of a line stand on the axis. */
export const placesOf = (axis: Axis, line: Pick<DrawnLine, 'steps' | 'times'>, start: number): readonly number[] =>
  axis === 'step' ? line.steps : axis === 'time' ? line.times : line.times.map((time) => time - start)

const placeOf = (axis: Axis, point: { step: number; time: number }, start: number): number =>
  axis === 'step' ? point.step : axis === 'time' ? point.time : point.time - start

/** Some air above and below, and a height for a flat line; a range of doubles, however large they are. */
function padded({ min, max }: Range, log: boolean): Range {
  const largest = Math.max(Math.abs(min), Math.abs(max))
  // Halves first: from -1e308 to 1e308 is no double.
  const isFlat = max / 2 - min / 2 <= (TINY * largest) / 2
  if (log) {
    const air = isFlat ? 2 : 10 ** ((Math.log10(max) - Math.log10(min)) * 0.06)
    return { min: Math.max(Number.MIN_VALUE, min / air), max: Math.min(Number.MAX_VALUE, max * air) }
  }
  const air = isFlat ? largest * 0.1 || 1 : (max / 2 - min / 2) * 0.12
  return { min: Math.max(-Number.MAX_VALUE, min - air), max: Math.min(Number.MAX_VALUE, max + air) }
}

const widened = ({ min, max }: Range): Range => (min === max ? { min: min - 0.5, max: max + 0.5 } : { min, max })

/** A raw line may reach beyond what is in view; of another one the server has counted. */
function oddInView(line: DrawnLine, xs: readonly number[], x: Range): { nan: number; infinite: number } {
  if (!line.isRaw) return line
  const odd = line.values.filter((value, i) => !Number.isFinite(value) && xs[i]! >= x.min && xs[i]! <= x.max)
  const nan = odd.filter(Number.isNaN).length
  return { nan, infinite: odd.length - nan }
}

const notPositiveIn = (line: DrawnLine, xs: readonly number[], x: Range): number =>
  line.values.reduce((n, value, i) => n + (value <= 0 && xs[i]! >= x.min && xs[i]! <= x.max ? 1 : 0), 0)

/** Puts together what a chart shows. The y range holds all points in view, unless outliers are cut off, which is counted. */
export function buildScene(lines: readonly DrawnLine[], options: SceneOptions): Scene {
  const { axis, zoom, log } = options
  const drawn = lines.flatMap((line): SceneLine[] => {
    const look = options.looks.get(line.run)
    if (look === undefined) return []
    const shown = (values: readonly number[]): readonly number[] =>
      log ? values.map((value) => (value > 0 ? value : Number.NaN)) : values
    const ys = shown(line.values)
    return [
      {
        run: line.run,
        look,
        xs: placesOf(axis, line, look.start),
        ys,
        smoothed:
          options.smoothing > 0 ? smooth(line.means === null ? ys : shown(line.means), options.smoothing) : null,
        odd: line.odd.map((point) => ({ x: placeOf(axis, point, look.start), value: point.value })),
      },
    ]
  })
  const ends = drawn.flatMap(({ xs, odd }) => [xs[0] ?? Number.NaN, xs.at(-1) ?? Number.NaN, ...odd.map(({ x }) => x)])
  const x = zoom ?? widened(rangeOf(ends) ?? { min: 0, max: 1 })
  const inView = drawn.flatMap(({ xs, ys }) => ys.filter((_, i) => xs[i]! >= x.min && xs[i]! <= x.max))
  const whole = rangeOf(inView)
  const placesIn = (line: DrawnLine): readonly number[] => placesOf(axis, line, options.looks.get(line.run)?.start ?? 0)
  const odd = lines.map((line) => oddInView(line, placesIn(line), x))
  const y = options.clip ? withoutOutliers(inView) : whole
  return {
    axis,
    log,
    x,
    y: padded(y ?? (log ? { min: 1, max: 10 } : { min: 0, max: 1 }), log),
    lines: drawn,
    marks: options.marks,
    thresholds: options.thresholds,
    notPositive: log ? lines.reduce((n, line) => n + notPositiveIn(line, placesIn(line), x), 0) : 0,
    nan: odd.reduce((n, { nan }) => n + nan, 0),
    infinite: odd.reduce((n, { infinite }) => n + infinite, 0),
    clipped: y === null ? 0 : countOutside(inView, y),
    isEmpty: whole === null && drawn.every(({ odd }) => odd.every((mark) => mark.x < x.min || mark.x > x.max)),
  }
}
