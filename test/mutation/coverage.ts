import { globSync } from 'node:fs'
import { ROOT } from './copy.ts'
import type { Coverage } from './lane.ts'
import { Worker } from './worker.ts'

/** Those that run the code in their own process, and need no server. */
const TESTS = 'test/{audit,channel,delivery,journal}/*.test.ts'
const FIRST_SEED = 1
const MAX_MS = 120_000

const add = <T>(map: Map<string, T[]>, key: string, value: T): void => {
  const values = map.get(key)
  if (values === undefined) map.set(key, [value])
  else values.push(value)
}

/** Plays all schedules and runs all tests with no mutant on. */
export async function cover(copy: string, schedules: number): Promise<Coverage> {
  const coverage: Coverage = { schedules: new Map(), tests: new Map(), loading: new Set(), ms: new Map() }
  const seeds = Array.from({ length: schedules }, (_, i) => FIRST_SEED + i)
  const ask = async (worker: Worker, what: number | string): Promise<string[]> => {
    const answer = await worker.ask({ what, mutant: null }, MAX_MS)
    if (answer.noticed !== null) throw new Error(`with no mutant: ${answer.noticed}`)
    coverage.ms.set(what, answer.ms)
    for (const id of answer.loading) coverage.loading.add(id)
    return answer.covered
  }
  const play = async (): Promise<void> => {
    const worker = new Worker(copy, 'simulation.ts')
    for (const seed of seeds) for (const id of await ask(worker, seed)) add(coverage.schedules, id, seed)
    worker.stop()
  }
  const test = async (): Promise<void> => {
    const worker = new Worker(copy, 'tests.ts')
    for (const file of globSync(TESTS, { cwd: ROOT }))
      for (const id of await ask(worker, file)) add(coverage.tests, id, file)
    worker.stop()
  }
  await Promise.all([play(), test()])
  // What runs while it is loaded may matter to any schedule.
  for (const id of coverage.loading) coverage.schedules.set(id, seeds)
  const byTime = (a: number | string, b: number | string): number => coverage.ms.get(a)! - coverage.ms.get(b)!
  for (const tasks of [...coverage.schedules.values(), ...coverage.tests.values()]) tasks.sort(byTime)
  return coverage
}
