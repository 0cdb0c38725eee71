import type { Axis } from '../web/api.ts'

/** Strengths of smoothing, in the order in which a key goes through them. */
const SMOOTHINGS = [0, 0.6, 0.9, 0.99]
const AXES: readonly Axis[] = ['step', 'time', 'relative']

/** What a user has chosen. */
export interface TopState {
  run: string | null
  /** A category of metrics; null: all. */
  group: string | null
  filter: string
  /** The filter is being typed. */
  isTyping: boolean
  /** Place of the chosen chart among those that are shown. */
  chart: number
  isEnlarged: boolean
  smoothing: number
  isLog: boolean
  axis: Axis
  /** Null: where there is room for it. */
  hasPanel: boolean | null
  overlay: 'help' | 'runs' | null
  /** Place in the list of runs. */
  listed: number
}

export const INITIAL: TopState = {
  run: null,
  group: null,
  filter: '',
  isTyping: false,
  chart: 0,
  isEnlarged: false,
  smoothing: 0,
  isLog: false,
  axis: 'step',
  hasPanel: null,
  overlay: null,
  listed: 0,
}

/** What there is to choose from. */
export interface Choices {
  /** Ids, newest first. */
  runs: readonly string[]
  groups: readonly string[]
  /** Charts that group and filter let through. */
  charts: number
  /** As they are shown. */
  columns: number
  perPage: number
  panelIsShown: boolean
}

const next = <T>(all: readonly T[], now: T, by: number): T =>
  all[(all.indexOf(now) + by + all.length) % all.length] ?? now

const bounded = (n: number, count: number): number => Math.max(0, Math.min(count - 1, n))

type Press = (state: TopState, choices: Choices) => Partial<TopState>

const moved =
  (by: (choices: Choices) => number): Press =>
  ({ chart }, choices) => ({ chart: bounded(chart + by(choices), choices.charts) })

const switched =
  (by: number): Press =>
  ({ run }, { runs }) => ({ run: run === null ? null : next(runs, run, by), chart: 0 })

const grouped =
  (by: number): Press =>
  ({ group }, { groups }) => ({ group: next([null, ...groups], group, by), chart: 0 })

/** What each key does, and under which words `?` lists it. */
export const KEYS: readonly { keys: readonly string[]; shown: string; does: string; press: Press }[] = [
  { keys: ['right', 'l', 'tab'], shown: '← → ↑ ↓', does: 'choose a chart', press: moved(() => 1) },
  { keys: ['left', 'h', 'backtab'], shown: '', does: '', press: moved(() => -1) },
  { keys: ['down', 'j'], shown: '', does: '', press: moved(({ columns }) => columns) },
  { keys: ['up', 'k'], shown: '', does: '', press: moved(({ columns }) => -columns) },
  {
    keys: ['enter'],
    shown: 'Enter',
    does: 'enlarge the chart, and back',
    press: ({ isEnlarged }) => ({ isEnlarged: !isEnlarged }),
  },
  { keys: ['pagedown', ' ', 'n'], shown: 'PgDn PgUp', does: 'page (also n p)', press: moved(({ perPage }) => perPage) },
  { keys: ['pageup', 'p'], shown: '', does: '', press: moved(({ perPage }) => -perPage) },
  { keys: ['home'], shown: 'Home End', does: 'first and last chart', press: () => ({ chart: 0 }) },
  { keys: ['end'], shown: '', does: '', press: moved(({ charts }) => charts) },
  { keys: ['g', ']'], shown: 'g G', does: 'next and previous group', press: grouped(1) },
  { keys: ['G', '['], shown: '', does: '', press: grouped(-1) },
  {
    keys: ['/'],
    shown: '/',
    does: 'filter by key: loss, trainer/*, or /expression/; Esc clears it',
    press: () => ({ isTyping: true, isEnlarged: false }),
  },
  {
    keys: ['s'],
    shown: 's',
    does: 'smoothing: off, 0.6, 0.9, 0.99',
    press: ({ smoothing }) => ({ smoothing: next(SMOOTHINGS, smoothing, 1) }),
  },
  { keys: ['y'], shown: 'y', does: 'logarithmic values', press: ({ isLog }) => ({ isLog: !isLog }) },
  {
    keys: ['x'],
    shown: 'x',
    does: 'across: step, time, time since the first point',
    press: ({ axis }) => ({ axis: next(AXES, axis, 1) }),
  },
  { keys: ['r'], shown: 'r R', does: 'next and previous run', press: switched(1) },
  { keys: ['R'], shown: '', does: '', press: switched(-1) },
  {
    keys: ['o'],
    shown: 'o',
    does: 'list of runs',
    press: ({ run }, { runs }) => ({ overlay: 'runs', listed: Math.max(0, runs.indexOf(run ?? '')) }),
  },
  {
    keys: ['d'],
    shown: 'd',
    does: 'account and delivery, shown or not',
    press: (_, { panelIsShown }) => ({ hasPanel: !panelIsShown }),
  },
  { keys: ['?'], shown: '?', does: 'these keys', press: () => ({ overlay: 'help' }) },
]

const pressOf = new Map(KEYS.flatMap(({ keys, press }) => keys.map((key) => [key, press] as const)))

/** What becomes of the state when a key is pressed; `quit` and `suspend` are for the terminal. */
export function pressed(state: TopState, key: string, choices: Choices): TopState | 'quit' | 'suspend' {
  if (key === 'ctrl-c') return 'quit'
  if (key === 'ctrl-z') return 'suspend'
  if (state.isTyping) return { ...state, ...typed(state, key) }
  if (state.overlay !== null) return { ...state, ...inOverlay(state, key, choices) }
  if (key === 'q' || key === 'ctrl-d') return 'quit'
  if (key === 'escape') return { ...state, ...back(state) }
  return { ...state, ...pressOf.get(key)?.(state, choices) }
}

/** One step out of what was chosen. */
const back = ({ isEnlarged, filter }: TopState): Partial<TopState> =>
  isEnlarged ? { isEnlarged: false } : filter === '' ? { group: null } : { filter: '', chart: 0 }

function typed({ filter }: TopState, key: string): Partial<TopState> {
  if (key === 'enter') return { isTyping: false }
  if (key === 'escape') return { isTyping: false, filter: '', chart: 0 }
  if (key === 'backspace') return { filter: [...filter].slice(0, -1).join(''), chart: 0 }
  if (key === 'ctrl-u') return { filter: '', chart: 0 }
  return [...key].length === 1 ? { filter: filter + key, chart: 0 } : {}
}

function inOverlay({ overlay, listed }: TopState, key: string, { runs }: Choices): Partial<TopState> {
  if (overlay === 'help' || key === 'escape' || key === 'q' || key === 'o') return { overlay: null }
  if (key === 'enter') return { overlay: null, run: runs[listed] ?? null, chart: 0 }
  const by: Readonly<Record<string, number>> = { down: 1, j: 1, up: -1, k: -1, pagedown: 10, pageup: -10 }
  return { listed: bounded(listed + (by[key] ?? 0), runs.length) }
}
