import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { repository } from './processes.ts'
import type { Goal, Measured, Row, Unit } from './row.ts'
import { median } from './statistics.ts'

/** `met`, `below`: the goal; `figure`: there is none; `missing`: the peer is; `failed`: the run; `open`: it was never measured. */
export type Verdict = 'met' | 'below' | 'figure' | 'missing' | 'failed' | 'open'

/** What the JSON says of a row. */
export interface Result {
  id: string
  what: string
  against: string
  unit: Unit
  goal: Goal | null
  verdict: Verdict
  median: number | null
  min: number | null
  max: number | null
  rounds: number
  values: readonly number[]
  ours: number | null
  theirs: number | null
  sideUnit: string | null
  note: string | null
  quick: boolean
  at: string
}

/** A run of `npm run bench`, with those rows of earlier ones that it left out. */
export interface Report {
  machine: { cpu: string; cores: number; memoryGb: number; system: string; node: string }
  rows: Result[]
}

export const REPORT = join(repository, 'coverage/bench.json')

const nodeVersion = process.version

export const machine = (): Report['machine'] => ({
  cpu: cpus()[0]!.model,
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  system: `Linux ${release()}`,
  node: nodeVersion,
})

export function readReport(): Report {
  try {
    return JSON.parse(readFileSync(REPORT, 'utf8')) as Report
  } catch {
    return { machine: machine(), rows: [] }
  }
}

export function writeReport(report: Report): void {
  mkdirSync(dirname(REPORT), { recursive: true })
  writeFileSync(REPORT, `${JSON.stringify(report, null, 2)}\n`)
}

/** Null: the goal is what the other side has, and there was none. */
function meets(goal: Goal, value: number, theirs: readonly number[] | undefined): boolean | null {
  if ('atLeast' in goal) return value >= goal.atLeast
  if ('atMost' in goal) return value <= goal.atMost
  return theirs === undefined ? null : value <= Math.max(...theirs)
}

const orNull = (values: readonly number[] | undefined): number | null => (values === undefined ? null : median(values))

export function resultOf(row: Row, measured: Measured, isQuick: boolean): Result {
  const { values, ours, theirs, sideUnit = null, note = null } = measured
  const middle = median(values)
  const isMet = row.goal === null ? null : meets(row.goal, middle, theirs)
  const verdict = isMet === null ? 'figure' : isMet ? 'met' : 'below'
  return {
    ...head(row, isQuick),
    verdict,
    median: middle,
    min: Math.min(...values),
    max: Math.max(...values),
    rounds: values.length,
    values,
    ours: orNull(ours),
    theirs: orNull(theirs),
    sideUnit,
    note,
  }
}

/** Of a row without figures. */
export const resultWithout = (
  row: Row,
  verdict: 'missing' | 'failed' | 'open',
  why: string,
  isQuick: boolean,
): Result => ({
  ...head(row, isQuick),
  verdict,
  median: null,
  min: null,
  max: null,
  rounds: 0,
  values: [],
  ours: null,
  theirs: null,
  sideUnit: null,
  note: why,
})

const head = ({ id, what, against, unit, goal }: Row, quick: boolean) => ({
  id,
  what,
  against,
  unit,
  goal,
  quick,
  at: new Date().toISOString(),
})
