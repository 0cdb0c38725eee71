import type { DatabaseSync, StatementSync } from 'node:sqlite'

export type SqlValue = number | string | Uint8Array | null
export type Row = Record<string, unknown>

/** A database whose statements are prepared once. */
export class Statements {
  readonly database: DatabaseSync
  readonly #prepared = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.database = database
  }

  prepare(sql: string): StatementSync {
    let statement = this.#prepared.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare(sql)
      this.#prepared.set(sql, statement)
    }
    return statement
  }

  run(sql: string, ...values: SqlValue[]): void {
    this.prepare(sql).run(...values)
  }

  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.prepare(sql).get(...values)
  }

  all(sql: string, ...values: SqlValue[]): Row[] {
    return this.prepare(sql).all(...values)
  }

  /** Runs `body` as one transaction. @throws what `body` throws, or SQLite at the commit; then nothing of it is written */
  transaction(body: () => void): void {
    this.database.exec('BEGIN IMMEDIATE')
    try {
      body()
      this.database.exec('COMMIT')
    } catch (error) {
      try {
        this.database.exec('ROLLBACK')
      } catch {
        // SQLite has rolled back by itself (a full disk, an I/O error): the first error is the one to tell.
      }
      throw error
    }
  }

  close(): void {
    this.#prepared.clear()
    this.database.close()
  }
}
