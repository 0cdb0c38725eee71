import { signal, type Signal } from '@preact/signals'

/** A signal that the browser keeps for the next visit; a browser that keeps nothing is no fault. */
export function kept<T>(name: string, start: T): Signal<T> {
  const key = `spanbridge.${name}`
  let first = start
  try {
    const text = localStorage.getItem(key)
    if (text !== null) first = JSON.parse(text) as T
  } catch {
    first = start
  }
  const value = signal(first)
  value.subscribe((next) => {
    try {
      localStorage.setItem(key, JSON.stringify(next))
    } catch {
      // Private windows may refuse.
    }
  })
  return value
}

/** Keys of charts at the top. */
export const pinned = kept<readonly string[]>('pinned', [])
/** Categories whose charts are hidden. */
export const folded = kept<readonly string[]>('folded', [])
/** `system` follows the system's mode. */
export const mode = kept<'system' | 'light' | 'dark'>('mode', 'system')
/** Whether archived runs are in the list. */
export const showArchived = kept('archived', false)
