import { signal } from '@preact/signals'
import type { JSX } from 'preact'

const said = signal<string | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined

/** Says something that has happened, for some seconds. */
export function say(text: string): void {
  said.value = text
  clearTimeout(timer)
  timer = setTimeout(() => (said.value = null), 6000)
}

export function Notice(): JSX.Element {
  return (
    <div class="notice" role="status" aria-live="polite">
      {said.value !== null && <p>{said.value}</p>}
    </div>
  )
}
