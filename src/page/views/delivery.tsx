import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { RejectedPage, RunSummary } from '../../web/api.ts'
import { count, counted, duration, shortValue } from '../../chart/format.ts'
import { Icon } from '../parts/icons.tsx'
import { ask } from '../state/api.ts'
import { paceOf, paceVersion, takenPaceOf } from '../state/live.ts'
import { server, shown } from '../state/runs.ts'
import { Flow, takesPoints } from './flow.tsx'
import { reasonOf } from './reasons.ts'

type Destination = RunSummary['destinations'][number]
const picked = signal<string | null>(null)

/** Where every number went: what came, what became points, what is on disk, and what each tracker has. */
export function Delivery(): JSX.Element {
  const run = shown.value.find((one) => one.run === picked.value) ?? shown.value[0]
  if (run === undefined) return <p class="nothing">No run yet: nothing has come that could be delivered.</p>
  return (
    <div class="delivery">
      {shown.value.length > 1 && (
        <div class="segments" role="group" aria-label="Run">
          {shown.value.map((one) => (
            <button type="button" key={one.run} aria-pressed={one === run} onClick={() => (picked.value = one.run)}>
              {one.title}
            </button>
          ))}
        </div>
      )}
      <Lead run={run} />
      <section class="panel">
        <h2>Where every number of {run.title} went</h2>
        <Flow run={run} />
        <Numbers run={run} />
      </section>
      <Destinations run={run} />
      <Refused run={run} />
      <Reasons title="Numbers that are on no chart" counts={{ ...run.skipped, ...run.dropped }} run={run} />
      <Reasons title="Lines that are not understood" counts={run.notEvents} run={run} />
      <Unreadable />
    </div>
  )
}

/** The state of affairs in one sentence, with the pace. */
function Lead({ run }: { run: RunSummary }): JSX.Element {
  void paceVersion.value
  const pace = run.status === 'running' ? paceOf(run.run) : null
  const on = run.destinations.filter(({ state }) => state !== 'disabled')
  const pending = on.reduce((n, { points }) => n + points.pending, 0)
  const isSuspended = on.some(({ state }) => state === 'suspended')
  return (
    <p class="lead">
      {on.length === 0
        ? 'No tracker is set for this run: its points stay on the trainer’s host, and are shown here.'
        : pending === 0
          ? 'No points are waiting to be sent.'
          : !run.isHeld
            ? `${counted(pending, 'point')} pending, safe on disk. Nothing sends them now: run spanbridge sync.`
            : isSuspended
              ? `${counted(pending, 'point')} pending: a tracker does not answer. They are safe on disk and are sent as soon as it does.`
              : `${counted(pending, 'point')} pending; they are on disk and on their way.`}
      {pace !== null && <span class="muted"> {shortValue(Math.round(pace))} points a second come in.</span>}
    </p>
  )
}

/** The same as the picture, as text; instead of it on a narrow screen. */
function Numbers({ run }: { run: RunSummary }): JSX.Element {
  const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)
  const rows: [string, number][] = [
    ['Numbers received', run.received.numbers],
    ['− skipped', sum(run.skipped)],
    ['− waiting for their step', run.waiting],
    ['= points', run.points],
    ['− on the way to the disk', run.inChannel],
    ['− dropped', sum(run.dropped)],
    ['= written to disk', run.journaled.points],
  ]
  return (
    <dl class="numbers">
      {rows.map(([name, n]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{count(n)}</dd>
        </div>
      ))}
    </dl>
  )
}

const STATES: Readonly<Record<string, string>> = {
  ok: 'up',
  suspended: 'does not answer; tried again within ten seconds, or as late as it asks for (Retry-After)',
  disabled: 'replaced: the run goes to another address now',
}

/** Of a run that no process holds, only the past is known. */
const stateOf = ({ state, points, spans, params, tags }: Destination, isHeld: boolean): string => {
  if (isHeld || state === 'disabled') return STATES[state] ?? state
  if (state === 'suspended') return 'did not answer when it was last tried'
  const pending = points.pending + (spans?.pending ?? 0) + params.pending + tags.pending
  return pending === 0 ? 'has received everything' : 'has not received everything yet'
}

function Destinations({ run }: { run: RunSummary }): JSX.Element {
  return (
    <div class="destinations">
      {run.destinations.map((destination, i) => (
        <section class={`panel destination ${destination.state}${run.isHeld ? '' : ' idle'}`} key={i}>
          <header>
            <h2>{destination.exporter}</h2>
            <code>{destination.address}</code>
            {destination.page !== null && /^https?:/.test(destination.page) && (
              <a href={destination.page} target="_blank" rel="noreferrer noopener">
                Open the run there <Icon name="out" />
              </a>
            )}
          </header>
          <p class="state">
            <span class="mark" aria-hidden="true" />
            {stateOf(destination, run.isHeld)}
            {run.isHeld && destination.state === 'ok' && (
              <Lag destination={destination} pace={takenPaceOf(run.run, i)} />
            )}
          </p>
          {destination.lastError !== null && <p class="problem">Last error: {destination.lastError}</p>}
          <Account destination={destination} />
        </section>
      ))}
    </div>
  )
}

/** How fast a tracker takes points, and how long it has to do with those that wait. */
function Lag({ destination, pace }: { destination: Destination; pace: number | null }): JSX.Element | null {
  const { pending } = destination.points
  if (pace === null || pace < 1) return null
  return (
    <span class="muted">
      {` · takes ${shortValue(Math.round(pace))} points a second`}
      {pending > pace && `; ${duration((pending / pace) * 1000)} left for what is pending`}
    </span>
  )
}

function Account({ destination }: { destination: Destination }): JSX.Element {
  const { points, spans, params, tags } = destination
  const rows = [
    ...(takesPoints(destination) ? [{ name: 'points', ...points }] : []),
    ...(spans === null ? [] : [{ name: 'spans', ...spans }]),
    ...[
      { name: 'params', ...params, evicted: 0 },
      { name: 'tags', ...tags, evicted: 0 },
    ].filter(({ delivered, rejected, pending }) => delivered + rejected + pending > 0),
  ]
  return (
    <table>
      <thead>
        <tr>
          <td />
          <th class="number">delivered</th>
          <th class="number">pending</th>
          <th class="number">refused</th>
          <th class="number" title="Deleted unsent, because Spanbridge’s limit for runs on disk was reached">
            lost
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, delivered, pending, rejected, evicted }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="number">{count(delivered)}</td>
            <td class={`number${pending > 0 ? ' warn' : ''}`}>{count(pending)}</td>
            <td class={`number${rejected > 0 ? ' bad' : ''}`}>{count(rejected)}</td>
            <td class={`number${evicted > 0 ? ' bad' : ''}`}>{count(evicted)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** What trackers refused, and why; asked for when the number changes. */
function Refused({ run }: { run: RunSummary }): JSX.Element | null {
  const n = run.destinations.reduce(
    (all, { points, spans, params, tags }) =>
      all + points.rejected + (spans?.rejected ?? 0) + params.rejected + tags.rejected,
    run.rejectedParams,
  )
  const [page, setPage] = useState<RejectedPage | null>(null)
  useEffect(() => {
    setPage(null)
    if (n > 0)
      ask<RejectedPage>(`runs/${encodeURIComponent(run.run)}/rejected?limit=100`).then(setPage, () => setPage(null))
  }, [run.run, n])
  if (n === 0 || page === null) return null
  return (
    <section class="panel">
      <h2>Refused: {count(page.total)}</h2>
      <p class="muted">These were not accepted. They stay on disk; spanbridge sync --rejected sends them again.</p>
      <div class="table" tabIndex={0} role="region" aria-label="Refused">
        <table>
          <thead>
            <tr>
              <th>By</th>
              <th>What</th>
              <th>Name</th>
              <th class="number">Step</th>
              <th class="number">Value</th>
              <th>Why</th>
            </tr>
          </thead>
          <tbody>
            {page.rows.map((row, i) => (
              <tr key={i}>
                <td>{row.exporter ?? 'Spanbridge'}</td>
                <td>{row.kind}</td>
                <td>{row.name}</td>
                <td class="number">{row.step === null ? '' : count(row.step)}</td>
                <td class="number">{String(row.value)}</td>
                <td>{row.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

/** Reasons with their counts, one example each, and what to do. */
function Reasons(props: {
  title: string
  counts: Readonly<Record<string, number>>
  run: RunSummary
}): JSX.Element | null {
  const some = Object.entries(props.counts).filter(([, n]) => n > 0)
  if (some.length === 0) return null
  return (
    <section class="panel">
      <h2>{props.title}</h2>
      <ul class="reasons">
        {some
          .sort(([, a], [, b]) => b - a)
          .map(([reason, n]) => (
            <li key={reason}>
              <b class="number">{count(n)}</b>
              <div>
                <p>
                  {reasonOf(reason, props.run.examples[reason]).text}.{' '}
                  <span class="muted">{reasonOf(reason, props.run.examples[reason]).cure}</span>
                </p>
                {props.run.examples[reason] !== undefined && <pre>{props.run.examples[reason]}</pre>}
              </div>
            </li>
          ))}
      </ul>
    </section>
  )
}

function Unreadable(): JSX.Element | null {
  const all = server.value?.unreadable ?? []
  if (all.length === 0) return null
  return (
    <section class="panel">
      <h2>Files that cannot be read</h2>
      <ul>
        {all.map(({ journal, error }) => (
          <li key={journal}>
            <code>{journal}</code>: {error}
          </li>
        ))}
      </ul>
    </section>
  )
}
