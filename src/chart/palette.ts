import type { Theme } from './paint.ts'

/** How a picture looks: on white, or on nearly black. */
export type Mode = 'light' | 'dark'

/** Colours of lines, told apart by people who see fewer colours, too (after Okabe and Ito); the second round is dashed. */
export const LINE_COLORS: Readonly<Record<Mode, readonly string[]>> = {
  light: ['#0b62c4', '#c64600', '#00785a', '#a2308c', '#7a5c00', '#4b5563'],
  dark: ['#5fb0ff', '#ff9a52', '#35cfa0', '#f08fd8', '#e8c435', '#c3cad4'],
}

const DASHES: readonly (readonly number[])[] = [[], [7, 3], [2, 3]]

/** Colour and dashes of the line at a place. */
export function lineLook(place: number, mode: Mode): { color: string; dash: readonly number[] } {
  const colors = LINE_COLORS[mode]
  return {
    color: colors[place % colors.length]!,
    dash: DASHES[Math.floor(place / colors.length) % DASHES.length]!,
  }
}

const FONT = "'DejaVu Sans', system-ui, sans-serif"

/** Colours of what is no line. */
export const THEMES: Readonly<Record<Mode, Theme>> = {
  light: {
    text: '#16191d',
    muted: '#5b626c',
    grid: '#e6e8eb',
    surface: '#ffffff',
    warn: '#b26a00',
    bad: '#c62828',
    font: FONT,
  },
  dark: {
    text: '#eceff3',
    muted: '#9aa3ae',
    grid: '#2b3038',
    surface: '#14171b',
    warn: '#f0b429',
    bad: '#ff6b5e',
    font: FONT,
  },
}
