import { isThere } from '../journal/directory.ts'
import type { RunJournal } from '../journal/journal.ts'
import { readJournal } from '../journal/status.ts'
import type { DeliveredRun } from './run.ts'
import { accountLines, type AccountOptions } from './summary.ts'
import type { JournalWriter } from './writer.ts'

export interface EndingOptions extends Omit<AccountOptions, 'isLost'> {
  say: (text: string) => void
}

/** Everything of a run is delivered, and nothing of it is in memory only. */
export const isComplete = (run: DeliveredRun, { journal }: JournalWriter): boolean =>
  isDelivered(run) && !journal.isOverflowing

export function isDelivered(run: DeliveredRun): boolean {
  try {
    return run.isComplete
  } catch {
    return false // the journal cannot be read: its delivery says so
  }
}

/** Says the account of a run. @returns whether what is not delivered of it is in no file that outlives us */
export function sayAccount({ journal, isDurable }: JournalWriter, { say, ...options }: EndingOptions): boolean {
  const isLost = !isDurable || !isThere(journal.path)
  try {
    for (const line of accountLines(journal, { ...options, isLost })) say(line)
  } catch (error) {
    say(`the account of the run in ${journal.path} cannot be read (${(error as Error).message})`)
  }
  return isLost
}

/** Whether the file that we leave can be opened by others: somebody may have written into it. */
export function isReadable(path: string, say: (text: string) => void): boolean {
  try {
    readJournal(path)
    return true
  } catch (error) {
    say(`the journal ${path} is damaged (${(error as Error).message}): what is not delivered of the run is lost`)
    return false
  }
}

/** The disk is still full: the end of the run is told, lest the next start takes it for a run that was killed. */
export function saveAccount(journal: RunJournal): void {
  try {
    journal.saveAccount()
  } catch {
    // Nothing fits; that the points are not kept has been said.
  }
}
