import { computed } from '@preact/signals'
import type { JSX } from 'preact'
import { clock, count } from '../../chart/format.ts'
import { Icon } from '../parts/icons.tsx'
import { mode } from '../state/kept.ts'
import { asOf, connection, isQuiet } from '../state/live.ts'
import { server, shown } from '../state/runs.ts'
import { TABS, type Tab } from '../state/hash.ts'
import { choose, view } from '../state/view.ts'

export const TAB_NAMES: Readonly<Record<Tab, string>> = {
  charts: 'Charts',
  runs: 'Runs',
  timeline: 'Timeline',
  events: 'Events',
  params: 'Params',
  delivery: 'Delivery',
}

/** Where one is, how the connection stands, and what is not delivered: always in view. */
export function TopBar({ showKeys }: { showKeys: () => void }): JSX.Element {
  return (
    <header class="top">
      <span class="brand">
        <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
          <path d="M4 22h24M7 22v-4M25 22v-4M5 18c4-9 18-9 22 0" />
        </svg>
        Spanbridge
      </span>
      <nav aria-label="Parts of the page">
        {TABS.map((tab) => (
          <a
            key={tab}
            href={`#tab=${tab}`}
            aria-current={view.value.tab === tab ? 'page' : undefined}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return
              event.preventDefault()
              choose({ tab })
            }}
          >
            {TAB_NAMES[tab]}
          </a>
        ))}
      </nav>
      <span class="marks">
        <Undelivered />
        <ConnectionMark />
        <ModeSwitch />
        <button type="button" class="plain keys" aria-label="Keys" title="Keys (?)" onClick={showKeys}>
          ?
        </button>
      </span>
    </header>
  )
}

function ConnectionMark(): JSX.Element {
  const now = connection.value
  const at = asOf.value === 0 ? '' : `as of ${clock(asOf.value)}`
  switch (now.state) {
    case 'live':
      if (isQuiet.value)
        return (
          <span
            class="connection"
            role="status"
            title="No new data: the trainer is quiet, or the connection is lost. Move the pointer to check."
          >
            <i aria-hidden="true" />
            no news since {clock(asOf.value)}
          </span>
        )
      return (
        <span class="connection live" role="status" title={`Connected to process ${server.value?.server.pid ?? ''}`}>
          <i aria-hidden="true" />
          live <span class="muted wide">{at}</span>
        </span>
      )
    case 'gone':
      return (
        <span
          class="connection gone"
          role="status"
          title={`${now.why}: it has ended, or cannot be reached. The page tries again each second; spanbridge view shows runs that have ended.`}
        >
          <i aria-hidden="true" />
          {server.value?.server.kind === 'view' ? 'viewer' : 'daemon'} gone since {clock(now.since)}
        </span>
      )
    case 'refused':
      return (
        <span class="connection gone" role="status" title={now.why}>
          <i aria-hidden="true" />
          no access
        </span>
      )
    default:
      return (
        <span class="connection" role="status">
          <i aria-hidden="true" />
          {now.state === 'paused' ? `paused, ${at}` : 'connecting'}
        </span>
      )
  }
}

interface Sums {
  destinations: number
  pending: number
  refused: number
  lost: number
  suspended: number
}

/** Over the runs that are shown. One that is disabled has nothing to wait for. */
export const sums = computed((): Sums => {
  const all = { destinations: 0, pending: 0, refused: 0, lost: 0, suspended: 0 }
  for (const { destinations, dropped } of shown.value) {
    for (const n of Object.values(dropped)) all.lost += n
    for (const { state, points, spans, params, tags } of destinations) {
      if (state === 'disabled') continue
      all.destinations++
      if (state === 'suspended') all.suspended++
      all.pending += points.pending + (spans?.pending ?? 0) + params.pending + tags.pending
      all.refused += points.rejected + (spans?.rejected ?? 0) + params.rejected + tags.rejected
      all.lost += points.evicted + (spans?.evicted ?? 0)
    }
  }
  return all
})

function Undelivered(): JSX.Element {
  const { destinations, pending, refused, lost, suspended } = sums.value
  const parts = [
    { n: pending, text: 'pending', mark: 'warn' },
    { n: refused, text: 'refused', mark: 'bad' },
    { n: suspended, text: 'down', mark: 'bad' },
    ...(lost > 0 ? [{ n: lost, text: 'lost', mark: 'bad' }] : []),
  ]
  const title =
    destinations === 0
      ? 'No tracker is set: everything stays on the trainer’s host'
      : 'Pending: not sent yet. Refused: a tracker will not take it. Down: trackers that do not answer. Lost: never sent.'
  return (
    <button type="button" class="undelivered" title={title} onClick={() => choose({ tab: 'delivery' })}>
      {parts.map(({ n, text, mark }) => (
        <span key={text} class={n > 0 ? mark : 'muted'}>
          <b>{count(n)}</b> {text}
        </span>
      ))}
    </button>
  )
}

const NEXT = { system: 'light', light: 'dark', dark: 'system' } as const
const MODE_NAMES = { system: 'as the system', light: 'light', dark: 'dark' } as const

function ModeSwitch(): JSX.Element {
  const now = mode.value
  const text = `Colours: ${MODE_NAMES[now]}; switch to ${MODE_NAMES[NEXT[now]]}`
  return (
    <button type="button" class="plain" aria-label={text} title={text} onClick={() => (mode.value = NEXT[now])}>
      <Icon name={now === 'system' ? 'half' : now === 'light' ? 'sun' : 'moon'} />
    </button>
  )
}
