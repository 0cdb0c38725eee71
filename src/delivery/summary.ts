import { withoutUser } from '../config/load.ts'
import { flagOf, type SettingName, type Settings } from '../config/settings.ts'
import type { RunJournal } from '../journal/journal.ts'
import { describeMetric } from '../registry/index.ts'
import { sparkline } from '../telemetry/sparkline.ts'
import { counted, number, points as pointsOf, table, quoted } from '../telemetry/words.ts'
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
  const status = readStatus(journal.database, journal.path, true, journal.firstKept)
  const skipped = list(status.skipped)
  const dropped = list(status.dropped)
  const { received } = status
  const { duplicate } = status.spanAccount
  // What goes to others is no matter of ours.
  const configured = status.destinations.filter(({ state }) => state !== 'disabled')
  const lines = [
    `run ${status.name} (${status.run}) ${status.status}: ${counted(received.numbers, 'number')} in ${counted(received.events, 'event')}${received.spans === 0 ? '' : ` and ${counted(received.spans, 'span')}`}${duplicate === 0 ? '' : ` (${number(duplicate)} came again)`} = ${pointsOf(status.points)}` +
      (skipped === '' ? '' : ` + skipped (${skipped})`) +
      (dropped === '' ? '' : `; dropped (${dropped})`),
    ...exampleLines(status, settings),
    ...statisticLines(journal, settings),
    ...(status.console.skipped > 0 ? [consoleLine(status.console.skipped)] : []),
    ...configured.map(destinationLine),
  ]
  const owed = configured.filter(isOwed)
  // Two destinations may lack the same ones.
  const lacking = {
    points: Math.max(0, ...owed.map(({ points }) => points.pending)),
    spans: Math.max(0, ...owed.map(({ spans }) => spans?.pending ?? 0)),
  }
  if (isLost) {
    const lost = itemsOf(configured.length === 0 ? journal.unsaved : lacking)
    if (lost !== null)
      lines.push(
        `${lost.text} kept in memory only: lost, for there is no journal of them${journal.isInMemory ? '' : ` in ${journal.path}`}`,
      )
    else if (!journal.isInMemory)
      lines.push(
        `the journal ${journal.path} lacks points that are delivered: the disk was full, or it has been deleted`,
      )
  } else if (owed.length === 0) lines.push(`journal ${journal.path}`)
  else {
    const items = itemsOf(lacking)
    const what =
      items === null ? 'params, tags or the end wait' : `${items.text} ${items.count === 1 ? 'waits' : 'wait'}`
    lines.push(`${what} in ${journal.path}; to deliver them later: ${syncCommand(command, journal.path, settings)}`)
  }
  return lines
}

/** In words, or null when there are none. */
function itemsOf({ points, spans }: { points: number; spans: number }): { text: string; count: number } | null {
  const parts = [points > 0 ? pointsOf(points) : '', spans > 0 ? counted(spans, 'span') : ''].filter(
    (part) => part !== '',
  )
  return parts.length === 0 ? null : { text: parts.join(' and '), count: points + spans }
}

const consoleLine = (skipped: number): string =>
  `the terminal was slow: ${number(skipped)} ${skipped === 1 ? 'event was' : 'events were'} not shown, but recorded`

/** Most series that are shown; the others are in MLflow and in the journal. */
const MAX_SHOWN = 50

/** Longest label that a table shows whole. */
const MAX_LABEL = 40

const cut = (label: string): string => (label.length > MAX_LABEL ? `${label.slice(0, MAX_LABEL - 1)}…` : label)

/** A value in about six digits. */
function shown(value: number): string {
  if (Number.isSafeInteger(value)) return number(value)
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf'
  const size = Math.abs(value)
  if (size < 1e-4 || size >= 1e15) return Number(value.toPrecision(6)).toExponential()
  return size < 1e6 ? String(Number(value.toPrecision(6))) : value.toLocaleString('en-US', { maximumFractionDigits: 1 })
}

/** How training went: the last value of each series under its label, its range, and its outline. */
function statisticLines(journal: RunJournal, settings: Settings): string[] {
  const all = journal.seriesStats.sort((a, b) => (a.key < b.key ? -1 : 1))
  if (all.length === 0) return []
  const rows = all.slice(0, MAX_SHOWN).map(({ key, step, value, min, max, nan, outline }) => {
    const { category, label, unit } = describeMetric(key, settings.labels)
    const name = unit === null ? label : `${label} (${unit})`
    const notes = nan > 0 ? ` ${number(nan)} NaN` : ''
    return [category, cut(name), shown(value), shown(min), shown(max), number(step), sparkline(outline) + notes]
  })
  const lines = table([['', 'metric', 'last', 'min', 'max', 'at step', ''], ...rows], 2)
  if (all.length > MAX_SHOWN) lines.push(`  and ${number(all.length - MAX_SHOWN)} more`)
  return lines
}

/** The first line that something was skipped of, for each reason. */
function exampleLines({ examples, skipped, notEvents, received }: RunStatus, settings: Settings): string[] {
  const by = settings.filter === null ? `RUST_LOG '${settings.rustFilter}'` : `filter '${settings.filter}'`
  const lines = Object.entries(examples).map(([reason, line]) => {
    const count = number(skipped[reason] ?? notEvents[reason] ?? 0)
    return `  ${count} ${reason}${reason === 'filtered' ? ` by ${by}` : ''}, the first in: ${line}`
  })
  // Of some lines nothing can be shown: they are too long, or may hold a secret.
  for (const [reason, count] of Object.entries({ ...skipped, ...notEvents }))
    if (count > 0 && reason !== 'text' && !Object.hasOwn(examples, reason)) lines.push(`  ${number(count)} ${reason}`)
  // The likeliest mistake of somebody who is new.
  if (received.events === 0 && received.lines > 0 && received.spans === 0)
    lines.push('  no line was an event: expected one JSON object per line, with a step and numbers beside it')
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
function syncCommand(command: string, path: string, settings: Settings): string {
  const flags = WHERE_TO.filter((name) => settings[name] !== null).flatMap((name) => [
    flagOf(name),
    withoutUser(settings[name] as string),
  ])
  return [command, 'sync', path, ...flags].map(quoted).join(' ')
}

/** What the journal's limit has dropped before it was delivered. */
const evictedText = (count: number): string => (count === 0 ? '' : `${number(count)} dropped undelivered, `)

const spanCounts = ({
  delivered,
  rejected,
  evicted,
  pending,
  resent,
}: NonNullable<RunStatus['destinations'][number]['spans']>): string =>
  `${counted(delivered, 'span')} delivered, ${number(rejected)} refused, ${evictedText(evicted)}${number(pending)} pending${resent === 0 ? '' : `, ${number(resent)} sent twice`}`

function destinationLine(destination: RunStatus['destinations'][number]): string {
  const { points, params } = destination
  const rejected = points.rejected + params.rejected
  const counts =
    destination.spans === null
      ? `${pointsOf(points.delivered)} delivered, ${number(rejected)} refused, ${evictedText(points.evicted)}${number(points.pending)} pending`
      : spanCounts(destination.spans)
  const page = destination.page === null ? '' : ` · ${destination.page}`
  const error =
    points.pending + (destination.spans?.pending ?? 0) > 0 && destination.lastError !== null
      ? ` · ${destination.lastError}`
      : ''
  return `${destination.exporter} ${destination.address}: ${counts}${page}${error}`
}
