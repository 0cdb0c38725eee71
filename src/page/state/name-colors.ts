const LIGHT = ['#0b62c4', '#c64600', '#00785a', '#a2308c', '#7a5c00', '#4b5563', '#0e7c94', '#8f2f2f']
const DARK = ['#5fb0ff', '#ff9a52', '#35cfa0', '#f08fd8', '#e8c435', '#c3cad4', '#5fd0e6', '#f19999']

const places = new Map<string, number>()

/** A name has one colour on the whole page; the first eight names differ. */
export function nameColor(name: string, isDark: boolean): string {
  const place = places.get(name) ?? places.size
  places.set(name, place)
  const colors = isDark ? DARK : LIGHT
  return colors[place % colors.length]!
}
