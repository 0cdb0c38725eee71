import type { Box } from './frame.ts'

/** The least that a chart needs, and what it likes to have, in cells. */
const LEAST = { width: 26, height: 6 }
const LIKED = { width: 44, height: 11 }

export interface Grid {
  columns: number
  rows: number
}

/** Columns and rows that hold all charts, or as many as go in, with the most room for each. */
export function gridOf(charts: number, { width, height }: Pick<Box, 'width' | 'height'>): Grid {
  const most = {
    columns: Math.max(1, Math.floor(width / LEAST.width)),
    rows: Math.max(1, Math.floor(height / LEAST.height)),
  }
  const needed = Math.max(1, Math.min(charts, most.columns * most.rows))
  let best = most
  let room = 0
  for (let columns = 1; columns <= most.columns; columns += 1) {
    const rows = Math.ceil(needed / columns)
    if (rows > most.rows) continue
    const has = Math.min(width / columns / LIKED.width, height / rows / LIKED.height)
    if (has > room) {
      best = { columns, rows }
      room = has
    }
  }
  return best
}

/** The cells of a chart, a column apart from the next. */
export function placeIn({ columns, rows }: Grid, nth: number, box: Box): Box {
  const column = nth % columns
  const row = Math.floor(nth / columns)
  const left = Math.floor((column * (box.width + 1)) / columns)
  const right = Math.floor(((column + 1) * (box.width + 1)) / columns) - 1
  const top = Math.floor((row * box.height) / rows)
  const bottom = Math.floor(((row + 1) * box.height) / rows)
  return { x: box.x + left, y: box.y + top, width: right - left, height: bottom - top }
}
