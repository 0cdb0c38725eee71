import { readSettingsOf } from '../config/load.ts'
import { readJournal, readStateDir, type RunStatus } from '../journal/status.ts'
import { RunHistory } from '../store/history.ts'
import type { Context } from './app.ts'
import { findJournal, noSuchRun } from './find-run.ts'

/** What a user asked for is not there or cannot be; exit code 2. */
export class Refusal extends Error {}

/** A run that is read to its last commit. */
export interface OpenRun {
  status: RunStatus
  history: RunHistory
}

/** Opens the runs that words mean. @throws Refusal, and what keeps a journal from being read */
export function openRuns(words: readonly string[], { stateDir, loaded }: Context): OpenRun[] {
  const { runs } = readStateDir(stateDir)
  const journals = words.map((word) => {
    const journal = findJournal(word, runs)
    if (journal === null) throw new Refusal(noSuchRun(word, runs, stateDir))
    return journal
  })
  return journals.map((path) => {
    const status = readJournal(path)
    return { status, history: new RunHistory(status.run, path, readSettingsOf(loaded.settings)) }
  })
}
