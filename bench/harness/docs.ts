import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inBench, repository } from './processes.ts'
import { resultWithout, type Report, type Result } from './results.ts'
import type { Row } from './row.ts'
import { figureText, goalText, sidesText, VERDICTS } from './table.ts'

const INTRODUCTION = `# Performance

This page is made by \`npm run bench -- --write-docs\`; its sections by hand are kept in \`bench/limits.md\`, \`bench/outages.md\` and \`bench/tried.md\`. Each figure is the median of rounds, with the lowest and the highest of them. Whatever a row is compared
with ran in the same rounds, in turns, in processes of its own: absolute rates move with the machine, ratios do not. Every row asserts that nothing was dropped, that the journal's account is right to the point, and that the sink holds what was expected. Lines and
spans are recorded ones (\`test/fixtures\`), multiplied with new numbers in each.

<!-- not run by the tests: with all peers it takes most of an hour -->
\`\`\`sh
npm run bench                                       # all rows, peers installed into ~/.cache/spanbridge-bench
npm run bench -- --quick                            # smaller loads, peers that are there already
npm run bench -- --rows 'cpu-*,age-*' --rounds 9    # some rows
\`\`\`

The table is printed, \`coverage/bench.json\` has it as JSON, and the exit code is 1 when a row failed or is below its goal. "Collector" is an OpenTelemetry Collector 0.160 of the parts that it needs, built from its modules, without batch processor, compression or
telemetry of its own, with a queue that waits when it is full.
`

const cell = (text: string): string => text.replaceAll('|', '\\|')

const mark = ({ verdict }: Result): string =>
  verdict === 'met' || verdict === 'figure' ? '' : ` **${VERDICTS[verdict].toLowerCase()}**`

function row(result: Result): string {
  const { id, what, unit, goal, against, note } = result
  const more = [sidesText(result), note ?? ''].filter((text) => text !== '').join('; ')
  return `| \`${id}\` | ${cell(what)} | ${cell(against)} | ${goalText(goal, unit)} | ${figureText(result)}${mark(result)} | ${cell(more)} |`
}

/** The page of a report. */
export function pageOf({ machine, rows }: Report, byHand: readonly string[]): string {
  const { cpu, cores, memoryGb, system, node } = machine
  const days = [...new Set(rows.filter(({ verdict }) => verdict !== 'open').map(({ at }) => at.slice(0, 10)))].sort()
  const when = days.length > 1 ? `${days[0]} to ${days.at(-1)}` : (days[0] ?? 'never')
  const quick = rows.some(({ quick }) => quick) ? ' Some rows were measured with `--quick`.' : ''
  const table = [
    `${cores} x ${cpu}, ${memoryGb} GB, ${system}, Node.js ${node}; measured ${when}.${quick} Sides are those of the bridge and of what it is compared with.`,
    '',
    '| row | what | against | goal | median (lowest-highest) | sides |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.map(row),
  ].join('\n')
  return [INTRODUCTION, `${table}\n`, ...byHand].join('\n')
}

/** Makes the page anew; rows of `all` that were never measured stand there as such. */
export function writeDocs({ machine, rows }: Report, all: readonly Row[]): void {
  const known = new Map(rows.map((result) => [result.id, result]))
  const whole = all.map((row) => known.get(row.id) ?? resultWithout(row, 'open', '', false))
  const byHand = ['limits.md', 'outages.md', 'tried.md'].map((name) => readFileSync(inBench(name), 'utf8'))
  writeFileSync(join(repository, 'docs/performance.md'), pageOf({ machine, rows: whole }, byHand))
}
