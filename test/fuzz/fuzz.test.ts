import { afterAll, describe, expect, it } from 'vitest'
import { closeHttp } from './http.ts'
import { runRound, type Tally } from './run.ts'
import { TARGETS } from './targets.ts'

/** Another one each time; a failure prints it. */
const seed = Date.now() % 2 ** 31

/** Of a round of `test/long/fuzz.ts`. */
const PART = 0.2

afterAll(closeHttp)

describe('a changed input', () => {
  it.each(TARGETS)(`of $name is read or refused, in bounded time (seed ${seed})`, async (target) => {
    const tallies = new Map<string, Tally>()
    await runRound({ targets: [target], seed, round: 0, part: PART }, tallies)
    expect(tallies.get(target.name)!.inputs).toBeGreaterThanOrEqual(target.share * PART)
  })
})
