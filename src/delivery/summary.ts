import { flagOf, type SettingName, type Settings } from '../config/settings.ts'
import type { RunJournal } from '../journal/journal.ts'
import { describeMetric } from '../registry/index.ts'
import { sparkline } from '../telemetry/sparkline.ts'
import { number, points as pointsOf, table } from '../telemetry/words.ts'
import { isOwed, readStatus, type RunStatus } from '../journal/status.ts'

const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, n]) => n > 0)
    .map(([reason, n]) => `${number(n)} ${reason}`)
    .join(', ')

export interface AccountOptions {
  settings: Settings
  /** How users call us. */
  command: string
  /** What is not delivered is in no file that outlives us. */
  isLost: boolean
}

/** The account of a run at its end, a line per fact; the last one says what to do when something is left. */
export function accountLines(journal: RunJournal, { settings, command, isLost }: AccountOptions): string[] {
  const status = readStatus(journal.database, journal.path, true)
  const skipped = list(status.skipped)
  const dropped = list(status.dropped)
  const { received } = status
  // What goes to others is no matter of ours.
  const configured = status.destinations.filter(({ state }) => state !== 'disabled')
  const lines = [
    `run ${status.name} (${status.run}) ${status.status}: ${number(received.numbers)} numbers in ${number(received.events)} events = ${number(status.points)} points` +
      (skipped === '' ? '' : ` + skipped (${skipped})`) +
      (dropped === '' ? '' : `; dropped (${dropped})`),
    ...exampleLines(status),
    ...statisticLines(journal, settings),
    ...(status.console.skipped > 0 ? [consoleLine(status.console.skipped)] : []),
    ...configured.map(destinationLine),
  ]
  const left = configured.find(isOwed)
  if (isLost) {
    const points = left === undefined && configured.length > 0 ? 0 : (left?.points.pending ?? status.journaled.points)
    if (points > 0)
      lines.push(
        `${pointsOf(points)} kept in memory only: lost, for there is no journal of them${journal.isInMemory ? '' : ` in ${journal.path}`}`,
      )
    else if (!journal.isInMemory)
      lines.push(
        `the journal ${journal.path} lacks points that are delivered: the disk was full, or it has been deleted`,
      )
  } else if (left === undefined) lines.push(`journal ${journal.path}`)
  else {
    const what =
      left.points.pending > 0
        ? `${pointsOf(left.points.pending)} ${left.points.pending === 1 ? 'waits' : 'wait'}`
        : 'params, tags or the end wait'
    lines.push(`${what} in ${journal.path}; to deliver them later: ${syncCommand(command, journal.path, settings)}`)
  }
  return lines
}

const consoleLine = (skipped: number): string =>
  `the terminal was slow: ${number(skipped)} ${skipped === 1 ? 'event was' : 'events were'} not shown, but recorded`

/** Most series that are shown; the others are in MLflow and in the journal. */
const MAX_SHOWN = 50

/** A value in six digits, as short as they are. */
function shown(value: number): string {
  if (Number.isSafeInteger(value)) return number(value)
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf'
  return Math.abs(value) < 1e-4 ? value.toExponential(3) : String(Number(value.toPrecision(6)))
}

/** How training went: the last value of each series under its label, its range, and its outline. */
function statisticLines(journal: RunJournal, settings: Settings): string[] {
  const all = journal.seriesStats.sort((a, b) => (a.key < b.key ? -1 : 1))
  if (all.length === 0) return []
  const rows = all.slice(0, MAX_SHOWN).map(({ key, step, value, min, max, nan, outline }) => {
    const { category, label, unit } = describeMetric(key, settings.labels)
    const name = unit === null ? label : `${label} (${unit})`
    const notes = nan > 0 ? ` ${number(nan)} NaN` : ''
    return [category, name, shown(value), shown(min), shown(max), number(step), sparkline(outline) + notes]
  })
  const lines = table([['', 'metric', 'last', 'min', 'max', 'at step', ''], ...rows], 2)
  if (all.length > MAX_SHOWN) lines.push(`  and ${number(all.length - MAX_SHOWN)} more`)
  return lines
}

/** The first line that something was skipped of, for each reason. */
const exampleLines = ({ examples, skipped, notEvents }: RunStatus): string[] =>
  Object.entries(examples).map(
    ([reason, line]) => `  ${number(skipped[reason] ?? notEvents[reason] ?? 0)} ${reason}, the first in: ${line}`,
  )

/** Settings that say where a run goes. */
const WHERE_TO: readonly SettingName[] = [
  'mlflow.trackingUri',
  'mlflow.experimentId',
  'mlflow.experimentName',
  'mlflow.runId',
]

/** The command that delivers the rest, ready to be pasted; credentials are left to the environment. */
function syncCommand(command: string, path: string, settings: Settings): string {
  const flags = WHERE_TO.filter((name) => settings[name] !== null).flatMap((name) => [
    flagOf(name),
    (settings[name] as string).replace(/\/\/[^/@\s]*@/, '//'),
  ])
  return [command, 'sync', path, ...flags].map(quoted).join(' ')
}

/** A word as a shell takes it. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

function destinationLine(destination: RunStatus['destinations'][number]): string {
  const { points, params } = destination
  const rejected = points.rejected + params.rejected
  const counts = `${pointsOf(points.delivered)} delivered, ${number(rejected)} refused, ${number(points.pending)} pending`
  const page = destination.page === null ? '' : ` · ${destination.page}`
  const error = points.pending > 0 && destination.lastError !== null ? ` · ${destination.lastError}` : ''
  return `${destination.exporter} ${destination.address}: ${counts}${page}${error}`
}
