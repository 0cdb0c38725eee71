import { flagOf, type SettingName, type Settings } from '../config/settings.ts'
import type { RunJournal } from '../journal/journal.ts'
import { readStatus, type RunStatus } from '../journal/status.ts'

const number = (n: number): string => n.toLocaleString('en-US')

const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([reason, n]) => `${number(n)} ${reason}`)
    .join(', ')

/** The account of a run at its end, a line per fact; the last one says what to do when something is left. */
export function accountLines(journal: RunJournal, inMemory: boolean, settings: Settings): string[] {
  const status = readStatus(journal.database, journal.path, true)
  const skipped = list(status.skipped)
  const dropped = list(status.dropped)
  const lines = [
    `run ${status.name} (${status.run}) ${status.status}: ${number(status.received.numbers)} numbers in ${number(status.received.events)} events = ${number(status.points)} points` +
      (skipped === '' ? '' : ` + skipped (${skipped})`) +
      (dropped === '' ? '' : `; dropped (${dropped})`),
    ...status.destinations.map(destinationLine),
  ]
  const left = status.destinations.find(
    ({ points, params, tags, ended }) => points.pending + params.pending + tags.pending > 0 || !ended,
  )
  if (inMemory) return lines
  if (left === undefined) lines.push(`journal ${journal.path}`)
  else {
    const what = left.points.pending > 0 ? `${number(left.points.pending)} points wait` : 'params, tags or the end wait'
    lines.push(`${what} in ${journal.path}; when ${left.exporter} is back: ${syncCommand(journal.path, settings)}`)
  }
  return lines
}

/** Settings that say where a run goes. */
const WHERE_TO: readonly SettingName[] = [
  'mlflow.trackingUri',
  'mlflow.experimentId',
  'mlflow.experimentName',
  'mlflow.runId',
]

/** The command that delivers the rest, ready to be pasted; credentials are left to the environment. */
function syncCommand(path: string, settings: Settings): string {
  const flags = WHERE_TO.filter((name) => settings[name] !== null).flatMap((name) => [
    flagOf(name),
    (settings[name] as string).replace(/\/\/[^/@\s]*@/, '//'),
  ])
  return ['spanbridge', 'sync', path, ...flags].map(quoted).join(' ')
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
