import type { RunJournal } from '../journal/journal.ts'
import { readStatus, type RunStatus } from '../journal/status.ts'

const number = (n: number): string => n.toLocaleString('en-US')

const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([reason, n]) => `${number(n)} ${reason}`)
    .join(', ')

/** The account of a run at its end, a line per fact; the last one says what to do when something is left. */
export function accountLines(journal: RunJournal, inMemory: boolean): string[] {
  const status = readStatus(journal.database, journal.path, true)
  const skipped = list(status.skipped)
  const dropped = list(status.dropped)
  const lines = [
    `run ${status.name} (${status.run}) ${status.status}: ${number(status.received.numbers)} numbers in ${number(status.received.events)} events = ${number(status.points)} points` +
      (skipped === '' ? '' : ` + skipped (${skipped})`) +
      (dropped === '' ? '' : `; dropped (${dropped})`),
    ...status.destinations.map(destinationLine),
  ]
  if (!inMemory) lines.push(`journal ${journal.path}`)
  return lines
}

function destinationLine(destination: RunStatus['destinations'][number]): string {
  const { points, params } = destination
  const rejected = points.rejected + params.rejected
  const counts = `${number(points.delivered)} points delivered, ${number(rejected)} refused, ${number(points.pending)} pending`
  const page = destination.page === null ? '' : ` · ${destination.page}`
  const error = points.pending > 0 && destination.lastError !== null ? ` · ${destination.lastError}` : ''
  return `${destination.exporter} ${destination.address}: ${counts}${page}${error}`
}
