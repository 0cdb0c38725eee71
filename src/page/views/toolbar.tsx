import type { JSX } from 'preact'
import type { Axis } from '../../web/api.ts'
import { clock, count, relativeLabel, tickLabel } from '../../chart/format.ts'
import { Icon } from '../parts/icons.tsx'
import { Status } from '../parts/status.tsx'
import { looks, newcomer, shown } from '../state/runs.ts'
import { choose, view } from '../state/view.ts'
import { Swatch } from './tooltip.tsx'

const AXES: readonly [Axis, string, string][] = [
  ['step', 'Step', 'Points by their step'],
  ['time', 'Time', 'Points by the time of day'],
  ['relative', 'Relative', 'Points by the time since the run’s first one'],
]

/** All that changes the charts, in one row. */
export function Toolbar(props: { matching: number; all: number; error: string | null }): JSX.Element {
  const { axis, smoothing, log, clip, marks, filter, zoom, mark } = view.value
  return (
    <div class="toolbar" role="toolbar" aria-label="Charts">
      <Legend />
      <label class="search">
        <Icon name="search" />
        <span class="unseen">Filter charts</span>
        <input
          id="filter"
          type="search"
          placeholder="Filter: loss, actor/*, /kl|clip/"
          value={filter}
          aria-invalid={props.error !== null}
          onInput={({ currentTarget }) => choose({ filter: currentTarget.value })}
        />
        {filter !== '' && props.error === null && (
          <span class="muted">
            {props.matching} of {props.all}
          </span>
        )}
      </label>
      {props.error !== null && (
        <span class="problem" role="alert">
          {props.error}
        </span>
      )}
      <div class="segments" role="group" aria-label="Axis">
        {AXES.map(([name, text, title]) => (
          <button
            type="button"
            key={name}
            title={title}
            aria-pressed={axis === name}
            onClick={() => choose({ axis: name, zoom: null })}
          >
            {text}
          </button>
        ))}
      </div>
      <label class="slider" title="Exponential moving average; the raw line stays visible behind it">
        Smoothing
        <input
          type="range"
          min="0"
          max="0.99"
          step="0.01"
          value={smoothing}
          onInput={({ currentTarget }) => choose({ smoothing: Number(currentTarget.value) })}
        />
        <output>{smoothing === 0 ? 'off' : smoothing.toFixed(2)}</output>
      </label>
      <Switch text="Log y" title="Logarithmic y axis" on={log} flip={() => choose({ log: !log })} />
      <Switch
        text="Cut outliers"
        title="Leaves far outliers out of the y range, and says on each chart how many"
        on={clip}
        flip={() => choose({ clip: !clip })}
      />
      <Switch
        text="Events"
        title="Marks warnings and errors at the foot of the charts"
        on={marks}
        flip={() => choose({ marks: !marks })}
      />
      {zoom !== null && (
        <button type="button" class="chip" title="Show everything again (r)" onClick={() => choose({ zoom: null })}>
          {zoomText(axis, zoom)} <Icon name="close" />
        </button>
      )}
      {mark !== null && (
        <button type="button" class="chip" title="Remove the mark" onClick={() => choose({ mark: null })}>
          Mark at {mark.step === null ? clock(mark.time) : `step ${count(mark.step)}`} <Icon name="close" />
        </button>
      )}
    </div>
  )
}

function zoomText(axis: Axis, [from, to]: readonly [number, number]): string {
  const gap = (to - from) / 10
  if (axis === 'step') return `Steps ${tickLabel(from, gap)} to ${tickLabel(to, gap)}`
  return axis === 'time' ? `${clock(from)} to ${clock(to)}` : `${relativeLabel(from, gap)} to ${relativeLabel(to, gap)}`
}

function Switch(props: { text: string; title: string; on: boolean; flip: () => void }): JSX.Element {
  return (
    <button type="button" class="switch" role="switch" aria-checked={props.on} title={props.title} onClick={props.flip}>
      <span class="knob" aria-hidden="true" />
      {props.text}
    </button>
  )
}

/** The runs that are shown; colours only where there is more than one. */
function Legend(): JSX.Element {
  const all = shown.value
  const fresh = newcomer.value
  const without = (run: string): void => choose({ runs: all.filter((one) => one.run !== run).map((one) => one.run) })
  return (
    <ul class="legend" aria-label="Runs shown">
      {all.map(({ run, title, status }) => {
        const look = looks.value.get(run)
        return (
          <li key={run}>
            {all.length > 1 && look !== undefined && <Swatch color={look.color} dash={look.dash} />}
            <span class="name" title={run}>
              {title}
            </span>
            <Status status={status} short={all.length > 1} />
            {all.length > 1 && (
              <button type="button" class="plain" aria-label={`Hide ${title}`} onClick={() => without(run)}>
                <Icon name="close" />
              </button>
            )}
          </li>
        )
      })}
      {fresh !== null && (
        <li>
          <button type="button" class="chip" onClick={() => choose({ runs: [fresh.run], zoom: null, mark: null })}>
            {fresh.title} has begun: show it
          </button>
        </li>
      )}
    </ul>
  )
}
