import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startMlflow } from '../../test/support/mlflow.ts'
import { cleanEnv, demand, inBench, spanbridge } from '../harness/processes.ts'
import type { Family, Measured } from '../harness/row.ts'
import { alternate, compared } from '../harness/statistics.ts'
import { NUMBERS, writeLines } from '../load/lines.ts'
import { TimingProxy } from '../load/timing-proxy.ts'

const execute = promisify(execFile)

/** A real MLflow, fed by a client that does nothing else, and by the bridge. */
export const family: Family = {
  rows: [
    {
      id: 'mlflow-ceiling',
      what: 'points per second that a real MLflow (SQLite) takes from the bridge',
      against: 'a bare load generator with the same batches',
      unit: '%',
      goal: { atLeast: 95 },
      peer: 'mlflow',
    },
  ],
  async run(bench): Promise<Record<string, Measured>> {
    bench.peers.path('mlflow')
    const lines = bench.isQuick ? 2000 : 6000
    const points = lines * NUMBERS
    const file = join(bench.work, 'lines.jsonl')
    await writeLines(file, lines)
    const server = await startMlflow()
    const proxy = await TimingProxy.start(server.url)
    const rateOf = async (work: () => Promise<unknown>): Promise<number> => {
      proxy.clear()
      await work()
      const { points: taken, firstAt, lastAt, refused } = proxy.passed
      if (taken !== points || refused > 0)
        throw new Error(
          `expected ${points} points at MLflow and none refused, got ${taken} and ${refused} requests refused`,
        )
      return (points * 1000) / (lastAt! - firstAt!)
    }
    const bare = (): Promise<number> =>
      rateOf(() => execute(process.execPath, [inBench('load/post-batches.ts'), proxy.url, file]))
    const ours = (name: string): Promise<number> =>
      rateOf(async () => {
        const stateDir = join(bench.work, name)
        const command = `cat '${file}' | '${spanbridge()}' --quiet --wait --stdin on --state-dir '${stateDir}' --mlflow-tracking-uri ${proxy.url}`
        await execute('bash', ['-o', 'pipefail', '-c', command], { env: cleanEnv() })
        demand(stateDir, { points, isDelivered: true })
      })
    try {
      await bare() // a server that has just started is slow
      const found = await alternate(bench.rounds, { ours: (round) => ours(`state-${round}`), bare })
      const rates = compared(found.ours, found.bare, 'points/s')
      return { 'mlflow-ceiling': { ...rates, values: rates.values.map((ratio) => ratio * 100) } }
    } finally {
      proxy.close()
      await server.stop()
    }
  },
}
