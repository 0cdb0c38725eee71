import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { closeHttp } from '../fuzz/http.ts'
import { FuzzFailure, noTally, runInput, runRound, type Tally } from '../fuzz/run.ts'
import { TARGETS } from '../fuzz/targets.ts'
import { Watch } from '../fuzz/watch.ts'

/**
 * `node test/long/fuzz.ts --inputs 10000000 [--seed S] [--target NAME]`: every decoder reads changed inputs; ends with
 * an error at the first that is against a law. `--target NAME --replay FILE` reads one input again.
 */
const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string' },
    target: { type: 'string' },
    replay: { type: 'string' },
  },
})
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
const wanted = Number(values.inputs)
const targets = TARGETS.filter(({ name }) => values.target === undefined || values.target === name)
if (targets.length === 0 || !(wanted > 0) || !Number.isSafeInteger(seed)) {
  console.error(`expected --inputs N, --seed S, and for --target one of ${TARGETS.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

const SAY_MS = 30_000

async function fuzz(tallies: Map<string, Tally>): Promise<void> {
  using watch = new Watch()
  const round = targets.reduce((sum, { share }) => sum + share, 0)
  const from = performance.now()
  let said = from
  let done = 0
  for (let i = 0; done < wanted; i += 1) {
    await runRound({ targets, seed, round: i, part: Math.min(1, (wanted - done) / round), watch }, tallies)
    done = [...tallies.values()].reduce((sum, { inputs }) => sum + inputs, 0)
    if (performance.now() - said < SAY_MS) continue
    said = performance.now()
    const rss = (process.memoryUsage.rss() / 2 ** 20).toFixed(0)
    console.log(`seed ${seed}: ${done} inputs, ${((said - from) / 1000).toFixed(0)} s, ${rss} MiB`)
  }
}

const tallies = new Map<string, Tally>()
try {
  if (values.replay === undefined) await fuzz(tallies)
  else {
    const tally = noTally()
    tallies.set(targets[0]!.name, tally)
    await runInput(targets[0]!, readFileSync(values.replay), tally, `--replay ${values.replay}`)
  }
} catch (error) {
  if (!(error instanceof FuzzFailure)) throw error
  console.error(error.message)
  console.error(error.cause)
  process.exitCode = 1
} finally {
  await closeHttp()
}
console.table(
  Object.fromEntries(
    [...tallies].map(([name, { inputs, refused, slowestMs, ms }]) => [
      name,
      { inputs, refused, 'slowest ms': Number(slowestMs.toFixed(1)), 'ms each': Number((ms / inputs).toFixed(3)) },
    ]),
  ),
)
const inputs = [...tallies.values()].reduce((sum, tally) => sum + tally.inputs, 0)
console.log(
  process.exitCode === 1
    ? `seed ${seed}: against a law after ${inputs} inputs`
    : `seed ${seed}: ${inputs} inputs over ${tallies.size} decoders, none against a law`,
)
