import type { LivePoints } from '../../web/api.ts'
import type { Plot } from '../chart/plot.ts'
import { KeyLines } from './lines.ts'

const kept = new Map<string, KeyLines>()
/** The charts that are on the page now, by key. */
const plots = new Map<string, Set<Plot>>()
const dirty = new Set<Plot>()
let isDue = false
let lastDrawn = 0

/** At most so many times a second is drawn what came live. */
const FRAME_MS = 100

/** The lines of a key; they stay when their chart is scrolled away. */
export function linesOf(key: string): KeyLines {
  let lines = kept.get(key)
  if (lines === undefined) {
    lines = new KeyLines(key, () => {
      for (const plot of plots.get(key) ?? []) redraw(plot)
    })
    kept.set(key, lines)
  }
  return lines
}

export function addPlot(plot: Plot): () => void {
  const all = plots.get(plot.key) ?? new Set()
  plots.set(plot.key, all.add(plot))
  return () => {
    all.delete(plot)
    dirty.delete(plot)
    if (all.size === 0) plots.delete(plot.key)
  }
}

/** All charts that are on the page now. */
export const allPlots = (): Plot[] => [...plots.values()].flatMap((all) => [...all])

/** Draws a chart before the next picture, if it can be seen. */
export function redraw(plot: Plot): void {
  dirty.add(plot)
  if (isDue) return
  isDue = true
  const wait = FRAME_MS - (performance.now() - lastDrawn)
  if (wait > 0) setTimeout(() => requestAnimationFrame(drawAll), wait)
  else requestAnimationFrame(drawAll)
}

/** Draws what a person has asked for without delay. */
export function redrawNow(): void {
  for (const plot of allPlots()) dirty.add(plot)
  lastDrawn = 0
  if (isDue) return
  isDue = true
  requestAnimationFrame(drawAll)
}

function drawAll(): void {
  isDue = false
  lastDrawn = performance.now()
  const due = [...dirty]
  dirty.clear()
  for (const plot of due) plot.draw()
}

/** Appends what came live to the lines that are kept. `after`: the point before the first one. */
export function takePoints(message: LivePoints, after: number): void {
  for (const lines of kept.values()) {
    if (!lines.append(message, after)) continue
    for (const plot of plots.get(lines.key) ?? []) redraw(plot)
  }
}

/** A run has changed by more than was sent: its charts are asked for again, as soon as they are seen. */
export function expireRun(_run: string): void {
  for (const lines of kept.values()) lines.expire()
  for (const plot of allPlots()) redraw(plot)
}
