import { computed, effect, signal } from '@preact/signals'
import type { Theme } from '../../chart/paint.ts'
import { mode } from './kept.ts'

const query = matchMedia('(prefers-color-scheme: dark)')
const systemIsDark = signal(query.matches)
query.addEventListener('change', ({ matches }) => {
  systemIsDark.value = matches
})

export const isDark = computed(() => (mode.value === 'system' ? systemIsDark.value : mode.value === 'dark'))

/** The colours of charts: those of the page's style sheet. */
export const theme = signal<Theme>(readTheme())

function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement)
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim()
  return {
    text: of('text'),
    muted: of('muted'),
    grid: of('grid'),
    surface: of('surface'),
    warn: of('warn'),
    bad: of('bad'),
    font: of('font'),
  }
}

effect(() => {
  document.documentElement.dataset['mode'] = isDark.value ? 'dark' : 'light'
  theme.value = readTheme()
})
