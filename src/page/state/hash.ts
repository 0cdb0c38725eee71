import type { Axis } from '../../web/api.ts'

export const TABS = ['charts', 'runs', 'timeline', 'events', 'params', 'delivery'] as const
export type Tab = (typeof TABS)[number]

/** What a person has chosen. It stands in the address, so that reload, back and a copied link show the same. */
export interface View {
  tab: Tab
  /** Runs that are shown; empty: the page chooses the newest. */
  runs: readonly string[]
  filter: string
  axis: Axis
  /** 0: off. */
  smoothing: number
  log: boolean
  clip: boolean
  /** Marks of events at the foot of charts. */
  marks: boolean
  /** From and to, in units of the axis. */
  zoom: readonly [number, number] | null
  /** Key of the chart that has the whole width. */
  large: string | null
  /** What was jumped to. */
  mark: Mark | null
}

/** A moment of a run. Charts show it where the run was then: their steps may count different things. */
export interface Mark {
  run: string
  /** UTC ms. */
  time: number
  /** Its own step, for people. */
  step: number | null
}

export const START: View = {
  tab: 'charts',
  runs: [],
  filter: '',
  axis: 'step',
  smoothing: 0,
  log: false,
  clip: false,
  marks: true,
  zoom: null,
  large: null,
  mark: null,
}

const AXES: readonly Axis[] = ['step', 'time', 'relative']
/** Null for what is missing and for what is no number. */
const numberOf = (text: string | null | undefined): number | null =>
  text == null || text === '' || !Number.isFinite(Number(text)) ? null : Number(text)

/** Reads the part of an address behind `#`; what it does not know is as at the start. */
export function readHash(hash: string): View {
  const given = new URLSearchParams(hash.replace(/^#/, ''))
  const [from, to] = (given.get('zoom') ?? '').split(',').map(numberOf)
  return {
    tab: TABS.find((tab) => tab === given.get('tab')) ?? START.tab,
    runs: (given.get('runs') ?? '').split(',').filter(Boolean),
    filter: given.get('filter') ?? '',
    axis: AXES.find((axis) => axis === given.get('axis')) ?? START.axis,
    smoothing: Math.min(0.99, Math.max(0, numberOf(given.get('smooth')) ?? 0)),
    log: given.has('log'),
    clip: given.has('clip'),
    marks: given.get('marks') !== 'off',
    zoom: from != null && to != null && from < to ? [from, to] : null,
    large: given.get('large'),
    mark: readMark(given.get('mark')),
  }
}

function readMark(text: string | null): Mark | null {
  const [run = '', at, step] = (text ?? '').split(',')
  const time = numberOf(at)
  return run === '' || time === null ? null : { run, time, step: numberOf(step) }
}

/** The shortest hash that says it. */
export function writeHash(view: View): string {
  const parts: [string, string][] = []
  if (view.tab !== START.tab) parts.push(['tab', view.tab])
  if (view.runs.length > 0) parts.push(['runs', view.runs.join(',')])
  if (view.filter !== '') parts.push(['filter', view.filter])
  if (view.axis !== START.axis) parts.push(['axis', view.axis])
  if (view.smoothing > 0) parts.push(['smooth', String(view.smoothing)])
  if (view.log) parts.push(['log', ''])
  if (view.clip) parts.push(['clip', ''])
  if (!view.marks) parts.push(['marks', 'off'])
  if (view.zoom !== null) parts.push(['zoom', view.zoom.join(',')])
  if (view.large !== null) parts.push(['large', view.large])
  if (view.mark !== null) parts.push(['mark', [view.mark.run, view.mark.time, view.mark.step ?? ''].join(',')])
  return parts.map(([name, value]) => (value === '' ? name : `${name}=${encodeURIComponent(value)}`)).join('&')
}
