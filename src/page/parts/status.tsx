import type { JSX } from 'preact'
import { connection } from '../state/live.ts'

const SHAPES: Readonly<Record<string, string>> = {
  running: 'M5 3.2v9.6L13 8z',
  finished: 'M3 8.4l3.4 3.4L13 4.6',
  failed: 'M4 4l8 8M12 4l-8 8',
  killed: 'M4 4h8v8H4z',
  interrupted: 'M5.4 3.5v9M10.6 3.5v9',
}

/** What became of a run: a word and a shape, so that it does not hang on the colour. */
export function Status(props: { status: string; short?: boolean }): JSX.Element {
  const { short = false } = props
  // Nobody knows what became of a run since its daemon went silent.
  const isStale = connection.value.state === 'gone' && props.status === 'running'
  const status = isStale ? 'was running' : props.status
  const isFilled = status === 'running' || status === 'killed'
  return (
    <span class={`status ${isStale ? '' : status}`} title={short ? status : undefined}>
      <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
        <path d={SHAPES[status] ?? SHAPES['interrupted']} fill={isFilled ? 'currentColor' : 'none'} />
      </svg>
      <span class={short ? 'unseen' : ''}>{status}</span>
    </span>
  )
}
