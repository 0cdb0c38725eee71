import { STATE, type State } from './columns.ts'
import { noCounts, type AuditRow, type RowKind } from './counts.ts'

/** A param, a tag or a part of the end, as the tracker should have it. */
export interface ExpectedText {
  name: string
  value: string
  state: State
}

/** Compares texts by name. `tellsAdded`: names that are only at the tracker are a difference. */
export function compareTexts(
  kind: RowKind,
  expected: readonly ExpectedText[],
  stored: ReadonlyMap<string, string>,
  tellsAdded: boolean,
): AuditRow[] {
  const names = new Set(expected.map(({ name }) => name))
  const added = tellsAdded ? [...stored].filter(([name]) => !names.has(name)) : []
  return [
    ...expected.map((text) => compareText(kind, text, stored.get(text.name))),
    ...added.map(([key, value]) => ({ kind, key, ...noCounts(), added: 1, first: `${quoted(value)} was never sent` })),
  ]
}

function compareText(kind: RowKind, { name, value, state }: ExpectedText, stored: string | undefined): AuditRow {
  const row: AuditRow = { kind, key: name, ...noCounts(), journal: 1, first: null }
  if (state === STATE.pending) row.pending = 1
  else if (state === STATE.rejected) row.rejected = 1
  else if (stored === value) row.equal = 1
  else if (stored === undefined) {
    row.missing = 1
    row.first = `${quoted(value)} is not there`
  } else {
    row.different = 1
    row.first = `${quoted(value)} is ${quoted(stored)} there`
  }
  return row
}

/** The beginning of a value: it may have thousands of characters. */
const quoted = (value: string): string => `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`
