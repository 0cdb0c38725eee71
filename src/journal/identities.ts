import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { readJournal, type RunStatus } from './status.ts'

/** Finds the runs of a state directory by what their senders say of themselves. A journal is opened once for it. */
export class Identities {
  readonly #stateDir: string
  /** Null: of a run that nobody else can mean. */
  readonly #known = new Map<string, string | null>()

  constructor(stateDir: string) {
    this.#stateDir = stateDir
  }

  /** The newest run of an identity, or null when there is none. */
  newest(identity: string): RunStatus | null {
    for (const path of this.#journals()) {
      try {
        if (!this.#known.has(path)) this.#known.set(path, identityOf(path))
        if (this.#known.get(path) === identity) return readJournal(path)
      } catch {
        // A file that cannot be read is told of by whoever delivers what is left.
      }
    }
    return null
  }

  /** Newest first: names begin with the time. */
  #journals(): string[] {
    try {
      return readdirSync(this.#stateDir, { withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith('.sqlite'))
        .map(({ name }) => join(this.#stateDir, name))
        .sort()
        .toReversed()
    } catch {
      return []
    }
  }
}

function identityOf(path: string): string | null {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 2000 })
  try {
    const row = database.prepare("SELECT value FROM meta WHERE key = 'identity'").get()
    return row === undefined ? null : String(row['value'])
  } finally {
    database.close()
  }
}
