import { DatabaseSync } from 'node:sqlite'
import { createPrivate } from './lock.ts'
import { APPLICATION_ID, EVENTS_TABLE, FORMAT, SPAN_TABLES_OF_2, SPANS_AS_BLOCKS, WAITING_TABLE } from './schema.ts'

/** The write-ahead log is cut back to this size after a checkpoint. */
const WAL_LIMIT_BYTES = 8 << 20

/**
 * Pages of twice SQLite's own size, and four times as many bytes in the log before they are copied into the file: blocks of
 * a megabyte are written 1.5 times as fast, with 0.8 of the processor time.
 */
const PAGE_BYTES = 8192
const CHECKPOINT_PAGES = 2000

/** How long somebody who holds the file open for writing (a shell of SQLite) is waited for. */
const BUSY_PATIENCE_MS = 2000

/** Journals from this format on are brought up to date when they are opened. */
const OLDEST_FORMAT = 1

/** Format 2 came with spans. */
function migrateFrom1(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${SPAN_TABLES_OF_2}
    ALTER TABLE cursors ADD COLUMN resent INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 2; COMMIT`)
}

/** Format 3 came with rows that wait. */
function migrateFrom2(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${WAITING_TABLE} PRAGMA user_version = 3; COMMIT`)
}

/** Format 4 came with events. */
function migrateFrom3(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${EVENTS_TABLE} PRAGMA user_version = 4; COMMIT`)
}

/** Format 5 came with many spans in a row. */
function migrateFrom4(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${SPANS_AS_BLOCKS} PRAGMA user_version = 5; COMMIT`)
}

/** What brings a journal of each earlier format to the next one. */
const MIGRATIONS: readonly ((database: DatabaseSync) => void)[] = [
  migrateFrom1,
  migrateFrom2,
  migrateFrom3,
  migrateFrom4,
]

/** Every commit is on the disk when it returns, in the write-ahead log first. */
const DURABLE = `PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES};
  PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};`

/** Makes the file of a new journal, still without tables; `:memory:` makes none. @throws when the directory cannot be written */
export function createFile(path: string): DatabaseSync {
  if (path !== ':memory:') createPrivate(path)
  const database = new DatabaseSync(path, { timeout: BUSY_PATIENCE_MS })
  // auto_vacuum must be set before WAL, or it stays off without a word.
  database.exec(
    `PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; ${DURABLE}`,
  )
  return database
}

/** Opens a journal and brings it to the format of this version. @throws when the file is no journal that we know */
export function openFile(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_PATIENCE_MS })
  try {
    bringUpToDate(database, path)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

function bringUpToDate(database: DatabaseSync, path: string): void {
  const { user_version: format } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  const { application_id: id } = database.prepare('PRAGMA application_id').get() as { application_id: number }
  if (id !== APPLICATION_ID || format < OLDEST_FORMAT || format > FORMAT)
    throw new Error(
      `${path} is no journal of this version: expected format ${FORMAT}, found ${id === APPLICATION_ID ? format : 'another kind of file'}`,
    )
  database.exec(DURABLE)
  for (const migrate of MIGRATIONS.slice(format - OLDEST_FORMAT)) migrate(database)
}
