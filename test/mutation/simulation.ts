/** Plays schedules of the simulation in a process that stays warm; a mutant is switched on and off between them. */
import { play } from '../simulation/schedule.ts'
import { ACTIVE, stryker, type Answer, type Task } from './messages.ts'

/** The mutant that is on since the start, if one is. */
const first = process.env[ACTIVE]
const loading = Object.keys(stryker.mutantCoverage?.static ?? {})

async function run({ what, mutant }: Task): Promise<Answer> {
  const from = performance.now()
  stryker.activeMutant = mutant ?? first
  stryker.currentTestId = 'now'
  const { seed, violations } = await play(Number(what))
  stryker.activeMutant = first
  const covered = Object.keys(stryker.mutantCoverage?.perTest['now'] ?? {})
  if (stryker.mutantCoverage !== undefined) stryker.mutantCoverage.perTest = {}
  const noticed = violations.length > 0 ? `seed ${seed}: ${violations[0]!.split('\n')[0]}` : null
  return { noticed, covered, loading, ms: performance.now() - from }
}

process.on('message', (task: Task) => void run(task).then((answer) => process.send!(answer)))
