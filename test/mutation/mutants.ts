/**
 * Changes the code of delivery and journal in every way that StrykerJS knows, one at a time, and looks whether simulation
 * or tests notice:
 *
 *     npm run mutants -- [--files GLOB] [--sample N --seed S] [--schedules 150] [--workers 2] [--list]
 *
 * All mutants are in one copy of the code and are switched on there. Verdicts are kept in `coverage/mutants`, so that a run that
 * was interrupted goes on. Exit code 1 when less than 90 % are noticed.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Random } from '../simulation/random.ts'
import { copyWith, instrument, ROOT, stateOf, type Mutant } from './copy.ts'
import { cover } from './coverage.ts'
import { Lane } from './lane.ts'
import { reasonOf, report, shareOf, told, type Judged } from './report.ts'
import { Results } from './results.ts'

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: 'src/{delivery,journal}/**/*.ts' },
    /** Only so many, which the seed decides. */
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    schedules: { type: 'string', default: '150' },
    workers: { type: 'string', default: '2' },
    /** Only says which ones there are. */
    list: { type: 'boolean', default: false },
  },
})
const LEAST_SHARE = 0.9
const OUTPUT = join(ROOT, 'coverage/mutants')
const TOLD_EACH_MS = 60_000

function choose(mutants: readonly Mutant[]): Mutant[] {
  const random = new Random(Number(values.seed))
  const shuffled = mutants.map((mutant) => ({ mutant, at: random.next() })).sort((a, b) => a.at - b.at)
  return shuffled.slice(0, Number(values.sample ?? mutants.length)).map(({ mutant }) => mutant)
}

const byPlace = (mutants: readonly Mutant[]): Mutant[] =>
  mutants.toSorted((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1))

/** Judges those that have no verdict, some at the same time. */
async function judgeAll(copy: string, mutants: readonly Mutant[], results: Results): Promise<void> {
  const unknown = mutants.filter((mutant) => results.of(mutant) === undefined)
  // Taken from the end: those that are thought to survive come last, since they take a hundred times as long.
  const left = unknown.toSorted((a, b) => Number(reasonOf(a) === undefined) - Number(reasonOf(b) === undefined))
  console.log(`${mutants.length - left.length} of ${mutants.length} are known from earlier`)
  if (left.length === 0) return
  const coverage = await cover(copy, Number(values.schedules))
  const from = performance.now()
  let done = 0
  let toldAt = from
  await Promise.all(
    Array.from({ length: Number(values.workers) }, async () => {
      const lane = new Lane(copy, coverage)
      for (let mutant = left.pop(); mutant !== undefined; mutant = left.pop()) {
        results.add(mutant, await lane.judge(mutant))
        done += 1
        if (performance.now() - toldAt < TOLD_EACH_MS) continue
        toldAt = performance.now()
        console.log(`${done} judged, ${left.length} left, ${((toldAt - from) / 1000 / done).toFixed(2)} s each`)
      }
      lane.stop()
    }),
  )
  console.log(`${done} judged in ${((performance.now() - from) / 1000).toFixed(0)} s`)
}

const { mutants, files } = await instrument(values.files)
const chosen = choose(mutants)
console.log(`${mutants.length} mutants in ${files.size} files`)
if (values.list) console.log(byPlace(chosen).map(told).join('\n'))
else {
  const results = new Results(join(OUTPUT, 'verdicts.jsonl'), `${stateOf()} ${values.schedules}`)
  await judgeAll(copyWith(files), chosen, results)
  const judged = byPlace(chosen).map((mutant): Judged => ({ ...mutant, ...results.of(mutant)! }))
  writeFileSync(join(OUTPUT, 'mutants.json'), JSON.stringify(judged, null, 2))
  console.log(`\n${report(judged)}\n\nas JSON: ${join(OUTPUT, 'mutants.json')}`)
  process.exitCode = shareOf(judged) < LEAST_SHARE ? 1 : 0
}
