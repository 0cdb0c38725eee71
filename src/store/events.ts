import type { Row, Statements } from '../journal/statements.ts'
import type { EventRow, EventsPage } from '../web/api.ts'

export interface EventsQuery {
  /** `WARN` or `ERROR`; absent: both. */
  level?: string
  /** A part of the message, the target or the fields, in any case. */
  search?: string
  /** Only those before this sequence number. */
  before?: number
  limit: number
}

/** Journals of formats before 4 have no events. */
const hasEvents = (rows: Statements): boolean =>
  rows.get("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'events'") !== undefined

const MATCHES = `(? IS NULL OR level = ?) AND (? IS NULL OR instr(lower(message || ' ' || target || ' ' || fields), lower(?)) > 0)`

/** WARN and ERROR events, newest first. */
export function readEvents(rows: Statements, { level, search, before, limit }: EventsQuery): EventsPage {
  if (!hasEvents(rows)) return { rows: [], total: 0, next: null }
  const l = level ?? null
  const s = search === undefined || search === '' ? null : search
  const total = Number(rows.get(`SELECT count(*) AS n FROM events WHERE ${MATCHES}`, l, l, s, s)?.['n'])
  const found = rows
    .all(
      `SELECT * FROM events WHERE sequence < ? AND ${MATCHES} ORDER BY sequence DESC LIMIT ?`,
      before ?? Number.MAX_SAFE_INTEGER,
      l,
      l,
      s,
      s,
      limit + 1,
    )
    .map(eventOf)
  const page = found.slice(0, limit)
  return { rows: page, total, next: found.length > limit ? (page.at(-1)?.sequence ?? null) : null }
}

/** Events behind a sequence number, oldest first. */
export function readEventsSince(rows: Statements, after: number, limit: number): EventRow[] {
  if (!hasEvents(rows)) return []
  return rows.all('SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?', after, limit).map(eventOf)
}

const eventOf = (row: Row): EventRow => ({
  sequence: Number(row['sequence']),
  time: Number(row['time']),
  level: row['level'] === 'ERROR' ? 'ERROR' : 'WARN',
  target: textOf(row['target']),
  message: textOf(row['message']),
  step: typeof row['step'] === 'number' ? row['step'] : null,
  fields: fieldsOf(row['fields']),
})

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

function fieldsOf(json: unknown): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(String(json))
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : {}
  } catch {
    return {}
  }
}
