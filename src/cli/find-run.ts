import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { RunStatus } from '../journal/status.ts'

/** The journal that a word means: a file, or a run of the state directory by its id or (the newest of that) name. */
export function findJournal(word: string, runs: readonly RunStatus[]): string | null {
  const isFile = word.endsWith('.sqlite') && statSync(word, { throwIfNoEntry: false })?.isFile() === true
  if (isFile) return resolve(word)
  return runs.findLast(({ run, name }) => run === word || name === word)?.journal ?? null
}
