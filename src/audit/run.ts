import type { Exporter, RunReader, StoredRun, TextBatch } from '../exporters/exporter.ts'
import { JOURNALED, JOURNALED_SPANS } from '../journal/tables.ts'
import { ask, NotRead } from './ask.ts'
import { STATE } from './columns.ts'
import { differs, noCounts, sumOf, type AuditRow, type Counts } from './counts.ts'
import type { AuditedJournal, KnownDestination } from './journal.ts'
import { dateOf } from './points.ts'
import { auditSeries, notKept } from './series.ts'
import { auditSpans } from './spans.ts'
import { compareTexts, type ExpectedText } from './texts.ts'

/** The first read finds out whether anybody is there. */
const FIRST_TIMEOUT_MS = 10_000

/** What an audit of one run at one destination came to; the keys are those of `audit --json`. */
export interface DestinationAudit {
  exporter: string
  address: string
  runId: string | null
  result: 'equal' | 'different' | 'cannot be read back' | 'not delivered' | 'failed'
  /** Why it failed. */
  error: string | null
  /** The tracker's run is of our making, so that nothing else should be in it. */
  made: boolean
  /** Points and spans that the journal does not hold any more, so that they cannot be compared. */
  notKept: number
  sum: Counts
  rows: AuditRow[]
}

/** Whether somebody has to look. */
export const isFault = ({ result }: DestinationAudit): boolean => result === 'different' || result === 'failed'

/** Compares a run with what one destination holds of it. Null: the run has nothing for it. */
export async function auditDestination(journal: AuditedJournal, exporter: Exporter): Promise<DestinationAudit | null> {
  const spansOnly = exporter.accepts.points === undefined
  if (spansOnly && journal.counter(JOURNALED_SPANS) === 0) return null
  const known = journal.destinationOf(exporter)
  const audit: DestinationAudit = {
    exporter: exporter.name,
    address: exporter.address,
    runId: known?.runId ?? null,
    result: 'not delivered',
    error: null,
    made: known?.made ?? false,
    notKept: 0,
    sum: noCounts(),
    rows: [],
  }
  if (known === null || known.runId === null) return audit
  // Spans that went to a collector are not in the tracker's run, though the exporter has the same name.
  if (exporter.after !== undefined && !journal.hasRun(exporter.after, known.runId)) return { ...audit, runId: null }
  if (exporter.readBack === undefined) return { ...audit, result: 'cannot be read back' }
  try {
    const { run, spans } = exporter.readBack
    if (run !== undefined) await auditRun(audit, { journal, exporter, known, runId: known.runId, reader: run })
    if (spans !== undefined) {
      const progress = journal.progress(known.id, 'spans')
      audit.rows.push(...(await auditSpans(journal, progress, spans)))
      audit.notKept += Math.max(0, journal.counter(JOURNALED_SPANS) - journal.countSpans())
    }
  } catch (error) {
    if (!(error instanceof NotRead)) throw error
    return { ...audit, result: 'failed', error: messageOf(error, known, exporter), rows: [] }
  }
  const sum = sumOf(audit.rows)
  return { ...audit, sum, result: differs(sum) ? 'different' : 'equal' }
}

function messageOf(error: NotRead, { address, runId }: KnownDestination, exporter: Exporter): string {
  const isMoved = error.noSuchRun && address !== exporter.address
  return isMoved ? `${error.message}; the journal knows the run ${runId} at ${address}` : error.message
}

interface RunAudit {
  journal: AuditedJournal
  exporter: Exporter
  known: KnownDestination
  runId: string
  reader: RunReader
}

/** Adds the rows of the end, of params and tags, and of all metrics. */
async function auditRun(audit: DestinationAudit, of: RunAudit): Promise<void> {
  const { journal, exporter, known, runId, reader } = of
  // What is delivered is asked before the tracker, and what is there after it: the run may go on.
  const progress = journal.progress(known.id, 'points')
  const params = deliveredTexts(of, 'params')
  const tags = deliveredTexts(of, 'tags')
  const end = expectedEnd(of)
  const stored = await ask((abort) => reader.run(runId, abort), FIRST_TIMEOUT_MS)
  audit.notKept = notKept(journal, journal.counter(JOURNALED))
  const tellsAdded = known.made && audit.notKept === 0
  const keyAt = (key: string): string => exporter.keyAt?.(key) ?? key
  const series = { journal, progress, reader, runId, keyAt, storedKeys: stored.keys, tellsAdded }
  const delivered = new Set<string>()
  const metrics: AuditRow[] = []
  for await (const row of auditSeries(series, delivered)) metrics.push(row)
  for (const [name, value] of reader.ownTags(journal.run, known.made, [...delivered]))
    if (!tags.has(name)) tags.set(name, { name, value, state: STATE.delivered })
  audit.rows = [
    ...compareTexts('end', end, endOf(stored), false),
    ...compareTexts('param', [...params.values()], stored.params, known.made),
    // Tags are there for people and other programs to add to.
    ...compareTexts('tag', [...tags.values()], stored.tags, false),
    ...metrics,
  ]
}

/** Params or tags under the tracker's names; of several under one name the first param stands, and the last tag. */
function deliveredTexts({ journal, known, reader }: RunAudit, kind: TextBatch['kind']): Map<string, ExpectedText> {
  const progress = journal.progress(known.id, kind)
  const texts = new Map<string, ExpectedText>()
  for (const { sequence, ...text } of journal.texts(kind)) {
    const [name, value] = reader.keptText(kind, text.name, text.value)
    const state = progress.stateOf(sequence)
    const other = texts.get(name)
    if (other === undefined || state < other.state || (kind === 'tags' && state === other.state))
      texts.set(name, { name, value, state })
  }
  return texts
}

/** Nothing where the run goes on, or where its end is not ours to set. */
function expectedEnd({ journal, known, reader }: RunAudit): ExpectedText[] {
  const { end } = journal
  if (end === null || !reader.sets(known.made)) return []
  const state = known.ended ? STATE.delivered : STATE.pending
  return [
    { name: 'status', value: end.status, state },
    { name: 'end time', value: dateOf(Math.trunc(end.time)), state },
  ]
}

const endOf = ({ status, endTime }: StoredRun): Map<string, string> =>
  new Map([['status', status], ...(endTime === null ? [] : [['end time', dateOf(endTime)] as const])])
