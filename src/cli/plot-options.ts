import { duration } from '../config/types.ts'
import type { Flags } from '../config/flags.ts'
import type { Axis } from '../web/api.ts'
import type { Mode } from '../chart/palette.ts'
import type { PictureOptions } from '../plot/picture.ts'
import { OwnFlags } from './own-flags.ts'

const MIN_PIXELS = 120
const MAX_PIXELS = 10_000

/** Of each chart under `--split`. */
const SPLIT_HEIGHT = 360

export interface PlotOptions {
  out: string
  isSplit: boolean
  /** Of a picture with so many charts. */
  picture: (panels: number) => PictureOptions
}

/** What `plot` is asked for, or all that is wrong with it. */
export function plotOptionsOf(flags: Flags): PlotOptions | { problems: readonly string[] } {
  const own = new OwnFlags(flags)
  const axis = own.oneOf<Axis>('--axis', ['step', 'time', 'relative'], 'step')
  const place = (flag: string): number | null => own.value(flag, PLACES[axis].expected, PLACES[axis].read)
  const from = place('--from')
  const to = place('--to')
  const size = { min: MIN_PIXELS, max: MAX_PIXELS, whole: true }
  const smoothing = own.number('--smooth', { min: 0, max: 0.9999 }) ?? 0
  const width = own.number('--width', size) ?? 1200
  const height = own.number('--height', size)
  const mode = own.oneOf<Mode>('--theme', ['light', 'dark'], 'light')
  const isSplit = own.has('--split')
  const out = own.text('--out')
  if (out === null || !/\.(png|svg)$/i.test(out))
    own.problems.push(`--out: expected a file that ends with .png or .svg, got ${out === null ? 'none' : `'${out}'`}`)
  if (from !== null && to !== null && from >= to) own.problems.push('--from, --to: expected the one before the other')
  if (own.problems.length > 0 || out === null) return { problems: own.problems }
  const range = { ...(from === null ? {} : { from }), ...(to === null ? {} : { to }) }
  const picture = (panels: number): PictureOptions => ({
    axis,
    ...range,
    smoothing,
    log: own.has('--log'),
    width,
    height: height ?? Math.min(MAX_PIXELS, isSplit ? SPLIT_HEIGHT * panels : 600),
    mode,
  })
  return { out, isSplit, picture }
}

/** How places on each axis are written. */
const PLACES: Readonly<Record<Axis, { expected: string; read: (text: string) => number | null }>> = {
  step: { expected: 'a step', read: (text) => finite(text.trim() === '' ? Number.NaN : Number(text)) },
  time: {
    expected: 'a date such as 2026-03-01T12:00, or UTC milliseconds',
    read: (text) => finite(/^\d{9,}$/.test(text) ? Number(text) : Date.parse(text)),
  },
  relative: {
    expected: 'a duration such as 90s, 5m or 2h',
    read: (text) => {
      try {
        return duration.fromText(text)
      } catch {
        return null
      }
    },
  },
}

const finite = (n: number): number | null => (Number.isFinite(n) ? n : null)
