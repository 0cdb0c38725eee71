import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../journal/directory.ts'
import { version } from './help.ts'

/**
 * `<state dir>/daemons/<pid>.json`: written when a daemon is ready, removed at an orderly end, so that scripts find it.
 * That it cannot be written is no reason not to run; what a killed daemon left there is removed by the next one.
 */
export class DaemonFile {
  readonly #path: string
  readonly #directory: string
  readonly #startedAt: number

  constructor(stateDir: string, startedAt: number) {
    this.#directory = join(stateDir, 'daemons')
    this.#path = join(this.#directory, `${process.pid}.json`)
    this.#startedAt = startedAt
  }

  /** `listeners`: addresses as `host:port`, by receiver. */
  write(listeners: Readonly<Record<string, string>> = {}): void {
    const content = { pid: process.pid, version: version(), startedAt: this.#startedAt, listeners, webUrl: null }
    try {
      makeDirectory(this.#directory)
      for (const name of readdirSync(this.#directory))
        if (isStale(name)) rmSync(join(this.#directory, name), { force: true })
      writeFileSync(this.#path, `${JSON.stringify(content)}\n`, { mode: 0o600 })
    } catch {
      // No state directory to write to: that has been said.
    }
  }

  remove(): void {
    try {
      rmSync(this.#path, { force: true })
    } catch {
      // The directory is gone, and the file with it.
    }
  }
}

/** Whether a file is of a process that has ended. */
function isStale(name: string): boolean {
  const pid = /^(\d+)\.json$/.exec(name)?.[1]
  if (pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
