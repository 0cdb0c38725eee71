import { computed } from '@preact/signals'
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { SeriesSummary } from '../../web/api.ts'
import { parseFilter } from '../../chart/glob.ts'
import { count, counted } from '../../chart/format.ts'
import { Icon } from '../parts/icons.tsx'
import { folded, pinned } from '../state/kept.ts'
import { seriesOf, seriesVersion, shown } from '../state/runs.ts'
import { view } from '../state/view.ts'
import { Card } from './card.tsx'
import { Toolbar } from './toolbar.tsx'
import { Tooltip } from './tooltip.tsx'

/** Categories are shown in parts of so many charts. */
const PART = 60

interface Chart {
  key: string
  label: string
  unit: string | null
}

/** The charts of all runs that are shown, by category, in the order in which their first points came. */
const groups = computed((): { name: string; charts: Chart[] }[] => {
  void seriesVersion.value
  const all = new Map<string, SeriesSummary>()
  for (const { run } of shown.value)
    for (const series of seriesOf.get(run)?.values() ?? []) if (!all.has(series.key)) all.set(series.key, series)
  const byCategory = new Map<string, SeriesSummary[]>()
  for (const series of all.values()) {
    const group = byCategory.get(series.category) ?? []
    byCategory.set(series.category, group)
    group.push(series)
  }
  return [...byCategory].map(([name, series]) => ({ name, charts: series.map((one) => chartOf(one, series)) }))
})

/** Two keys of a category may have the same label; then each is called as its key. */
function chartOf({ key, category, label, unit }: SeriesSummary, group: readonly SeriesSummary[]): Chart {
  const isAmbiguous = group.some((other) => other.key !== key && other.label === label)
  const name = category === '' ? key : key.slice(category.length + 1)
  return { key, label: isAmbiguous ? name : label, unit }
}

const filter = computed(() => parseFilter(view.value.filter))
const filtered = computed(() =>
  groups.value
    .map(({ name, charts }) => ({
      name,
      all: charts.length,
      charts: charts.filter(({ key, label }) => filter.value.matches(key, label)),
    }))
    .filter(({ charts }) => charts.length > 0),
)

/** Few charts are larger, as long as all fit on a screen. */
function sizeOf(inGroups: readonly number[]): string {
  const all = inGroups.reduce((a, b) => a + b, 0)
  if (all <= 2) return 'two'
  return inGroups.reduce((rows, n) => rows + Math.ceil(n / 3), 0) <= 3 ? 'nine' : 'many'
}

/** The first screen. */
export function Charts(): JSX.Element {
  const inGroups = groups.value.map(({ charts }) => charts.length)
  const all = groups.value.reduce((n, { charts }) => n + charts.length, 0)
  const matching = filtered.value.reduce((n, { charts }) => n + charts.length, 0)
  const top = groups.value.flatMap(({ name, charts }) =>
    charts
      .filter(({ key }) => pinned.value.includes(key))
      .map((chart) => ({ ...chart, label: name === '' ? chart.label : `${name} · ${chart.label}` })),
  )
  return (
    <>
      <Toolbar matching={matching} all={all} error={filter.value.error} />
      <div class={sizeOf(inGroups)}>
        {top.length > 0 && <Group name="Pinned" charts={top} all={top.length} />}
        {filtered.value.map(({ name, charts, all: whole }) => (
          <Group
            key={name}
            name={name || 'general'}
            charts={charts.filter(({ key }) => !pinned.value.includes(key))}
            all={whole}
          />
        ))}
        {matching === 0 && all > 0 && (
          <p class="nothing">
            None of the {counted(all, 'chart')} matches “{view.value.filter}”.
          </p>
        )}
      </div>
      <Tooltip />
    </>
  )
}

function Group({ name, charts, all }: { name: string; charts: readonly Chart[]; all: number }): JSX.Element | null {
  const [parts, setParts] = useState(1)
  const isFolded = folded.value.includes(name)
  if (charts.length === 0) return null
  const toggle = (): void => {
    folded.value = isFolded ? folded.value.filter((one) => one !== name) : [...folded.value, name]
  }
  const rest = charts.length - parts * PART
  return (
    <section class="group" aria-label={name}>
      <h2>
        <button type="button" aria-expanded={!isFolded} onClick={toggle}>
          <Icon name="fold" />
          {name}
          <span class="count">{charts.length < all ? `${count(charts.length)} of ${count(all)}` : count(all)}</span>
        </button>
      </h2>
      {!isFolded && (
        <div class="grid">
          {charts.slice(0, parts * PART).map(({ key, label, unit }) => (
            <Card key={key} keyName={key} label={label} unit={unit} />
          ))}
        </div>
      )}
      {!isFolded && rest > 0 && (
        <button type="button" class="more" onClick={() => setParts(parts + 1)}>
          Show {count(Math.min(rest, PART))} more of {count(rest)}
        </button>
      )}
    </section>
  )
}
