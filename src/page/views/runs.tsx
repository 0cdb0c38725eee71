import { computed, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { RunSummary, SeriesSummary } from '../../web/api.ts'
import { count, counted, dayAndTime, duration, shortValue } from '../../chart/format.ts'
import { parseFilter } from '../../chart/glob.ts'
import { Icon } from '../parts/icons.tsx'
import { Dialog } from '../parts/menu.tsx'
import { say } from '../parts/notice.tsx'
import { Spark } from '../parts/spark.tsx'
import { Status } from '../parts/status.tsx'
import { change, remove } from '../state/api.ts'
import { showArchived } from '../state/kept.ts'
import { numberOf } from '../../chart/drawn.ts'
import { asOf } from '../state/live.ts'
import { looks, runs, shown } from '../state/runs.ts'
import { choose } from '../state/view.ts'
import { Swatch } from './tooltip.tsx'

/** So many metrics have a column of their own. */
const COLUMNS = 4

const search = signal('')
const order = signal<{ column: string; isDown: boolean }>({ column: 'started', isDown: true })
const toDelete = signal<RunSummary | null>(null)

const pendingOf = ({ destinations }: RunSummary): number =>
  destinations
    .filter(({ state }) => state !== 'disabled')
    .reduce(
      (n, { points, spans, params, tags }) =>
        n + points.pending + (spans?.pending ?? 0) + params.pending + tags.pending,
      0,
    )

const lengthOf = ({ startedAt, endedAt, lastTime, status }: RunSummary): number =>
  Math.max(0, (endedAt ?? (status === 'running' ? asOf.value : (lastTime ?? startedAt))) - startedAt)

/** The metrics that tell most in most runs. */
const columns = computed((): SeriesSummary[] => {
  const seen = new Map<string, { series: SeriesSummary; n: number; place: number }>()
  for (const { highlights } of runs.value)
    highlights.forEach((series, place) => {
      const entry = seen.get(series.key) ?? { series, n: 0, place }
      seen.set(series.key, { series, n: entry.n + 1, place: Math.min(entry.place, place) })
    })
  return [...seen.values()]
    .sort((a, b) => b.n - a.n || a.place - b.place)
    .slice(0, COLUMNS)
    .map(({ series }) => series)
})

type Order = (run: RunSummary) => string | number
const ORDERS: Readonly<Record<string, Order>> = {
  status: ({ status }) => status,
  run: ({ title }) => title.toLowerCase(),
  started: ({ startedAt }) => startedAt,
  duration: lengthOf,
  step: ({ lastStep }) => lastStep ?? -Infinity,
  points: ({ points }) => points,
  pending: pendingOf,
}
const orderOf = (column: string): Order =>
  ORDERS[column] ??
  (({ highlights }) => {
    const value = numberOf(highlights.find(({ key }) => key === column)?.last.value ?? 'NaN')
    return Number.isNaN(value) ? -Infinity : value
  })

const listed = computed((): RunSummary[] => {
  const filter = parseFilter(search.value)
  const of = orderOf(order.value.column)
  const sign = order.value.isDown ? -1 : 1
  return runs.value
    .filter(({ archived }) => showArchived.value || !archived)
    .filter(({ title, name, run, status, command }) => filter.matches(title, name, run, status, command.join(' ')))
    .sort((a, b) => {
      const [x, y] = [of(a), of(b)]
      return x < y ? -sign : x > y ? sign : 0
    })
})

/** All runs of the state directory: what they are, and which of them are compared. */
export function Runs(): JSX.Element {
  const archived = runs.value.filter((run) => run.archived).length
  return (
    <>
      <div class="toolbar">
        <label class="search">
          <Icon name="search" />
          <span class="unseen">Search runs</span>
          <input
            type="search"
            placeholder="Search: name, status, command"
            value={search.value}
            onInput={({ currentTarget }) => (search.value = currentTarget.value)}
          />
        </label>
        {archived > 0 && (
          <button
            type="button"
            class="switch"
            role="switch"
            aria-checked={showArchived.value}
            onClick={() => (showArchived.value = !showArchived.value)}
          >
            <span class="knob" aria-hidden="true" />
            Show {count(archived)} archived
          </button>
        )}
        <span class="muted">
          {counted(listed.value.length, 'run')}; tick those that you want to compare, {count(shown.value.length)} on the
          charts
        </span>
      </div>
      <div class="table" tabIndex={0} role="region" aria-label="Runs">
        <table>
          <thead>
            <tr>
              <th>
                <span class="unseen">On the charts</span>
              </th>
              <Head column="status" text="Status" />
              <Head column="run" text="Run" />
              <Head column="started" text="Started" />
              <Head column="duration" text="Duration" isNumber />
              <Head column="step" text="Last step" isNumber />
              <Head column="points" text="Points" isNumber />
              {columns.value.map(({ key, label, category }) => (
                <Head key={key} column={key} text={category === '' ? label : `${category} · ${label}`} isNumber />
              ))}
              <Head column="pending" text="Pending" isNumber />
              <th>
                <span class="unseen">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {listed.value.map((run) => (
              <Row key={run.run} run={run} />
            ))}
          </tbody>
        </table>
        {listed.value.length === 0 && (
          <p class="nothing">{runs.value.length === 0 ? 'No run yet.' : 'No run matches.'}</p>
        )}
      </div>
      {toDelete.value !== null && <Deletion run={toDelete.value} />}
    </>
  )
}

function Head(props: { column: string; text: string; isNumber?: boolean }): JSX.Element {
  const { column, isDown } = order.value
  const isThis = column === props.column
  return (
    <th class={props.isNumber ? 'number' : ''} aria-sort={isThis ? (isDown ? 'descending' : 'ascending') : 'none'}>
      <button type="button" onClick={() => (order.value = { column: props.column, isDown: isThis ? !isDown : true })}>
        {props.text}
        <span aria-hidden="true">{isThis ? (isDown ? ' ↓' : ' ↑') : ''}</span>
      </button>
    </th>
  )
}

function toggle(run: string): void {
  const now = shown.peek().map((one) => one.run)
  const next = now.includes(run) ? now.filter((one) => one !== run) : [...now, run]
  if (next.length > 0) choose({ runs: next })
}

function Row({ run }: { run: RunSummary }): JSX.Element {
  const look = shown.value.some((one) => one.run === run.run) ? looks.value.get(run.run) : undefined
  const pending = pendingOf(run)
  return (
    <tr class={run.archived ? 'archived' : ''}>
      <td class="pick">
        <label>
          <input type="checkbox" checked={look !== undefined} onChange={() => toggle(run.run)} />
          <span class="unseen">Show {run.title} on the charts</span>
          {look !== undefined && <Swatch color={look.color} dash={look.dash} />}
        </label>
      </td>
      <td>
        <Status status={run.status} />
      </td>
      <td class="title">
        <Title run={run} />
      </td>
      <td title={new Date(run.startedAt).toISOString()}>{dayAndTime(run.startedAt)}</td>
      <td class="number">{duration(lengthOf(run))}</td>
      <td class="number">{run.lastStep === null ? '' : count(run.lastStep)}</td>
      <td class="number">{count(run.points)}</td>
      {columns.value.map(({ key }) => {
        const series = run.highlights.find((one) => one.key === key)
        return (
          <td key={key} class="number metric">
            {series !== undefined && (
              <>
                <Spark values={series.sparkline} />
                <span>{shortValue(numberOf(series.last.value))}</span>
              </>
            )}
          </td>
        )
      })}
      <td class={`number${pending > 0 ? ' warn' : ''}`}>{count(pending)}</td>
      <td class="actions">
        <button
          type="button"
          class="plain"
          aria-label={`${run.archived ? 'Bring back' : 'Archive'} ${run.title}`}
          title={run.archived ? 'Bring back into the list' : 'Archive: out of the list, nothing is deleted'}
          onClick={() => send(change(run.run, { archived: !run.archived }))}
        >
          <Icon name="archive" fill={run.archived} />
        </button>
        <button
          type="button"
          class="plain"
          aria-label={`Delete ${run.title}`}
          title="Delete"
          onClick={() => (toDelete.value = run)}
        >
          <Icon name="trash" />
        </button>
      </td>
    </tr>
  )
}

const send = (request: Promise<object>): void => {
  request.catch((error: Error) => say(error.message))
}

/** The name of a run: leads to its charts, and can be changed in place. */
function Title({ run }: { run: RunSummary }): JSX.Element {
  const [isEdited, setEdited] = useState(false)
  if (!isEdited)
    return (
      <>
        <button
          type="button"
          class="link"
          title={`${run.run}\n${run.command.join(' ')}`}
          onClick={() => choose({ runs: [run.run], tab: 'charts', zoom: null, mark: null })}
        >
          {run.title}
        </button>
        <button type="button" class="plain" aria-label={`Rename ${run.title}`} onClick={() => setEdited(true)}>
          <Icon name="edit" />
        </button>
      </>
    )
  const rename = (text: string): void => {
    setEdited(false)
    const title = text.trim()
    if (title !== run.title) send(change(run.run, { title: title === '' || title === run.name ? null : title }))
  }
  return (
    <input
      aria-label={`New name of ${run.title}`}
      defaultValue={run.title}
      placeholder={run.name}
      ref={(input) => input?.focus()}
      onBlur={({ currentTarget }) => rename(currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') rename(event.currentTarget.value)
        if (event.key === 'Escape') setEdited(false)
      }}
    />
  )
}

function Deletion({ run }: { run: RunSummary }): JSX.Element {
  const close = (): void => {
    toDelete.value = null
  }
  const pending = pendingOf(run)
  return (
    <Dialog title={`Delete ${run.title}?`} close={close}>
      <p>
        This deletes its {counted(run.points, 'point')} and its file on the trainer’s host, for good. What a tracker has
        stays there.
      </p>
      {pending > 0 && <p class="problem">{counted(pending, 'item')} not delivered yet would be lost.</p>}
      {run.isHeld && <p class="problem">It is still being recorded or sent: end that first.</p>}
      <p class="buttons">
        <button type="button" onClick={close}>
          Keep it
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => {
            close()
            send(remove(run.run))
          }}
        >
          Delete {run.title}
        </button>
      </p>
    </Dialog>
  )
}
