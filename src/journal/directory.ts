import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a directory for our eyes only, and those above it. (Node's own `recursive` never returns for a path under /proc.)
 * @throws when it cannot be made, or a file stands in its way
 */
export function makeDirectory(path: string): void {
  if (isThere(path)) {
    if (!statSync(path).isDirectory()) throw new Error(`${path} is a file, not a directory`)
    return
  }
  if (dirname(path) !== path) makeDirectory(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

export function isThere(path: string): boolean {
  try {
    statSync(path)
    return true
  } catch {
    return false
  }
}

/** No thread starts in a working directory that has been deleted: another one is as good. */
export function leaveDeleted(): void {
  try {
    process.chdir('.') // what Node.js remembers may be gone
    process.cwd()
  } catch {
    process.chdir('/')
  }
}
