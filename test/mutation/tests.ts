/** Runs test files in a process that stays warm; each file has one of its own, with the mutant on from its start. */
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createVitest } from 'vitest/node'
import type { Answer, Task } from './messages.ts'

const vitest = await createVitest('test', { config: 'test/mutation/vitest.config.ts', watch: false, bail: 1 })
const file = join(tmpdir(), `covered-${process.pid}.json`)
process.once('disconnect', () => process.exit())

async function run({ what, mutant }: Task): Promise<Answer> {
  const from = performance.now()
  vitest.getRootProject().provide('mutant', mutant)
  vitest.getRootProject().provide('covered', file)
  const specifications = await vitest.globTestSpecifications([String(what)])
  const { unhandledErrors } = await vitest.runTestSpecifications(specifications)
  // Its result holds those of earlier runs, too.
  const modules = specifications.map(({ testModule }) => testModule)
  const failed = modules.flatMap((module) =>
    Array.from(module?.children.allTests('failed') ?? [], (one) => one.fullName),
  )
  const isFine = modules.length > 0 && modules.every((module) => module?.ok() === true) && unhandledErrors.length === 0
  const noticed = isFine ? null : `${what}: ${failed[0] ?? 'an error'}`
  const covered = mutant === null ? (JSON.parse(readFileSync(file, 'utf8')) as string[]) : []
  return { noticed, covered, loading: [], ms: performance.now() - from }
}

process.on('message', (task: Task) => void run(task).then((answer) => process.send!(answer)))
