import { batch, computed, signal } from '@preact/signals'
import type { RunDetail, RunSummary, SeriesSummary, State } from '../../web/api.ts'
import type { Look } from '../../chart/scene.ts'
import { ask, unlessGone } from './api.ts'
import { isDark } from './theme.ts'
import { view } from './view.ts'

/** Of the process that serves the page; null before its first answer. */
export const server = signal<Pick<State, 'version' | 'server' | 'stateDir' | 'unreadable'> | null>(null)
/** All runs, newest first. */
export const runs = signal<readonly RunSummary[]>([])
/** Why the runs cannot be shown. */
export const failure = signal<string | null>(null)

/** Run that is shown when none is chosen. It stays when a newer one begins. */
const preferred = signal<string | null>(null)

/** The runs that are shown, in the order of their choice. */
export const shown = computed((): readonly RunSummary[] => {
  const chosen = view.value.runs.flatMap((id) => runs.value.find(({ run }) => run === id) ?? [])
  if (chosen.length > 0) return chosen
  const own = runs.value.find(({ run }) => run === preferred.value)
  return own === undefined ? [] : [own]
})
export const shownIds = computed(() => shown.value.map(({ run }) => run).join())

/** A run that began after the page was opened, and is not shown. */
export const newcomer = computed((): RunSummary | null => {
  const newest = runs.value[0]
  const last = shown.value[0]
  if (newest === undefined || last === undefined || newest.status !== 'running') return null
  return newest.startedAt > last.startedAt && !shown.value.includes(newest) ? newest : null
})

const newestFirst = (all: readonly RunSummary[]): readonly RunSummary[] =>
  all.toSorted((a, b) => b.startedAt - a.startedAt || (a.run < b.run ? 1 : -1))

/** Takes over what the server says of all runs. */
export function takeState(state: State): void {
  server.value = state
  runs.value = newestFirst(state.runs)
  choosePreferred()
}

/** Takes over news of some runs. */
export function takeRuns(changed: readonly RunSummary[], gone: readonly string[]): void {
  const others = runs.peek().filter(({ run }) => !gone.includes(run) && !changed.some((one) => one.run === run))
  runs.value = newestFirst([...others, ...changed])
  choosePreferred()
}

function choosePreferred(): void {
  if (runs.peek().some(({ run }) => run === preferred.peek())) return
  const own = runs.peek().find(({ run }) => run === server.peek()?.server.run)
  const newest = runs.peek().find(({ archived, series }) => !archived && series > 0) ?? runs.peek()[0]
  preferred.value = own?.run ?? newest?.run ?? null
}

/** What is known of the series of the runs that are shown. Read with `seriesVersion`, which rises when one joins. */
export const seriesOf = new Map<string, Map<string, SeriesSummary>>()
export const seriesVersion = signal(0)
const details = new Map<string, RunDetail>()

/** Params, tags and counts of a run that is shown, as they were when asked for. */
export const detailOf = (run: string): RunDetail | undefined => details.get(run)

/**
 * Loads what is known of some runs and takes it over at once: a chart whose lines came one by one would be asked for as
 * often. Those that were deleted in the meantime are left out.
 */
export async function loadRuns(wanted: readonly string[]): Promise<void> {
  const all = await Promise.all(wanted.map((run) => unlessGone(ask<RunDetail>(`runs/${encodeURIComponent(run)}`))))
  batch(() => all.forEach((detail) => detail !== null && takeDetail(detail)))
}

function takeDetail(detail: RunDetail): void {
  const { run } = detail.run
  details.set(run, detail)
  noteOrigin(run, detail.origin)
  const known = new Map(detail.series.map((series) => [series.key, series]))
  // What has come live in the meantime is newer.
  for (const [key, series] of seriesOf.get(run) ?? [])
    if (series.count > (known.get(key)?.count ?? 0)) known.set(key, series)
  seriesOf.set(run, known)
  seriesVersion.value++
}

/** When the earliest point of each run was: zero of its relative axis. */
const origins = new Map<string, number>()
export const startOf = (run: string): number => origins.get(run) ?? 0

/** Times go back where clocks do, or where runs are joined. @returns whether the axis of the run begins earlier now */
export function noteOrigin(run: string, time: number | null): boolean {
  if (time === null || time >= (origins.get(run) ?? Infinity)) return false
  origins.set(run, time)
  return true
}

/** Told apart by people who see fewer colours too (after Okabe and Ito); the next six are dashed, then dotted. */
const COLORS = {
  light: ['#0b62c4', '#c64600', '#00785a', '#a2308c', '#7a5c00', '#4b5563'],
  dark: ['#5fb0ff', '#ff9a52', '#35cfa0', '#f08fd8', '#e8c435', '#c3cad4'],
} as const
const DASHES: readonly (readonly number[])[] = [[], [7, 3], [2, 2.5]]

/** A run keeps its colour as long as the page is open, whatever else is shown. */
const places = new Map<string, number>()
const placeOf = (run: string): number => {
  const known = places.get(run)
  if (known !== undefined) return known
  const taken = new Set(places.values())
  let place = 0
  while (taken.has(place)) place++
  places.set(run, place)
  return place
}

/** How the runs that are shown are drawn. */
export const looks = computed((): ReadonlyMap<string, Look> => {
  const colors = COLORS[isDark.value ? 'dark' : 'light']
  void seriesVersion.value
  return new Map(
    shown.value.map(({ run, title }) => {
      const place = placeOf(run)
      return [
        run,
        {
          color: colors[place % colors.length]!,
          dash: DASHES[Math.floor(place / colors.length) % DASHES.length]!,
          title,
          start: startOf(run),
        },
      ]
    }),
  )
})
