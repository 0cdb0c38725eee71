import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { Pair } from '../../web/api.ts'
import { parseFilter } from '../../chart/glob.ts'
import { count } from '../../chart/format.ts'
import { Icon } from '../parts/icons.tsx'
import { detailOf, loadRuns, looks, seriesVersion, shown, shownIds } from '../state/runs.ts'
import { Swatch } from './tooltip.tsx'

const search = signal('')
const onlyDifferent = signal(false)

/** One name over the runs that are shown; undefined where a run does not have it. */
interface Row {
  name: string
  values: (string | undefined)[]
  isDifferent: boolean
}

/** Puts the pairs of several runs beside each other, by name. */
export function compared(all: readonly (readonly Pair[])[]): Row[] {
  const names = [...new Set(all.flatMap((pairs) => pairs.map(({ name }) => name)))].sort((a, b) => a.localeCompare(b))
  const maps = all.map((pairs) => new Map(pairs.map(({ name, value }) => [name, value])))
  return names.map((name) => {
    const values = maps.map((map) => map.get(name))
    return { name, values, isDifferent: new Set(values).size > 1 }
  })
}

/** Params and tags of the runs that are shown, side by side. */
export function Params(): JSX.Element {
  const ids = shownIds.value
  useEffect(() => {
    // That Spanbridge does not answer is told by the bar above.
    loadRuns(ids.split(',').filter(Boolean)).catch(() => {})
  }, [ids])
  void seriesVersion.value
  const details = shown.value.map(({ run }) => detailOf(run))
  const isCompared = shown.value.length > 1
  return (
    <>
      <div class="toolbar">
        <label class="search">
          <Icon name="search" />
          <span class="unseen">Search params and tags</span>
          <input
            type="search"
            placeholder="Search: name or value"
            value={search.value}
            onInput={({ currentTarget }) => (search.value = currentTarget.value)}
          />
        </label>
        {isCompared ? (
          <button
            type="button"
            class="switch"
            role="switch"
            aria-checked={onlyDifferent.value}
            onClick={() => (onlyDifferent.value = !onlyDifferent.value)}
          >
            <span class="knob" aria-hidden="true" />
            Only what differs
          </button>
        ) : (
          <span class="muted">Tick more runs on the Runs page to compare them here.</span>
        )}
      </div>
      <Pairs title="Params" all={details.map((detail) => detail?.params ?? [])} />
      <Pairs title="Tags" all={details.map((detail) => detail?.tags ?? [])} />
    </>
  )
}

function Pairs({ title, all }: { title: string; all: readonly (readonly Pair[])[] }): JSX.Element {
  const runs = shown.value
  const filter = parseFilter(search.value)
  const rows = compared(all).filter(
    ({ name, values, isDifferent }) =>
      (runs.length < 2 || !onlyDifferent.value || isDifferent) &&
      filter.matches(name, ...values.map((value) => value ?? '')),
  )
  const whole = new Set(all.flatMap((pairs) => pairs.map(({ name }) => name))).size
  return (
    <section class="panel pairs">
      <h2>
        {title}{' '}
        <span class="muted">{rows.length < whole ? `${count(rows.length)} of ${count(whole)}` : count(whole)}</span>
      </h2>
      {whole === 0 && <p class="muted">None so far.</p>}
      {rows.length > 0 && (
        <div class="table" tabIndex={0} role="region" aria-label={title}>
          <table>
            {runs.length > 1 && (
              <thead>
                <tr>
                  <td />
                  {runs.map(({ run, title: name }) => {
                    const look = looks.value.get(run)
                    return (
                      <th key={run} scope="col">
                        {look !== undefined && <Swatch color={look.color} dash={look.dash} />} {name}
                      </th>
                    )
                  })}
                </tr>
              </thead>
            )}
            <tbody>
              {rows.map(({ name, values, isDifferent }) => (
                <tr key={name} class={runs.length > 1 && isDifferent ? 'different' : ''}>
                  <th scope="row">{name}</th>
                  {values.map((value, i) => (
                    <td key={i}>{value ?? <span class="muted">–</span>}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}
