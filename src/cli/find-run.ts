import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { nearest } from '../config/nearest.ts'
import type { RunStatus } from '../journal/status.ts'

/** What `latest` means where no run has that name. */
const LATEST = 'latest'

type Named = Pick<RunStatus, 'run' | 'name' | 'journal' | 'startedAt'>

/**
 * The journal that a word means: a file, else a run of the state directory (`runs`) by its id, by the newest
 * of that name, by a beginning that only one id has, or `latest`.
 */
export function findJournal(word: string, runs: readonly Named[]): string | null {
  const isFile = word.endsWith('.sqlite') && statSync(word, { throwIfNoEntry: false })?.isFile() === true
  if (isFile) return resolve(word)
  const named = runs.findLast(({ run, name }) => run === word || name === word)
  if (named !== undefined) return named.journal
  if (word === LATEST) return runs.toSorted((a, b) => a.startedAt - b.startedAt).at(-1)?.journal ?? null
  const begun = begunBy(word, runs)
  return begun.length === 1 ? begun[0]!.journal : null
}

/** Why `findJournal` found none, and what would be found. */
export function noSuchRun(word: string, runs: readonly Named[], stateDir: string): string {
  const begun = begunBy(word, runs)
  if (begun.length > 1)
    return `'${word}' begins the ids of ${begun.length} runs: ${begun.map(({ run, name }) => `${run} (${name})`).join(', ')}`
  const near = runs.length === 0 ? '' : nearest(word, [...runs.map(({ name }) => name), LATEST])
  return `there is no journal '${word}': expected a file, or a run in ${stateDir} by its id, the beginning of it, its name, or latest${near}`
}

const begunBy = (word: string, runs: readonly Named[]): readonly Named[] =>
  word === '' ? [] : runs.filter(({ run }) => run.startsWith(word.toUpperCase()))
