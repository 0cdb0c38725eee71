/** What became of the rows under one key: `journal = equal + missing + different + rejected + pending`. */
export interface Counts {
  /** Rows of the journal; equal ones count once, as trackers keep them. */
  journal: number
  equal: number
  missing: number
  /** There with the same step and time, but another value. */
  different: number
  /** At the tracker, and not in the journal. */
  added: number
  rejected: number
  pending: number
  /** Rows of the journal that are equal to another one. */
  repeated: number
}

export type RowKind = 'metric' | 'param' | 'tag' | 'end' | 'trace'

/** One line of the report. `first`: the first difference, in words. */
export interface AuditRow extends Counts {
  kind: RowKind
  key: string
  first: string | null
}

export const noCounts = (): Counts => ({
  journal: 0,
  equal: 0,
  missing: 0,
  different: 0,
  added: 0,
  rejected: 0,
  pending: 0,
  repeated: 0,
})

export const differs = ({ missing, different, added }: Counts): boolean => missing + different + added > 0

/** All rows in one. */
export function sumOf(rows: Iterable<Counts>): Counts {
  const sum = noCounts()
  for (const row of rows) for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += row[name]
  return sum
}
