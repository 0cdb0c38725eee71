import { DatabaseSync } from 'node:sqlite'
import type { ReadSpans } from '../exporters/exporter.ts'
import { spanIdsOf } from '../otlp/traces.ts'
import { ask } from './ask.ts'
import { STATE, type State } from './columns.ts'
import { differs, noCounts, sumOf, type AuditRow, type Counts } from './counts.ts'
import type { AuditedJournal, Progress } from './journal.ts'

/** Spans and traces that are asked for at once: an answer has all that is in them. */
const SPANS_AT_ONCE = 500
const TRACES_AT_ONCE = 20

/** Traces that get a row of their own; all others share one. */
const MAX_ROWS = 100

interface Trace {
  id: string
  spans: Map<string, State>
}

/** Compares the spans of a run by trace and span id. What others have put into its traces is no difference. */
export async function auditSpans(
  journal: AuditedJournal,
  progress: Progress,
  readSpans: ReadSpans,
): Promise<AuditRow[]> {
  const index = new SpanIndex()
  try {
    for (const { sequence, bytes } of journal.spans()) index.add(spanIdsOf(bytes), progress.stateOf(sequence))
    const rows: AuditRow[] = []
    let others: Counts = noCounts()
    for (const traces of index.groups()) {
      const ids = traces.map(({ id }) => id)
      const stored = await ask((abort) => readSpans(ids, abort))
      for (const trace of traces) {
        const row = rowOf(trace, stored.get(trace.id))
        if (differs(row) && rows.length < MAX_ROWS) rows.push(row)
        else others = sumOf([others, row])
      }
    }
    others.repeated = index.added - index.count
    const all: AuditRow = { kind: 'trace', key: rows.length === 0 ? 'all' : 'all others', ...others, first: null }
    return others.journal > 0 ? [...rows, all] : rows
  } finally {
    index.close()
  }
}

function rowOf({ id, spans }: Trace, stored: ReadonlySet<string> | undefined): AuditRow {
  const row: AuditRow = { kind: 'trace', key: id, ...noCounts(), journal: spans.size, first: null }
  for (const [span, state] of spans) {
    if (state === STATE.pending) row.pending += 1
    else if (state === STATE.rejected) row.rejected += 1
    else if (stored?.has(span) === true) row.equal += 1
    else {
      row.missing += 1
      row.first ??= stored === undefined ? 'no span of it is there' : `span ${span} is not there`
    }
  }
  return row
}

/** The ids of all spans by trace, in a temporary database: SQLite keeps in memory what fits, and the rest on disk. */
class SpanIndex {
  readonly #database = new DatabaseSync('')
  readonly #insert
  added = 0

  constructor() {
    this.#database.exec(
      'CREATE TABLE spans (trace TEXT, span TEXT, state INTEGER, PRIMARY KEY (trace, span)) WITHOUT ROWID; BEGIN',
    )
    this.#insert = this.#database.prepare(
      'INSERT INTO spans VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = min(state, excluded.state)',
    )
  }

  add({ traceId, spanId }: { traceId: string; spanId: string }, state: State): void {
    this.#insert.run(traceId, spanId, state)
    this.added += 1
  }

  get count(): number {
    return Number(this.#database.prepare('SELECT count(*) AS n FROM spans').get()!['n'])
  }

  /** Whole traces, as many as are asked for at once. */
  *groups(): Generator<Trace[]> {
    let group: Trace[] = []
    let size = 0
    for (const row of this.#database.prepare('SELECT trace, span, state FROM spans ORDER BY trace, span').iterate()) {
      const id = String(row['trace'])
      if (group.at(-1)?.id !== id) {
        if (size >= SPANS_AT_ONCE || group.length === TRACES_AT_ONCE) {
          yield group
          group = []
          size = 0
        }
        group.push({ id, spans: new Map() })
      }
      group.at(-1)!.spans.set(String(row['span']), Number(row['state']) as State)
      size += 1
    }
    if (group.length > 0) yield group
  }

  close(): void {
    this.#database.close()
  }
}
