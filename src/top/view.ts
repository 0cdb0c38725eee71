import { count, counted, shortValue } from '../chart/format.ts'
import { escapeControl } from '../telemetry/say.ts'
import type { RunSummary, SeriesSummary } from '../web/api.ts'
import { accountLines, stateOf, troubleOf, type Piece } from './account.ts'
import { drawChart, type ChartItem } from './chart.ts'
import { Frame, type Box } from './frame.ts'
import { gridOf, placeIn, type Grid } from './grid.ts'
import { drawHelp, drawRuns } from './overlays.ts'
import type { Choices, TopState } from './state.ts'
import { fit, widthOf } from './text.ts'
import type { Style } from './theme.ts'

/** From so many rows on the account is shown without being asked for. */
const ROOM_FOR_PANEL = 30

/** All that is to be shown. */
export interface Model {
  state: TopState
  /** UTC ms. */
  now: number
  stateDir: string
  runs: readonly RunSummary[]
  /** The chosen one; null: there is none yet. */
  run: RunSummary | null
  /** Its series that group and filter let through, in order. */
  series: readonly SeriesSummary[]
  groups: readonly { name: string; count: number }[]
  titleOf: (series: SeriesSummary) => string
  /** What of a series is drawn into a plot of so many columns; null: nothing. */
  lineOf: (series: SeriesSummary, columns: number) => Pick<ChartItem, 'line' | 'origin'> | null
  /** Part of the journal that has been read, 0 to 1. */
  progress: number
  /** Why the journal cannot be read, or the filter is none. */
  problem: string | null
}

/** Where things stand in a window. */
export interface Layout {
  body: Box
  grid: Grid
  panel: Piece[][]
  page: { now: number; of: number }
}

export function layoutOf({ state, run, series }: Model, width: number, height: number): Layout {
  const isShown = state.hasPanel ?? height >= ROOM_FOR_PANEL
  const most = Math.max(0, Math.floor(height / 3))
  const panel =
    run === null || !isShown
      ? []
      : accountLines(run)
          .flatMap((line) => wrapped(line, width - 1))
          .slice(0, most)
  const body = { x: 0, y: 2, width, height: Math.max(1, height - 3 - (panel.length === 0 ? 0 : panel.length + 1)) }
  const grid = state.isEnlarged ? { columns: 1, rows: 1 } : gridOf(series.length, body)
  const perPage = grid.columns * grid.rows
  const page = { now: Math.floor(state.chart / perPage), of: Math.max(1, Math.ceil(series.length / perPage)) }
  return { body, grid, panel, page }
}

/** Columns that the second line of a long text begins with. */
const INDENT = '  '

/** A line of one piece, such as what a server said, goes on below where it is too long; of others the end is left out. */
function wrapped(line: Piece[], width: number): Piece[][] {
  const [first, ...more] = line
  if (first === undefined || more.length > 0 || width < 20 || widthOf(first[0]) <= width) return [line]
  const text = escapeControl(first[0])
  const most = fit(text, width).length - 1
  const space = text.lastIndexOf(' ', most)
  // A word that is longer than a line is cut.
  const end = space > INDENT.length ? space : most
  const piece = (words: string): Piece[] => [[words, first[1] ?? 'plain']]
  return [piece(text.slice(0, end)), ...wrapped(piece(INDENT + text.slice(end).trimStart()), width)]
}

/** What there is to choose from in such a window. */
export function choicesOf(model: Model, { grid, panel }: Layout): Choices {
  return {
    runs: model.runs.map(({ run }) => run),
    groups: model.groups.map(({ name }) => name),
    charts: model.series.length,
    columns: grid.columns,
    perPage: grid.columns * grid.rows,
    panelIsShown: panel.length > 0,
  }
}

/** Draws everything. */
export function drawTop(model: Model, width: number, height: number): Frame {
  const frame = new Frame(width, height)
  const layout = layoutOf(model, width, height)
  drawHeader(frame, model)
  drawGroups(frame, model, layout)
  if (model.run === null) drawWaiting(frame, model, layout.body)
  else drawCharts(frame, model, layout)
  drawPanel(frame, layout)
  drawFooter(frame, model, layout)
  if (model.state.overlay === 'help') drawHelp(frame)
  if (model.state.overlay === 'runs') drawRuns(frame, model)
  return frame
}

/** What must always be in view: which run, whether it lives, and what is not delivered. */
function drawHeader(frame: Frame, { run, runs, progress, now }: Model): void {
  frame.tile({ x: 0, y: 0, width: frame.width, height: 1 }, ' ', 'bar')
  if (run === null) {
    frame.put(1, 0, 'spanbridge top', 'bar')
    return
  }
  const barOf = { good: 'barGood', warn: 'barWarn', bad: 'barBad' } as const
  const state = stateOf(run, now)
  const trouble = troubleOf(run)
  const place = runs.length > 1 ? ` · run ${runs.findIndex((each) => each.run === run.run) + 1}/${runs.length}` : ''
  const right = `${trouble.words} `
  const end = frame.width - widthOf(right)
  const name = fit(run.title, Math.max(8, Math.floor(frame.width / 3)))
  let x = frame.put(1, 0, `${name} `, 'bar', end)
  x = frame.put(x, 0, `${state.words} `, barOf[state.style], end)
  const facts = [
    ...(run.lastStep === null ? [] : [`step ${count(run.lastStep)}`]),
    counted(run.journaled.points, 'point'),
    ...(progress < 1 ? [`${Math.floor(progress * 100)} % read`] : []),
  ]
  const middle = ` ${facts.join(' · ')}${place}`
  if (x + widthOf(middle) < end) frame.put(x, 0, middle, 'bar', end)
  else if (x + facts[0]!.length + 1 < end) frame.put(x, 0, ` ${facts[0]!}`, 'bar', end)
  frame.put(end, 0, right, barOf[trouble.style])
}

function drawGroups(frame: Frame, { groups, state, series, run }: Model, { page }: Layout): void {
  if (run === null) return
  const right = [
    ...(state.smoothing > 0 ? [`smooth ${state.smoothing}`] : []),
    ...(state.isLog ? ['log'] : []),
    ...(state.axis === 'step' ? [] : [`by ${state.axis === 'time' ? 'time' : 'relative time'}`]),
    ...(page.of > 1 && !state.isEnlarged ? [`page ${page.now + 1}/${page.of}`] : []),
  ].join(' · ')
  const start = frame.width - widthOf(right) - 1
  const end = start - 2
  const all = groups.reduce((n, group) => n + group.count, 0)
  let x = 1
  if (state.isTyping || state.filter !== '') {
    const text = `/${state.filter}${state.isTyping ? '▏' : ''}`
    x = frame.put(x, 1, text, 'strong', end)
    x = frame.put(x, 1, `  ${series.length} of ${all}  `, 'muted', end)
  }
  for (const { name, count } of [{ name: null, count: all }, ...groups]) {
    const isChosen = name === state.group
    x = frame.put(x, 1, `${name === '' ? '(none)' : (name ?? 'all')} ${count}`, isChosen ? 'strong' : 'muted', end) + 2
  }
  frame.put(start, 1, right, 'muted')
}

function drawWaiting(frame: Frame, { stateDir, problem }: Model, body: Box): void {
  const lines: Piece[] = [
    [problem ?? `No run yet in ${stateDir}`, problem === null ? 'strong' : 'bad'],
    [''],
    ['It shows here as soon as it begins. In another terminal, for a first point:'],
    [`  echo '{"step":1,"loss":0.5}' | spanbridge`, 'line'],
    ['or under your trainer:'],
    ['  spanbridge exec -- python train.py', 'line'],
  ]
  for (const [i, [text, style = 'plain']] of lines.entries()) frame.put(2, body.y + 1 + i, text, style)
}

function drawCharts(frame: Frame, model: Model, { body, grid, page }: Layout): void {
  const { state, series, problem } = model
  if (problem !== null || series.length === 0) {
    const why =
      problem ?? (state.filter === '' ? 'No point yet: charts show as soon as there is one' : 'No key matches')
    frame.put(2, body.y + 1, why, problem === null ? 'muted' : 'bad')
    return
  }
  const perPage = grid.columns * grid.rows
  const first = page.now * perPage
  for (const [i, summary] of series.slice(first, first + perPage).entries()) {
    const box = placeIn(grid, i, body)
    const chart = state.isEnlarged ? { ...box, height: box.height - 1 } : box
    const drawn = model.lineOf(summary, chart.width)
    if (drawn === null) continue
    const item = { summary, title: model.titleOf(summary), ...drawn }
    const isChosen = first + i === state.chart && series.length > 1 && !state.isEnlarged
    drawChart(frame, chart, item, { ...state, isChosen })
    if (state.isEnlarged) drawFacts(frame, box, item, state.smoothing > 0)
  }
}

/** Below an enlarged chart. */
function drawFacts(frame: Frame, box: Box, { summary, line }: ChartItem, isSmoothed: boolean): void {
  const of = (value: number | null): string => (value === null ? 'none' : shortValue(value, 6))
  const facts = [
    counted(summary.count, 'point') + (line.isRaw ? '' : `, extremes kept${isSmoothed ? ', smoothed over means' : ''}`),
    `min ${of(summary.min)}`,
    `max ${of(summary.max)}`,
    `last at step ${count(summary.last.step)}`,
    summary.key,
  ]
  frame.put(box.x + 1, box.y + box.height - 1, fit(facts.join(' · '), box.width - 2), 'muted')
}

function drawPanel(frame: Frame, { panel, body }: Layout): void {
  if (panel.length === 0) return
  const top = body.y + body.height
  frame.tile({ x: 0, y: top, width: frame.width, height: 1 }, '─', 'muted')
  frame.put(1, top, ' account ', 'muted')
  for (const [i, pieces] of panel.entries()) {
    let x = 1
    for (const [text, style] of pieces) x = frame.put(x, top + 1 + i, text, style)
  }
}

function drawFooter(frame: Frame, { state, run, runs }: Model, { page }: Layout): void {
  const key = (name: string, does: string): Piece[] => [
    [` ${name} `, 'strong'],
    [`${does} `, 'muted'],
  ]
  const hints = state.isTyping
    ? [...key('Enter', 'keep'), ...key('Esc', 'clear'), ['  words, globs or /expression/', 'muted'] as const]
    : [
        ...key('?', 'keys'),
        ...key('q', 'quit'),
        ...(run === null ? [] : [...key('Enter', state.isEnlarged ? 'back' : 'enlarge'), ...key('/', 'filter')]),
        ...(page.of > 1 && !state.isEnlarged ? key('PgDn', 'page') : []),
        ...(run === null
          ? []
          : [...key('s', 'smooth'), ...key('y', 'log'), ...key('g', 'group'), ...key('d', 'account')]),
        ...(runs.length > 1 ? [...key('r', 'run'), ...key('o', 'list')] : []),
      ]
  let x = 0
  for (const [text, style] of hints) {
    if (x + widthOf(text) > frame.width) return
    x = frame.put(x, frame.height - 1, text, style satisfies Style | undefined)
  }
}
