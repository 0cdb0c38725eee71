import { afterAll, describe, expect, it } from 'vitest'
import { closeHttp } from './http.ts'
import { runRound, type Tally } from './run.ts'
import type { Target } from './target.ts'
import { TARGETS } from './targets.ts'

/** Another one each time; a failure prints it. */
const seed = Date.now() % 2 ** 31

/** Inputs of each target; fewer where one takes milliseconds. */
const inputsOf = ({ share }: Target): number => (share < 50 ? 60 : 300)

afterAll(closeHttp)

describe('a changed input', () => {
  it.each(TARGETS)(`of $name is read or refused, in bounded time (seed ${seed})`, async (target) => {
    const tallies = new Map<string, Tally>()
    await runRound({ targets: [target], seed, round: 0, part: inputsOf(target) / target.share }, tallies)
    expect(tallies.get(target.name)!.inputs).toBeGreaterThanOrEqual(inputsOf(target))
  })
})
