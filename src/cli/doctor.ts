import { runChain } from '../doctor/chain.ts'
import type { HopResult, HopState } from '../doctor/hop.ts'
import { sceneOf } from '../doctor/scene.ts'
import { escapeControl } from '../telemetry/say.ts'
import { number } from '../telemetry/words.ts'
import type { Context } from './app.ts'
import { EXIT } from './exit-codes.ts'

const MARKS: Readonly<Record<HopState, string>> = {
  ok: 'ok',
  warning: 'warning',
  broken: 'broken',
  'not set': '-',
  'not reached': '-',
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const

/** `doctor`: looks at every hop between this machine and a chart, and tells the first that is broken with its cure. */
export async function doctor({ flags, loaded, stateDir, stdout }: Context): Promise<number> {
  const stop = new AbortController()
  let stopped: number | null = null
  // What was made in MLflow is deleted before we go.
  for (const [signal, code] of Object.entries(SIGNALS))
    process.once(signal, () => {
      stopped = code
      stop.abort()
    })
  const scene = sceneOf(loaded, stateDir, stop.signal)
  const write = (text: string): void => stdout.write(Buffer.from(`${text}\n`))
  const hops = await runChain(scene, (hop) => {
    if (!flags.json) write(linesOf(hop))
  })
  await Promise.all([scene.server?.client.close(), scene.server?.dispatcher.destroy()])
  if (flags.json) write(JSON.stringify({ hops }, null, 2))
  if (stopped !== null) return stopped
  if (loaded.problems.length > 0) return EXIT.usage
  return hops.some(({ state }) => state === 'broken') ? EXIT.incomplete : EXIT.ok
}

/** One line of a hop; further ones for its cure, and for settings that are wrong. */
function linesOf({ name, state, ms, detail, cure }: HopResult): string {
  const time = ms === null ? '' : `${number(ms)} ms`
  const [first, ...more] = detail.split('\n').map(escapeControl)
  const words = state === 'not set' ? `not set: ${first}` : first!
  const indent = ' '.repeat(36)
  const lines = [`${MARKS[state].padEnd(8)} ${name.padEnd(16)} ${time.padStart(8)}  ${words}`]
  lines.push(...more.map((line) => indent + line))
  if (cure !== null) lines.push(`${indent}cure: ${escapeControl(cure)}`)
  return lines.join('\n')
}
