import type { RunStart } from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import { readStateDir, type RunStatus } from '../journal/status.ts'

/** The journal that `--resume` goes on with: null when a new run begins, an error when the one that is named is not there. */
export function findResumable(
  settings: Settings,
  stateDir: string,
  start: RunStart,
  say: (text: string) => void,
): string | null | Error {
  const wanted = settings.resume
  if (wanted === null) return null
  let runs: RunStatus[]
  try {
    ;({ runs } = readStateDir(stateDir))
  } catch (error) {
    say(`resume: ${stateDir} cannot be read (${(error as Error).message}); a new run begins`)
    return null
  }
  if (wanted !== '') {
    const named = runs.findLast(({ run, name }) => run === wanted || name === wanted)
    if (named !== undefined) return named.journal
    const known = runs.slice(-5).map(({ run, name }) => `${name} (${run})`)
    return new Error(
      `resume: there is no run '${wanted}' in ${stateDir}; the newest are: ${known.join(', ') || 'none'}`,
    )
  }
  const found = runs.findLast((run) => isOpen(run) && isSame(run, settings, start))
  if (found === undefined)
    say(
      `resume: no run of the same ${settings.runName === null ? 'command and directory' : 'name'} is unfinished in ${stateDir}; a new one begins`,
    )
  return found?.journal ?? null
}

/** A run that nobody has ended: its process died, or is about to. */
const isOpen = ({ status, closedBy }: RunStatus): boolean => status === 'interrupted' || closedBy === 'take-over'

const isSame = (run: RunStatus, settings: Settings, start: RunStart): boolean =>
  settings.runName !== null
    ? run.name === settings.runName
    : run.source === start.source &&
      run.directory === start.directory &&
      JSON.stringify(run.command) === JSON.stringify(start.command)
