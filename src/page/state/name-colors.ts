import { LINE_COLORS } from '../../chart/palette.ts'

/** Those of lines, and two more. */
const LIGHT = [...LINE_COLORS.light, '#0e7c94', '#8f2f2f']
const DARK = [...LINE_COLORS.dark, '#5fd0e6', '#f19999']

const places = new Map<string, number>()

/** A name has one colour on the whole page; the first eight names differ. */
export function nameColor(name: string, isDark: boolean): string {
  const place = places.get(name) ?? places.size
  places.set(name, place)
  const colors = isDark ? DARK : LIGHT
  return colors[place % colors.length]!
}
