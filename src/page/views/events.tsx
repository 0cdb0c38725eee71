import { effect, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { EventRow, EventsPage } from '../../web/api.ts'
import { clock, count, counted, dayAndTime } from '../../chart/format.ts'
import { Icon } from '../parts/icons.tsx'
import { ask } from '../state/api.ts'
import { eventsVersion } from '../state/events.ts'
import { looks, shown } from '../state/runs.ts'
import { choose } from '../state/view.ts'
import { Swatch } from './tooltip.tsx'

type Level = 'all' | EventRow['level']
const LEVELS: readonly [Level, string][] = [
  ['all', 'All'],
  ['WARN', 'Warnings'],
  ['ERROR', 'Errors'],
]
const PAGE = 200
/** Typing and bursts of events ask once. */
const PAUSE_MS = 250

const level = signal<Level>('all')
const search = signal('')

interface Listed {
  run: string
  row: EventRow
}
const listed = signal<{ rows: Listed[]; total: number; error: string | null } | null>(null)
/** Pages of each run that are shown. */
const pages = signal(1)

async function load(): Promise<void> {
  const rows: Listed[] = []
  let total = 0
  try {
    for (const { run } of shown.peek()) {
      let before: number | null = null
      for (let page = 0; page < pages.peek(); page++) {
        const query = new URLSearchParams({ limit: String(PAGE) })
        if (level.peek() !== 'all') query.set('level', level.peek())
        if (search.peek() !== '') query.set('search', search.peek())
        if (before !== null) query.set('before', String(before))
        const got: EventsPage = await ask<EventsPage>(`runs/${encodeURIComponent(run)}/events?${query.toString()}`)
        rows.push(...got.rows.map((row) => ({ run, row })))
        if (page === 0) total += got.total
        before = got.next
        if (before === null) break
      }
    }
    rows.sort((a, b) => b.row.time - a.row.time || b.row.sequence - a.row.sequence)
    listed.value = { rows, total, error: null }
  } catch (error) {
    listed.value = { rows: listed.peek()?.rows ?? [], total, error: (error as Error).message }
  }
}

/** Loads again when something that the list depends on changes; not while the list is not shown. */
function useLoaded(): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const stop = effect(() => {
      const isFirst = listed.peek() === null
      void [level.value, search.value, pages.value, eventsVersion.value, shown.value.map(({ run }) => run).join()]
      // What comes without end must not put it off for ever.
      timer ??= setTimeout(
        () => {
          timer = undefined
          void load()
        },
        isFirst ? 0 : PAUSE_MS,
      )
    })
    return () => {
      stop()
      clearTimeout(timer)
    }
  }, [])
}

/** What the trainer warned of, newest first. */
export function Events(): JSX.Element {
  useLoaded()
  const now = listed.value
  const isFiltered = level.value !== 'all' || search.value !== ''
  return (
    <>
      <div class="toolbar">
        <div class="segments" role="group" aria-label="Level">
          {LEVELS.map(([name, text]) => (
            <button type="button" key={name} aria-pressed={level.value === name} onClick={() => (level.value = name)}>
              {text}
            </button>
          ))}
        </div>
        <label class="search">
          <Icon name="search" />
          <span class="unseen">Search events</span>
          <input
            type="search"
            placeholder="Search: message, target, fields"
            value={search.value}
            onInput={({ currentTarget }) => (search.value = currentTarget.value)}
          />
        </label>
        {now !== null && (
          <span class="muted">
            {counted(now.total, 'event')}: warnings and errors; a click shows the step on the charts
          </span>
        )}
        {now?.error != null && <span class="problem">{now.error}</span>}
      </div>
      {now !== null && now.rows.length === 0 && now.error === null && (
        <p class="nothing">{isFiltered ? 'No warning or error matches.' : 'No warnings or errors so far.'}</p>
      )}
      {now !== null && now.rows.length > 0 && (
        <ol class="events">
          {now.rows.map(({ run, row }) => (
            <Event key={`${run} ${row.sequence}`} run={run} row={row} />
          ))}
        </ol>
      )}
      {now !== null && now.rows.length < now.total && (
        <button type="button" class="more" onClick={() => pages.value++}>
          Show older ones
        </button>
      )}
    </>
  )
}

function Event({ run, row }: { run: string; row: EventRow }): JSX.Element {
  const look = shown.value.length > 1 ? looks.value.get(run) : undefined
  const fields = Object.entries(row.fields)
  const jump = (): void => choose({ tab: 'charts', mark: { run, time: row.time, step: row.step }, zoom: null })
  return (
    <li class={row.level === 'ERROR' ? 'error' : 'warning'}>
      <span class="level">{row.level === 'ERROR' ? '✕ ERROR' : '▲ WARN'}</span>
      <time dateTime={new Date(row.time).toISOString()} title={dayAndTime(row.time)}>
        {clock(row.time)}
      </time>
      <button type="button" class="link" onClick={jump}>
        {row.step === null ? 'on the charts' : `step ${count(row.step)}`}
      </button>
      <div>
        <p>
          {look !== undefined && <Swatch color={look.color} dash={look.dash} />} {row.message}{' '}
          <span class="muted">{row.target}</span>
        </p>
        {fields.length > 0 && (
          <dl>
            {fields.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{typeof value === 'string' ? value : JSON.stringify(value)}</dd>
              </div>
            ))}
          </dl>
        )}
      </div>
    </li>
  )
}
