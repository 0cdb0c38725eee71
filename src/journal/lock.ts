import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** How long a lock is waited for: somebody may look at it (`isLocked`) at this very moment. */
const PATIENCE_MS = 1000

/** SQLite's code for a file that somebody else holds. */
const SQLITE_BUSY = 5

export const isBusy = (error: unknown): boolean => (error as { errcode?: number } | undefined)?.errcode === SQLITE_BUSY

/** Makes `path` for nobody else's eyes, before SQLite would make it for everybody's. Keeps what is there. */
export function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/**
 * The right to write and deliver one journal: an exclusive SQLite transaction on an empty file beside it. The system
 * gives it back when the process dies, however it dies. No other code may open and close the file in this process: that
 * drops POSIX locks.
 */
export class JournalLock {
  readonly #database: DatabaseSync

  /** @throws when another process holds the lock for longer than `patienceMs` (`isBusy`), or the file cannot be written */
  constructor(path: string, patienceMs = PATIENCE_MS) {
    createPrivate(path)
    this.#database = new DatabaseSync(path, { timeout: patienceMs })
    try {
      this.#database.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  release(): void {
    this.#database.close()
  }
}

/** Whether a living process holds the lock. Looking takes a shared lock for an instant. */
export function isLocked(path: string): boolean {
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(path, { readOnly: true })
    database.prepare('SELECT count(*) FROM sqlite_master').get()
    return false
  } catch (error) {
    return isBusy(error)
  } finally {
    database?.close()
  }
}
