import type { Axis, Chart, Line, LivePoints } from '../../web/api.ts'
import { drawnLine, numberOf } from '../../chart/drawn.ts'
import type { DrawnLine } from '../../chart/scene.ts'
import { ask, type RequestFailed } from './api.ts'
import { startOf } from './runs.ts'

/** A line of a chart, and up to which point of the run it holds. */
export interface KeptLine extends DrawnLine {
  upTo: number
  /** Points that came live since it was asked for. */
  appended: number
}

/** What a chart wants to have. */
export interface Wanted {
  runs: readonly string[]
  axis: Axis
  zoom: readonly [number, number] | null
  /** Of the plot, CSS pixels. */
  width: number
}

const keptLine = (line: Line): KeptLine => ({ ...drawnLine(line), appended: 0 })

const isWhole = (line: KeptLine): boolean => line.isRaw

/** What was refused is asked for again after this long. */
const RETRY_MS = 1000

/** Live messages that came lately, for answers that are older than them. */
const RECENT = 64

/** The message and the point before its first one. */
interface Came {
  after: number
  message: LivePoints
}

/** The lines of one key over the runs that are shown. Loads them, and appends to them what comes live. */
export class KeyLines {
  readonly key: string
  lines = new Map<string, KeptLine>()
  /** In words, when the last request failed. */
  error: string | null = null
  isLoading = false
  #wanted: Wanted | null = null
  #has: Wanted | null = null
  #recent: Came[] = []
  #abort: AbortController | null = null
  #retry: ReturnType<typeof setTimeout> | undefined
  readonly #changed: () => void

  constructor(key: string, changed: () => void) {
    this.key = key
    this.#changed = changed
  }

  /** Asks for what is wanted, unless it is there already. */
  want(wanted: Wanted): void {
    if (wanted.runs.length === 0 || wanted.width <= 0) return
    this.#wanted = wanted
    if (this.#retry !== undefined || this.#satisfies(wanted)) return
    void this.#load(wanted)
  }

  /** Asks again, for what was wanted last. */
  reload(): void {
    if (this.#wanted !== null) void this.#load(this.#wanted)
  }

  /** A run has sent more than the stream holds: the next time the chart is seen it asks again. */
  expire(): void {
    this.#has = null
  }

  #satisfies(wanted: Wanted): boolean {
    const has = this.#has
    if (has === null || has.axis !== wanted.axis || has.runs.join() !== wanted.runs.join()) return false
    if (String(has.zoom) === String(wanted.zoom)) return has.width >= wanted.width * 0.6
    // A series that is here whole and raw has every range of itself.
    return has.zoom === null && [...this.lines.values()].every(isWhole)
  }

  async #load(wanted: Wanted): Promise<void> {
    this.#abort?.abort()
    const abort = (this.#abort = new AbortController())
    this.#has = wanted
    this.isLoading = true
    const query = new URLSearchParams(wanted.runs.map((run) => ['run', run]))
    query.set('key', this.key)
    query.set('width', String(Math.round(wanted.width)))
    query.set('axis', wanted.axis)
    if (wanted.zoom !== null) {
      query.set('from', String(wanted.zoom[0]))
      query.set('to', String(wanted.zoom[1]))
    }
    try {
      const chart = await ask<Chart>(`series?${query.toString()}`, { signal: abort.signal })
      if (this.#abort !== abort) return
      this.lines = new Map(chart.lines.map((line) => [line.run, keptLine(line)]))
      this.error = null
      for (const came of this.#recent) this.#take(came)
    } catch (error) {
      if (this.#abort !== abort) return
      this.error = (error as Error).message
      const { status } = error as RequestFailed
      if (status >= 400 && status < 500) return // the same would be said again
      this.#has = null
      this.#retry = setTimeout(() => {
        this.#retry = undefined
        this.#changed()
      }, RETRY_MS)
    } finally {
      if (this.#abort === abort) {
        this.isLoading = false
        this.#changed()
      }
    }
  }

  /** Takes points that came live. Says whether the chart has changed. */
  append(message: LivePoints, after: number): boolean {
    const came = { after, message }
    this.#recent.push(came)
    if (this.#recent.length > RECENT) this.#recent.shift()
    return this.#take(came)
  }

  #take({ after, message }: Came): boolean {
    if (this.#has === null || !this.#has.runs.includes(message.run)) return false
    const series = message.series.find(({ key }) => key === this.key)
    let line = this.lines.get(message.run)
    if (series === undefined || (line !== undefined && message.upTo <= line.upTo)) return false
    if (line === undefined) {
      if (this.isLoading) return false
      line = { ...emptyLine(message.run, series.id), upTo: after }
      this.lines.set(message.run, line)
    }
    const straddles = after < line.upTo
    const { axis, zoom, width } = this.#has
    const start = axis === 'relative' ? startOf(message.run) : 0
    const known = straddles ? knownPoints(line) : null
    for (let i = 0; i < series.steps.length; i++) {
      const point = { step: series.steps[i]!, time: series.times[i]!, value: numberOf(series.values[i]!) }
      if (known?.has(`${point.step} ${point.time} ${point.value}`)) continue
      const x = axis === 'step' ? point.step : axis === 'time' ? point.time : point.time - start
      if (zoom !== null && (x < zoom[0] || x > zoom[1])) continue
      insert(line, point, axis)
    }
    line.upTo = message.upTo
    if (line.appended > 2 * width && (!line.isRaw || line.steps.length > 4 * width)) this.reload()
    return true
  }
}

const emptyLine = (run: string, id: number): KeptLine => ({
  run,
  id,
  isRaw: true,
  points: 0,
  steps: [],
  times: [],
  values: [],
  means: null,
  nan: 0,
  infinite: 0,
  odd: [],
  upTo: 0,
  appended: 0,
})

/** The latest points of a line, so that none is taken twice. */
const knownPoints = ({ steps, times, values, odd }: KeptLine): Set<string> => {
  const known = new Set(odd.map(({ step, time, value }) => `${step} ${time} ${value}`))
  for (let i = Math.max(0, steps.length - 2000); i < steps.length; i++)
    known.add(`${steps[i]} ${times[i]} ${values[i]}`)
  return known
}

/** Puts a point where it belongs: nearly always at the end. */
function insert(line: KeptLine, point: { step: number; time: number; value: number }, axis: Axis): void {
  line.points++
  line.appended++
  if (Number.isNaN(point.value)) line.nan++
  else if (!Number.isFinite(point.value)) line.infinite++
  if (!Number.isFinite(point.value)) {
    if (line.odd.length < 200) line.odd.push(point)
    if (!line.isRaw) return
  }
  const order = axis === 'step' ? line.steps : line.times
  const x = axis === 'step' ? point.step : point.time
  let at = order.length
  while (at > 0 && order[at - 1]! > x) at--
  if (at === order.length) {
    line.steps.push(point.step)
    line.times.push(point.time)
    line.values.push(point.value)
    line.means?.push(point.value)
  } else {
    line.steps.splice(at, 0, point.step)
    line.times.splice(at, 0, point.time)
    line.values.splice(at, 0, point.value)
    line.means?.splice(at, 0, point.value)
  }
}
