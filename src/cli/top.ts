import { isatty } from 'node:tty'
import { safeJson } from '../telemetry/say.ts'
import { runTop } from '../top/app.ts'
import { withLast } from '../top/series.ts'
import { Session } from '../top/session.ts'
import { snapshotOf } from '../top/snapshot.ts'
import { Source } from '../top/source.ts'
import { Terminal } from '../top/terminal.ts'
import { depthOf } from '../top/theme.ts'
import type { Context } from './app.ts'
import { EXIT } from './exit-codes.ts'
import { Refusal } from './open-run.ts'

/** `top`: charts, last values and delivery of runs, live in a terminal; elsewhere what they are now, as lines or JSON. */
export async function top(context: Context): Promise<number> {
  const { flags, stateDir, loaded, env, stdout, voice } = context
  let source: Source | null = null
  try {
    source = Source.open(flags.rest, stateDir, loaded.settings.labels)
    const isTerminal = isatty(0) && isatty(1) && env['TERM'] !== 'dumb'
    if (flags.json || !isTerminal) return snapshot(source, context)
    const options = { input: process.stdin, screen: process.stdout, output: stdout, depth: depthOf(env) }
    return await runTop(new Session(source, stateDir, Date.now), new Terminal(options))
  } catch (error) {
    voice.say(`top: ${(error as Error).message}`)
    return error instanceof Refusal ? EXIT.usage : EXIT.incomplete
  } finally {
    source?.close()
  }
}

/** Those that are named, else the newest. */
function snapshot(source: Source, { flags, stateDir, stdout }: Context): number {
  const runs = flags.rest.length > 0 ? source.runs() : source.runs().slice(0, 1)
  const all = runs.map((run) => {
    const history = source.history(run.run)
    history.refresh()
    const series = history.series()
    return { run: withLast(run, series), series }
  })
  const text = flags.json
    ? `${safeJson({ runs: all.map(({ run, series }) => ({ ...run, metrics: series })) })}\n`
    : all.map(({ run, series }) => snapshotOf(run, series, Date.now())).join('\n')
  stdout.write(Buffer.from(text === '' ? `no runs in ${stateDir}\n` : text))
  return EXIT.ok
}
