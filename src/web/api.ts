import type { RunStatus } from '../journal/status.ts'

/**
 * What the page and scripts get at `/api/v1`; `docs/openapi.json` says the same for other languages. All times are UTC
 * milliseconds. Every request needs the token: as the cookie that `/?token=` sets, or as `Authorization: Bearer`.
 */

/** A value of a point: JSON has no word for those that are not finite. */
export type Value = number | 'NaN' | 'Infinity' | '-Infinity'

/** `GET /api/v1/state`: what serves the page, and all runs in short. */
export interface State {
  version: string
  now: number
  stateDir: string
  /** Process that serves the page. `view` only reads; a daemon also takes data in. */
  server: {
    kind: 'daemon' | 'view'
    pid: number
    startedAt: number
    /** The run of this process, under `exec` or behind a pipe. */
    run: string | null
    /** What is awaited, for an empty page: `otlp-http` -> `127.0.0.1:4318`. */
    listeners: Readonly<Record<string, string>>
    files: readonly string[]
    /** What a user types to see a first point; null where nothing could take it. */
    testLine: string | null
  }
  runs: RunSummary[]
  /** Files that should be journals and cannot be read. */
  unreadable: { journal: string; error: string }[]
}

/** A run in the list: its whole account, and what a list shows beside it. `status` is as in `spanbridge status --json`. */
export interface RunSummary extends RunStatus {
  /** The name that a user gave it on the page, else `name`. */
  title: string
  archived: boolean
  firstStep: number | null
  lastStep: number | null
  /** Of the last point. */
  lastTime: number | null
  /** Last values of up to eight series that tell most, for the list. */
  highlights: SeriesSummary[]
}

/** `GET /api/v1/runs/{run}` */
export interface RunDetail {
  run: RunSummary
  series: SeriesSummary[]
  params: Pair[]
  tags: Pair[]
  /** WARN and ERROR events that are kept. */
  events: { warn: number; error: number }
  spans: number
  /** Time of the run's earliest point: zero of relative times. Null without one. */
  origin: number | null
}

export interface Pair {
  name: string
  value: string
}

/** One metric of a run in short. */
export interface SeriesSummary {
  run: string
  id: number
  key: string
  /** First part of the key (`trainer`), or empty; charts are grouped by it. */
  category: string
  /** As the registry has it: `Policy Loss`. */
  label: string
  unit: string | null
  /** From where on a value deserves a look, and from where on it is bad; `below`: the other way round. */
  thresholds: { warn: number; bad: number; below?: boolean } | null
  /** Points in the journal. */
  count: number
  first: Place
  last: Place & { value: Value }
  /** Over all finite values; null when there is none. */
  min: number | null
  max: number | null
  nan: number
  infinite: number
  /** Middles of 32 or fewer neighbouring parts of the series, in order; null where nothing finite is. */
  sparkline: (number | null)[]
}

export interface Place {
  step: number
  time: number
}

export type Axis = 'step' | 'time' | 'relative'

/**
 * `GET /api/v1/series?run=A&run=B&key=trainer/loss&width=600[&axis=step&from=&to=]`: one key over runs, as a chart draws
 * it. `from` and `to` (inclusive) are in units of the axis: steps, UTC ms, or ms since the run's earliest point. Never skips a
 * spike: where there are more points than two per pixel, each pixel (each two of a whole run) has its minimum and maximum.
 */
export interface Chart {
  key: string
  axis: Axis
  lines: Line[]
}

/** Points of one run in one chart, in the order of the axis. Columns have the same length. */
export interface Line {
  run: string
  id: number
  /** How many points lie in the range: `steps.length` when all are here. */
  points: number
  /** False: extremes of parts of the range. */
  isRaw: boolean
  steps: number[]
  times: number[]
  values: Value[]
  /** Mean of all finite values of the part that each stands for: what smoothing goes over. Null when all points are here. */
  means: Value[] | null
  /** Values in range that are NaN or infinite: shown as marks; they are among the columns only when `isRaw`. */
  nan: number
  infinite: number
  /** The places of up to 200 of those, so that marks are drawn. */
  odd: (Place & { value: Value })[]
  /** Time of the run's earliest point, from which relative times are counted. */
  origin: number
  /** Sequence number in the run up to which this holds; live points behind it follow. */
  upTo: number
}

/**
 * `GET /api/v1/live?run=A&run=B&after=N&after=M`: server-sent events. `run` names those whose points are wanted, `after` (in
 * the same order) the sequence number of the last point that is known. Nothing is sent while nothing changes.
 */
export interface Live {
  /** First, on each connection. */
  hello: { version: string; now: number; pid: number }
  /** Runs that are new or whose account has changed; `gone`: deleted ones. */
  runs: { now: number; changed: RunSummary[]; gone: string[] }
  /** New points of a run, by series, in order. */
  points: LivePoints
  /** More came at once than is sent: charts of the run are to be asked for again. */
  reload: { run: string; upTo: number }
  /** WARN and ERROR events that came. */
  events: { run: string; rows: EventRow[] }
}

export interface LivePoints {
  run: string
  now: number
  /** Sequence number of the last one. */
  upTo: number
  series: {
    id: number
    key: string
    /** Points of the series up to `upTo`, these included. */
    count: number
    steps: number[]
    times: number[]
    values: Value[]
  }[]
  /** Series that are new with these points. */
  added: SeriesSummary[]
}

/** `GET /api/v1/runs/{run}/events?level=WARN|ERROR&search=&before=SEQUENCE&limit=200`: newest first. */
export interface EventsPage {
  rows: EventRow[]
  /** Events that match, also those on other pages. */
  total: number
  /** `before` of the next page; null: no more. */
  next: number | null
}

export interface EventRow {
  sequence: number
  time: number
  level: 'WARN' | 'ERROR'
  target: string
  message: string
  step: number | null
  fields: Readonly<Record<string, unknown>>
}

/** `GET /api/v1/runs/{run}/spans?from=&to=&limit=5000`: spans that touch a range of time (UTC ms), the longest first when there are too many. */
export interface SpansPage {
  /** Of all spans of the run, UTC ms; null without any. */
  range: { from: number; to: number } | null
  /** Spans in the asked range; more than `spans` has: the shortest are left out. */
  total: number
  spans: SpanRow[]
}

export interface SpanRow {
  trace: string
  span: string
  parent: string | null
  name: string
  /** UTC ms, with fractions. */
  start: number
  end: number
  step: number | null
  isError: boolean
  /** What runs side by side is shown on tracks of its own: thread, worker, rank, or the scope's name. */
  track: string
  attributes: Readonly<Record<string, string | number | boolean>>
}

/** `GET /api/v1/runs/{run}/steps?buckets=200[&from=&to=]`: how long spans of each name took, per step or range of steps. */
export interface StepsPage {
  /** First step of each bucket; a bucket has `width` steps that have spans. */
  steps: number[]
  width: number
  /**
   * Milliseconds in each bucket, mean per step that has spans, without the spans inside: they add up. Same length as
   * `steps`; what took longest comes first, 100 names at most.
   */
  names: { name: string; ms: number[] }[]
  /** All further names together; null: there are none. */
  others: { count: number; ms: number[] } | null
  /** Spans that were added up, the newest, of all that there are. */
  counted: number
  total: number
}

/** `GET /api/v1/runs/{run}/rejected?limit=100`: what destinations refused, and why, newest first. */
export interface RejectedPage {
  total: number
  rows: {
    exporter: string | null
    kind: string
    name: string
    step: number | null
    value: number | string
    reason: string
  }[]
}

/** `PATCH /api/v1/runs/{run}` takes one; `DELETE /api/v1/runs/{run}?confirm={run}` has no body. Both answer `{}`. */
export interface RunChange {
  /** Null: as the run calls itself. */
  title?: string | null
  archived?: boolean
}

/** What every refused request gets, with a fitting HTTP status. */
export interface Refused {
  error: string
}
