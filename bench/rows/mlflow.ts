import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startMlflow } from '../../test/support/mlflow.ts'
import { cleanEnv, demand, inBench, spanbridge } from '../harness/processes.ts'
import type { Family, Measured } from '../harness/row.ts'
import { alternate, compared, median } from '../harness/statistics.ts'
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
    const rateOf = async (work: () => Promise<unknown>): Promise<{ rate: number; requests: number }> => {
      proxy.clear()
      await work()
      const { points: taken, requests, firstAt, lastAt, refused } = proxy.passed
      if (taken !== points || refused > 0)
        throw new Error(
          `expected ${points} points at MLflow and none refused, got ${taken} and ${refused} requests refused`,
        )
      return { rate: (points * 1000) / (lastAt! - firstAt!), requests }
    }
    const bare = () => rateOf(() => execute(process.execPath, [inBench('load/post-batches.ts'), proxy.url, file]))
    const ours = (name: string) =>
      rateOf(async () => {
        const stateDir = join(bench.work, name)
        const command = `cat '${file}' | '${spanbridge()}' --quiet --wait --stdin on --state-dir '${stateDir}' --mlflow-tracking-uri ${proxy.url}`
        await execute('bash', ['-o', 'pipefail', '-c', command], { env: cleanEnv() })
        demand(stateDir, { points, isDelivered: true })
      })
    try {
      await bare() // a server that has just started is slow
      const found = await alternate(bench.rounds, { ours: (round) => ours(`state-${round}`), bare })
      const rates = (side: readonly { rate: number }[]): number[] => side.map(({ rate }) => rate)
      const requests = (side: readonly { requests: number }[]): number => median(side.map(({ requests }) => requests))
      const note = `${requests(found.ours)} / ${requests(found.bare)} requests`
      const ratio = compared(rates(found.ours), rates(found.bare), 'points/s', note)
      return { 'mlflow-ceiling': { ...ratio, values: ratio.values.map((value) => value * 100) } }
    } finally {
      proxy.close()
      await server.stop()
    }
  },
}
