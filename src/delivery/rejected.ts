import type { Batch, BatchKind, Exporter, RunToOpen, SendResult } from '../exporters/exporter.ts'
import type { RunJournal } from '../journal/journal.ts'
import { accountOf, type DestinationAccount } from './account.ts'
import { attempt, attempts } from './attempts.ts'
import type { Clock } from './clock.ts'

/** Rows of one request: few, since a refused one among them sends the others alone. */
const BATCH_ROWS = 50
const TRIES = 3
const TIMEOUT_MS = 30_000

interface Row {
  id: number
  sequence: number
  name: string
  step: number
  time: number
  value: number | string
}

export interface Retried {
  taken: number
  refused: number
  /** Why it could not go on, or null. */
  error: Error | null
}

export interface RetryOptions {
  journal: RunJournal
  exporter: Exporter
  clock: Clock
  cut: AbortSignal
}

/**
 * Sends what a destination has refused once more: a limit may have been raised there, a run restored. What it takes now
 * counts as delivered. A row that an earlier attempt has brought there unnoticed is stored once all the same: rows are a
 * set, or have ids.
 */
export async function retryRejected(options: RetryOptions): Promise<Retried> {
  const { journal, exporter, cut } = options
  const account = accountOf(journal, exporter)
  const result: Retried = { taken: 0, refused: 0, error: null }
  const kinds = (Object.keys(exporter.accepts) as BatchKind[]).filter(
    (kind) => rowsOf(journal, account, kind).length > 0,
  )
  if (kinds.length === 0 || account.known.runId === null) return result
  const opened = await exporter.openRun(runOf(journal, account), cut)
  if (opened.kind !== 'ok') return { ...result, error: opened.error }
  for (const kind of kinds) {
    const rows = rowsOf(journal, account, kind)
    for (let i = 0; i < rows.length && result.error === null; i += BATCH_ROWS)
      await retry(rows.slice(i, i + BATCH_ROWS), kind, opened.runId, account, options, result)
  }
  return result
}

/** Sends rows together, and alone what is refused together. */
async function retry(
  rows: readonly Row[],
  kind: BatchKind,
  runId: string,
  account: DestinationAccount,
  options: RetryOptions,
  result: Retried,
): Promise<void> {
  const { journal, exporter, clock, cut } = options
  const batch = batchOf(journal, kind, rows)
  const once = (): Promise<SendResult> => attempt((abort) => exporter.send(runId, batch, abort), TIMEOUT_MS, clock, cut)
  const sent = await attempts(once, { tries: TRIES, clock, cut, onFailed: () => {} })
  if (sent.kind === 'ok') {
    account.takenAfterAll(
      kind,
      rows.map(({ id }) => id),
    )
    result.taken += rows.length
  } else if (sent.kind !== 'drop') result.error = sent.error
  else if (rows.length === 1) result.refused += 1
  else
    for (const row of rows) {
      if (result.error !== null) return
      await retry([row], kind, runId, account, options, result)
    }
}

/** Rows that stand behind the cursor: those ahead of it are still on their way. */
function rowsOf(journal: RunJournal, account: DestinationAccount, kind: BatchKind): Row[] {
  const sql = `SELECT rejected.id, sequence, name, step, time, value FROM rejected JOIN cursors USING (destination, kind)
    WHERE destination = ? AND kind = ? AND sequence <= position ORDER BY sequence`
  return journal.all(sql, account.id, kind).map((row) => ({
    id: Number(row['id']),
    sequence: Number(row['sequence']),
    name: String(row['name']),
    step: Number(row['step']),
    time: Number(row['time']),
    value: row['value'] as number | string,
  }))
}

function batchOf(journal: RunJournal, kind: BatchKind, rows: readonly Row[]): Batch {
  const at = { first: rows[0]!.sequence, count: rows.length }
  if (kind === 'spans')
    return { kind, ...at, blocks: rows.flatMap(({ sequence }) => journal.readSpans(sequence - 1, 1)) }
  if (kind !== 'points') return { kind, ...at, entries: rows.map(({ name, value }) => [name, String(value)] as const) }
  const names = [...new Set(rows.map(({ name }) => name))]
  return {
    kind,
    ...at,
    sequences: Float64Array.from(rows, ({ sequence }) => sequence),
    // What is not finite stands as its text.
    value: Float64Array.from(rows, ({ value }) => Number(value)),
    step: Float64Array.from(rows, ({ step }) => step),
    time: Float64Array.from(rows, ({ time }) => time),
    series: Uint32Array.from(rows, ({ name }) => names.indexOf(name)),
    keyOf: (series) => names[series]!,
  }
}

const runOf = (journal: RunJournal, { known }: DestinationAccount): RunToOpen => ({
  ...journal.readStart(),
  knownId: known.runId,
  knownMade: known.made,
  mayExist: true,
  isMoved: false,
  reopen: false,
  making: () => {},
  makingSince: null,
  peer: known.runId === null ? null : { runId: known.runId, group: null },
  target: known.target,
})
