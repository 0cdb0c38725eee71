import type { RunHistory } from '../store/history.ts'
import type { Batch, Cell, Column, Table } from './table.ts'

/** Rows of a batch at most. */
const BATCH = 32_768

const column = (name: string, type: Column['type']): Column => ({ name, type })

/** Points in the order in which they came, up to sequence number `upTo`: a row each. */
export function pointTable(history: RunHistory, isMeant: (key: string) => boolean, upTo: number): Table {
  return {
    columns: [
      column('run', 'text'),
      column('key', 'text'),
      column('step', 'integer'),
      column('time', 'time'),
      column('value', 'number'),
    ],
    batches: pointBatches(history, history.keys.map(isMeant), upTo),
  }
}

function* pointBatches(history: RunHistory, isMeant: readonly boolean[], upTo: number): Generator<Batch> {
  for (const { first, count, series, step, time, value } of history.blocks()) {
    const columns: Cell[][] = [[], [], [], [], []]
    const [runs, keys, steps, times, values] = columns as [Cell[], Cell[], Cell[], Cell[], Cell[]]
    for (let i = 0; i < count && first + i <= upTo; i += 1) {
      if (isMeant[series[i]!] !== true) continue
      runs.push(history.run)
      keys.push(history.keyOf(series[i]!))
      steps.push(step[i]!)
      times.push(time[i]!)
      values.push(value[i]!)
    }
    yield { count: runs.length, columns }
    if (first + count > upTo) return
  }
}

/** Params or tags: a row each. */
export const pairTable = (run: string, pairs: readonly { name: string; value: string }[]): Table =>
  tableOf(
    [column('run', 'text'), column('name', 'text'), column('value', 'text')],
    pairs.map(({ name, value }) => [run, name, value]),
  )

/** WARN and ERROR events, oldest first; `fields` is JSON. */
export function eventTable(history: RunHistory): Table {
  const columns = [
    column('run', 'text'),
    column('sequence', 'integer'),
    column('time', 'time'),
    column('level', 'text'),
    column('target', 'text'),
    column('message', 'text'),
    column('step', 'integer'),
    column('fields', 'text'),
  ]
  function* batches(): Generator<Batch> {
    for (let after = 0; ;) {
      const rows = history.eventsSince(after, BATCH)
      if (rows.length === 0) return
      after = rows.at(-1)!.sequence
      yield batchOf(
        columns.length,
        rows.map(({ sequence, time, level, target, message, step, fields }) => [
          history.run,
          sequence,
          time,
          level,
          target,
          message,
          step,
          JSON.stringify(fields),
        ]),
      )
    }
  }
  return { columns, batches: batches() }
}

/** Spans by their start; `attributes` is JSON. All are in memory at once. */
export function spanTable(history: RunHistory): Table {
  const columns = [
    ...['run', 'trace', 'span', 'parent', 'name'].map((name) => column(name, 'text')),
    column('start_ms', 'number'),
    column('end_ms', 'number'),
    column('step', 'integer'),
    column('is_error', 'integer'),
    column('attributes', 'text'),
  ]
  const { spans } = history.spans({ limit: Number.MAX_SAFE_INTEGER, isWhole: true })
  const rows = spans.map((row): Cell[] => [
    history.run,
    row.trace,
    row.span,
    row.parent,
    row.name,
    row.start,
    row.end,
    row.step,
    row.isError ? 1 : 0,
    JSON.stringify(row.attributes),
  ])
  return tableOf(columns, rows)
}

const tableOf = (columns: readonly Column[], rows: readonly (readonly Cell[])[]): Table => ({
  columns,
  batches: Array.from({ length: Math.ceil(rows.length / BATCH) }, (_, i) =>
    batchOf(columns.length, rows.slice(i * BATCH, (i + 1) * BATCH)),
  ),
})

const batchOf = (width: number, rows: readonly (readonly Cell[])[]): Batch => ({
  count: rows.length,
  columns: Array.from({ length: width }, (_, column) => rows.map((row) => row[column]!)),
})
