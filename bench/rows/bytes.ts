import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { demand, inBench, piped, spanbridge } from '../harness/processes.ts'
import type { Bench, Family, Measured } from '../harness/row.ts'
import { NUMBERS, writeLines } from '../load/lines.ts'

function inMemory(): number {
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning']
  return Number(execFileSync(process.execPath, [...flags, inBench('load/waiting-points.ts')], { encoding: 'utf8' }))
}

/** All that a run's journal takes on disk once the run has ended. */
function onDisk(bench: Bench, file: string, lines: number): number {
  const stateDir = mkdtempSync(join(bench.work, 'state-'))
  piped(file, [spanbridge(), '--quiet', '--stdin', 'on', '--state-dir', stateDir])
  const points = lines * NUMBERS
  const [run] = demand(stateDir, { points, isDelivered: false })
  const bytes = readdirSync(stateDir)
    .filter((name) => name.includes(run!.run))
    .reduce((total, name) => total + statSync(join(stateDir, name)).size, 0)
  return bytes / points
}

/** What a point takes where it waits. */
export const family: Family = {
  rows: [
    {
      id: 'bytes-memory',
      what: 'bytes of a point that waits in memory',
      against: 'resident memory before and after a million of them',
      unit: 'B',
      goal: { atMost: 32 },
    },
    {
      id: 'bytes-journal',
      what: 'bytes of a point in the journal',
      against: 'the files of a run that has ended',
      unit: 'B',
      goal: { atMost: 36 },
    },
  ],
  async run(bench): Promise<Record<string, Measured>> {
    const lines = bench.isQuick ? 50_000 : 200_000
    const file = join(bench.work, 'lines.jsonl')
    await writeLines(file, lines)
    const rounds = Array.from({ length: bench.rounds })
    return {
      'bytes-memory': { values: rounds.map(inMemory) },
      'bytes-journal': { values: rounds.map(() => onDisk(bench, file, lines)) },
    }
  },
}
