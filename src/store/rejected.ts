import type { Statements } from '../journal/statements.ts'
import type { RejectedPage } from '../web/api.ts'

/** What destinations refused and why, newest first. */
export function readRejected(rows: Statements, limit: number): RejectedPage {
  const sql = `SELECT exporter, kind, name, step, value, text FROM rejected
    JOIN reasons ON reasons.id = reason LEFT JOIN destinations ON destinations.id = destination
    ORDER BY rejected.id DESC LIMIT ?`
  return {
    total: Number(rows.get('SELECT count(*) AS n FROM rejected')?.['n']),
    rows: rows.all(sql, limit).map((row) => ({
      exporter: typeof row['exporter'] === 'string' ? row['exporter'] : null,
      kind: String(row['kind']),
      name: String(row['name']),
      step: row['step'] === null ? null : Number(row['step']),
      value: typeof row['value'] === 'number' ? row['value'] : String(row['value']),
      reason: String(row['text']),
    })),
  }
}
