/**
 * Plays schedules of faults, each decided by its seed, and checks the laws after each. On all cores:
 *
 *     npm run simulate -- --schedules 100000 [--seed 1] [--trace]
 *
 * Prints the first seed, and for each violation the seed that replays it: `--seed N --schedules 1 --trace` shows what
 * happened. Exit code 1 when there was one.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { play, type Result } from './schedule.ts'

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '1000' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    /** Ends with the first violation. */
    bail: { type: 'boolean', default: false },
  },
})
const SCHEDULES = Number(values.schedules)
const FIRST = values.seed === undefined ? Math.floor(Math.random() * 2 ** 40) : Number(values.seed)
/** Violations of one seed that are printed. */
const SHOWN = 10
/** How far it is, is told after so many. */
const TOLD_EACH = 5000

interface Sum {
  schedules: number
  failed: number
  kills: number
  points: number
}

const told = ({ seed, violations }: Result): string =>
  [`seed ${seed}`, ...violations.slice(0, SHOWN).map((text) => `  ${text}`)].join('\n')

/** Another process has found a violation, which is enough. */
const over = new AbortController()

/** Plays every `of`-th schedule. */
async function playShare(from: number, of: number, tell: (result: Result) => void): Promise<Sum> {
  const sum: Sum = { schedules: 0, failed: 0, kills: 0, points: 0 }
  for (let i = from; i < SCHEDULES && !over.signal.aborted && !(values.bail && sum.failed > 0); i += of) {
    const result = await play(FIRST + i)
    sum.schedules += 1
    sum.kills += result.kills
    sum.points += result.points
    if (values.trace) console.log(result.trace.join('\n'))
    if (result.violations.length > 0) {
      sum.failed += 1
      tell(result)
    }
    if (sum.schedules % TOLD_EACH === 0)
      console.log(`${sum.schedules} of share ${from + 1} of ${of}: ${sum.failed} with violations`)
    await turn() // for what the others say
  }
  return sum
}

async function playAll(): Promise<Sum> {
  const cores = Math.min(availableParallelism(), SCHEDULES)
  if (cores < 2 || values.trace) return playShare(0, 1, (result) => console.log(told(result)))
  const shares = Array.from({ length: cores }, (_, i) => playApart(i, cores))
  const sum: Sum = { schedules: 0, failed: 0, kills: 0, points: 0 }
  for (const share of await Promise.all(shares))
    for (const name of ['schedules', 'failed', 'kills', 'points'] as const) sum[name] += share[name]
  return sum
}

const children: ChildProcess[] = []

/** The same in a process of its own. */
function playApart(share: number, of: number): Promise<Sum> {
  const args = [...process.argv.slice(2), '--seed', String(FIRST)]
  const env = { ...process.env, SIMULATION_SHARE: `${share}/${of}` }
  const child = fork(fileURLToPath(import.meta.url), args, { env })
  children.push(child)
  return new Promise((resolve, reject) => {
    child.on('message', (message: Sum | string) => {
      if (typeof message !== 'string') return resolve(message)
      console.log(message)
      if (values.bail) for (const other of children) if (other.connected) other.send('over')
    })
    child.on('exit', (code) => {
      if (code !== 0) reject(new Error(`a process that simulates has ended with ${code}`))
    })
  })
}

const share = process.env['SIMULATION_SHARE']
if (share === undefined) {
  const from = performance.now()
  console.log(`first seed ${FIRST}`)
  const { schedules, failed, kills, points } = await playAll()
  const seconds = ((performance.now() - from) / 1000).toFixed(0)
  console.log(`${schedules} schedules, ${kills} kills, ${points} points, ${seconds} s: ${failed} with violations`)
  process.exitCode = failed > 0 ? 1 : 0
} else {
  const [from, of] = share.split('/').map(Number) as [number, number]
  process.on('message', () => over.abort())
  process.send!(await playShare(from, of, (result) => process.send!(told(result))))
  process.disconnect()
}
