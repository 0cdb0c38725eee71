import type { JSX } from 'preact'
import { connection } from '../state/live.ts'

const SHAPES: Readonly<Record<string, string>> = {
  running: 'M5 3.2v9.6L13 8z',
  finished: 'M3 8.4l3.4 3.4L13 4.6',
  failed: 'M4 4l8 8M12 4l-8 8',
  killed: 'M4 4h8v8H4z',
  interrupted: 'M5.4 3.5v9M10.6 3.5v9',
}

/** What a word does not say by itself. */
const MEANINGS: Readonly<Record<string, string>> = {
  failed: 'ended with an error',
  killed: 'ended by a signal',
  interrupted: 'Spanbridge ended before the run did: how it ended is not known',
  'was running': 'was running when Spanbridge was last heard',
}

/** What became of a run: a word and a shape, so that it does not hang on the colour. */
export function Status(props: { status: string; short?: boolean }): JSX.Element {
  const { short = false } = props
  // Nobody knows what became of a run since its daemon went silent.
  const isStale = connection.value.state === 'gone' && props.status === 'running'
  const status = isStale ? 'was running' : props.status
  const meaning = MEANINGS[status]
  const title = short ? (meaning === undefined ? status : `${status}: ${meaning}`) : meaning
  const isFilled = status === 'running' || status === 'killed'
  return (
    <span class={`status ${isStale ? '' : status}`} title={title}>
      <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
        <path d={SHAPES[status] ?? SHAPES['interrupted']} fill={isFilled ? 'currentColor' : 'none'} />
      </svg>
      <span class={short ? 'unseen' : ''}>{status}</span>
    </span>
  )
}
