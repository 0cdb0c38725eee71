import { signal } from '@preact/signals'
import { readHash, writeHash, type View } from './hash.ts'

/** What is chosen; the address follows it, and it follows the address. */
export const view = signal<View>(readHash(location.hash))

/** Each of these is a place to come back to; the rest replaces the address. */
const PLACES: readonly (keyof View)[] = ['tab', 'runs', 'zoom', 'large', 'mark', 'axis']

/** Changes the choice, and the address with it. */
export function choose(change: Partial<View>): void {
  const before = view.peek()
  const next = { ...before, ...change }
  const hash = writeHash(next)
  view.value = next
  if (hash === writeHash(before)) return
  const isPlace = PLACES.some((name) => name in change)
  const address = hash === '' ? location.pathname : `#${hash}`
  history[isPlace ? 'pushState' : 'replaceState'](null, '', address)
}

addEventListener('popstate', () => {
  view.value = readHash(location.hash)
})
addEventListener('hashchange', () => {
  view.value = readHash(location.hash)
})
