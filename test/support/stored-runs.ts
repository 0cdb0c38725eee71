import { join } from 'node:path'
import { FilledJournal, type Point } from './filled-journal.ts'
import { temporaryDirectory } from './spanbridge.ts'

/** A ULID that tests can tell apart. */
export const idOf = (n: number): string => `01K${String(n).padStart(23, '0')}`

/** A state directory with a finished run of each name, in this order. */
export function stateDirWith(runs: Readonly<Record<string, readonly Point[]>>): string {
  const stateDir = temporaryDirectory()
  for (const [i, [name, points]] of Object.entries(runs).entries()) {
    const run = idOf(i + 1)
    const filled = new FilledJournal({ run, name, startedAt: 1000 + i }, join(stateDir, `${run}.sqlite`))
    for (let at = 0; at < points.length; at += 1000) filled.points(points.slice(at, at + 1000))
    filled.end()
  }
  return stateDir
}
