import { flagOf, type SettingName, type Settings } from '../config/settings.ts'
import type { RunJournal } from '../journal/journal.ts'
import { describeMetric } from '../registry/index.ts'
import { number, points as pointsOf } from '../telemetry/words.ts'
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
  const lines = [
    `run ${status.name} (${status.run}) ${status.status}: ${number(received.numbers)} numbers in ${number(received.events)} events = ${number(status.points)} points` +
      (skipped === '' ? '' : ` + skipped (${skipped})`) +
      (dropped === '' ? '' : `; dropped (${dropped})`),
    ...lastValueLines(journal, settings),
    ...status.destinations.map(destinationLine),
  ]
  const left = status.destinations.find(isOwed)
  if (isLost) {
    const points =
      left === undefined && status.destinations.length > 0 ? 0 : (left?.points.pending ?? status.journaled.points)
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

/** Most series whose last values are shown. */
const MAX_SHOWN = 20

/** Where training stands: the last value of each series under its label. */
function lastValueLines(journal: RunJournal, settings: Settings): string[] {
  const values = journal.lastValues.sort((a, b) => (a.key < b.key ? -1 : 1))
  const rows = values.slice(0, MAX_SHOWN).map(({ key, step, value }) => {
    const { category, label, unit } = describeMetric(key, settings.labels)
    const shown = Number.isInteger(value) ? number(value) : String(Number(value.toPrecision(6)))
    return `  ${category.padEnd(10)} ${label.padEnd(24)} ${shown.padStart(12)}${unit === null ? '' : ` ${unit}`} at step ${number(step)}`
  })
  if (values.length > MAX_SHOWN) rows.push(`  and ${number(values.length - MAX_SHOWN)} more`)
  return rows
}

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
  const counts = `${number(points.delivered)} points delivered, ${number(rejected)} refused, ${number(points.pending)} pending`
  const page = destination.page === null ? '' : ` · ${destination.page}`
  const error = points.pending > 0 && destination.lastError !== null ? ` · ${destination.lastError}` : ''
  return `${destination.exporter} ${destination.address}: ${counts}${page}${error}`
}
