import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isThere, makeDirectory } from '../journal/directory.ts'
import { version } from './help.ts'

/**
 * `<state dir>/daemons/<pid>.json`: written when a daemon is ready, removed at an orderly end, so that scripts find it.
 * That it cannot be written is no reason not to run; what a killed daemon left there is removed by the next one.
 */
export class DaemonFile {
  readonly #path: string
  readonly #directory: string
  readonly #startedAt: number
  #isRemoved = false

  constructor(stateDir: string, startedAt: number) {
    this.#directory = join(stateDir, 'daemons')
    this.#path = join(this.#directory, `${process.pid}.json`)
    this.#startedAt = startedAt
  }

  /** `listeners`: addresses as `host:port`, by receiver; `webUrl`: that of the page, with its token. */
  write(listeners: Readonly<Record<string, string>> = {}, webUrl: string | null = null): void {
    if (this.#isRemoved) return
    const content = { pid: process.pid, version: version(), startedAt: this.#startedAt, listeners, webUrl }
    try {
      makeDirectory(this.#directory)
      for (const name of readdirSync(this.#directory))
        if (isStale(name)) rmSync(join(this.#directory, name), { force: true })
      // Whoever waits for it never sees half of it.
      const draft = `${this.#path}.new`
      writeFileSync(draft, `${JSON.stringify(content)}\n`, { mode: 0o600 })
      renameSync(draft, this.#path)
    } catch {
      // No state directory to write to: that has been said.
    }
  }

  remove(): void {
    this.#isRemoved = true
    try {
      rmSync(this.#path, { force: true })
    } catch {
      // The directory is gone, and the file with it.
    }
  }
}

/** Whether a file is of a process that has ended. */
function isStale(name: string): boolean {
  const pid = /^(\d+)\.json(?:\.new)?$/.exec(name)?.[1]
  return pid !== undefined && !isAlive(Number(pid))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** Addresses of the pages that living processes serve of a state directory, with their tokens. */
export function pagesOf(stateDir: string): { pid: number; url: string }[] {
  const directory = join(stateDir, 'daemons')
  const names = isThere(directory) ? readdirSync(directory) : []
  return names
    .filter((name) => name.endsWith('.json') && !isStale(name))
    .flatMap((name) => {
      try {
        const { pid, webUrl } = JSON.parse(readFileSync(join(directory, name), 'utf8')) as Record<string, unknown>
        return typeof pid === 'number' && typeof webUrl === 'string' ? [{ pid, url: webUrl }] : []
      } catch {
        return [] // being written, or gone
      }
    })
}
