/**
 * npm run bench: every figure of docs/performance.md, each the median of paired rounds in fresh processes, beside a baseline
 * or a peer that ran in the same rounds. Prints a table, writes coverage/bench.json, and ends with 1 when a row failed or
 * is below its goal.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { globs } from '../src/layer/globs.ts'
import { writeDocs } from './harness/docs.ts'
import { usePackage } from './harness/package.ts'
import { endLeftovers } from './harness/processes.ts'
import { HELP, readOptions, type Options } from './harness/options.ts'
import { machine, readReport, resultOf, resultWithout, writeReport, type Result } from './harness/results.ts'
import type { Bench, Family } from './harness/row.ts'
import { tableOf } from './harness/table.ts'
import { MissingPeer, Peers } from './peers/peers.ts'
import { families } from './rows/index.ts'

const say = (text: string): void => void process.stderr.write(`${text}\n`)

const temporary = (): string => mkdtempSync(join(tmpdir(), 'spanbridge-bench-'))

/** Measures a family. A row that fails says why, and the others go on. */
async function measure(family: Family, wanted: ReadonlySet<string>, options: Options, peers: Peers): Promise<Result[]> {
  const work = temporary()
  const rows = family.rows.filter(({ id }) => wanted.has(id))
  const bench: Bench = { rounds: options.rounds, isQuick: options.isQuick, peers, work, say }
  const without = (row: Family['rows'][number], error: unknown): Result => {
    const why = error instanceof Error ? error.message : String(error)
    return resultWithout(
      row,
      error instanceof MissingPeer ? 'missing' : 'failed',
      why.replaceAll(/\s+/g, ' '),
      options.isQuick,
    )
  }
  try {
    const found = await family.run(bench, new Set(rows.map(({ id }) => id)))
    return rows.map((row) => {
      const measured = found[row.id]
      if (measured === undefined) return without(row, new Error('the family measured nothing of it'))
      return measured instanceof Error ? without(row, measured) : resultOf(row, measured, options.isQuick)
    })
  } catch (error) {
    return rows.map((row) => without(row, error))
  } finally {
    endLeftovers()
    rmSync(work, { recursive: true, force: true })
  }
}

async function main(options: Options): Promise<number> {
  const isWanted = globs(options.rows)
  const all = families.flatMap(({ rows }) => rows)
  const wanted = new Set(all.map(({ id }) => id).filter(isWanted))
  if (wanted.size === 0) throw new Error(`--rows: no row is called ${options.rows.join(', ')}; --list shows them`)
  if (options.list) {
    for (const { id, what } of all) console.log(`${id.padEnd(22)} ${what}`)
    return 0
  }
  const peers = new Peers(options.peers, say)
  const built = temporary()
  process.once('exit', () => rmSync(built, { recursive: true, force: true }))
  usePackage(built)
  const found: Result[] = []
  for (const family of families) {
    const names = family.rows.map(({ id }) => id).filter((id) => wanted.has(id))
    if (names.length === 0) continue
    const from = performance.now()
    say(`measuring ${names.join(', ')}`)
    const results = await measure(family, wanted, options, peers)
    found.push(...results)
    say(`${tableOf(results)}\n  (${((performance.now() - from) / 1000).toFixed(0)} s)`)
    // After each family: a run that is interrupted has lost only what it had not measured.
    const measuredNow = new Map(found.map((result) => [result.id, result]))
    const earlier = new Map(readReport().rows.map((result) => [result.id, result]))
    const rows = all.flatMap(({ id }) => measuredNow.get(id) ?? earlier.get(id) ?? [])
    writeReport({ machine: machine(), rows })
  }
  console.log(tableOf(found))
  if (options.writeDocs) writeDocs(readReport(), all)
  return found.some(({ verdict }) => verdict === 'failed' || verdict === 'below') ? 1 : 0
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === null) console.log(HELP)
  else process.exitCode = await main(options)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
