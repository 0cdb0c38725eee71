import { computed, effect, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { Notice } from './parts/notice.tsx'
import { connection } from './state/live.ts'
import { failure, seriesOf, seriesVersion, server, shown } from './state/runs.ts'
import { view } from './state/view.ts'
import { Charts } from './views/charts.tsx'
import { Delivery } from './views/delivery.tsx'
import { Empty } from './views/empty.tsx'
import { Events } from './views/events.tsx'
import { Keys, listenToKeys } from './views/keys.tsx'
import { Params } from './views/params.tsx'
import { Runs } from './views/runs.tsx'
import { Timeline } from './views/timeline.tsx'
import { TAB_NAMES, TopBar } from './views/top-bar.tsx'

const heading = computed(() => {
  const titles = shown.value.map(({ title }) => title).join(', ')
  return titles === '' ? 'Spanbridge' : `${TAB_NAMES[view.value.tab]}: ${titles}`
})
effect(() => {
  document.title = shown.value.length === 0 ? 'Spanbridge' : `${heading.value} · Spanbridge`
})

const keysAreShown = signal(false)
const showKeys = (): void => {
  keysAreShown.value = true
}
listenToKeys(showKeys)

/** The whole page. */
export function App(): JSX.Element {
  return (
    <>
      <TopBar showKeys={showKeys} />
      <main tabIndex={-1}>
        <h1 class="unseen">{heading.value}</h1>
        <Part />
      </main>
      <Notice />
      {keysAreShown.value && <Keys close={() => (keysAreShown.value = false)} />}
    </>
  )
}

function Part(): JSX.Element {
  const now = connection.value
  if (now.state === 'refused')
    return <p class="nothing">{now.why || 'This page needs the address that Spanbridge printed, with its token.'}</p>
  if (server.value === null) {
    if (failure.value === null) return <p class="nothing">Asking Spanbridge what it has …</p>
    return <p class="nothing">{failure.value}. The page tries again each second.</p>
  }
  void seriesVersion.value
  // Points may come before the account that counts them.
  const hasCharts = shown.value.some(({ run, series }) => series > 0 || (seriesOf.get(run)?.size ?? 0) > 0)
  switch (view.value.tab) {
    case 'runs':
      return <Runs />
    case 'delivery':
      return <Delivery />
    case 'events':
      return <Events />
    case 'params':
      return <Params />
    case 'timeline':
      return shown.value.length > 0 ? <Timeline /> : <Empty />
    default:
      return hasCharts ? <Charts /> : <Empty />
  }
}
