import { existsSync, fstatSync } from 'node:fs'
import { PipeInput } from '../receivers/pipe-input.ts'
import { Tee } from '../receivers/tee.ts'
import { Output } from '../telemetry/output.ts'
import { escapeControl } from '../telemetry/say.ts'
import { emergency } from './emergency.ts'
import { hideOutputs } from './hidden-outputs.ts'
import { READS_TRAINER, VERBS } from './verbs.ts'

/*
 * The entry. A pipe holds 64 KiB and then the trainer waits, so reading begins here, before anything else is loaded;
 * `app.ts` says later where the bytes go.
 */

/** Set by the launcher: which signals were ignored when it began (Node.js resets them). Nobody else's business. */
const IGNORED = 'SPANBRIDGE_SIGNALS_IGNORED'

/** Whether standard input is something a trainer may write to: a pipe, a socket or a file, never a terminal. */
function inputKind(): 'stream' | 'file' | null {
  try {
    const stat = fstatSync(0)
    if (stat.isFIFO() || stat.isSocket()) return 'stream'
    return stat.isFile() ? 'file' : null
  } catch {
    return null // closed
  }
}

/** What is run to end with an exit code. */
const SHELL = '/bin/sh'

const argv = process.argv.slice(2)
const ignoredSignals = process.env[IGNORED] ?? '0'
delete process.env[IGNORED]
const asksOnly = argv.some((word) => ['--help', '-h', '--version', '-V'].includes(word)) && argv[0] !== 'exec'
// A word that is no verb may be a mistake in one: what is piped in passes through all the same.
const isOther = argv[0] !== READS_TRAINER && Object.hasOwn(VERBS, argv[0] ?? '')
const kind = isOther || asksOnly ? null : inputKind()
/** Whether outputs are the trainer's as well. */
const passesThrough = argv[0] === 'exec' || !isOther
if (passesThrough) hideOutputs()
const tee = kind === null ? null : new Tee(kind === 'stream' ? new PipeInput(0) : process.stdin)

/** Those that came before a verb takes them: they are its command's, or of no account. */
const earlySignals: NodeJS.Signals[] = []
if (tee !== null || argv[0] === 'exec') {
  // Nothing that can be caught ends the reading; what a signal means is decided later.
  for (const signal of [
    'SIGINT',
    'SIGTERM',
    'SIGHUP',
    'SIGQUIT',
    'SIGUSR1',
    'SIGUSR2',
    'SIGALRM',
    'SIGXCPU',
  ] as const) {
    process.on(signal, () => earlySignals.push(signal))
  }
}
if (tee !== null) {
  emergency.beCat = async () => {
    const output = new Output(1)
    tee.passTo(output)
    tee.attach(null)
    await tee.ended
    await output.drained()
    return 1
  }
}

/**
 * Ends with an exit code. Where a trainer's outputs pass through, not by `process.exit`, which waits for all threads: for
 * one that writes to a terminal that nobody reads, and now and then for ever (github.com/nodejs/node/issues/54918).
 */
function end(code: number): void {
  if (passesThrough && existsSync(SHELL)) process.execve?.(SHELL, ['sh', '-c', `exit ${code}`], {})
  process.exit(code)
}

let faulty = false

/** A fault that stops the bridge leaves `cat` behind, once, and a non-zero exit code at the end (under exec the command's). */
async function fault(error: unknown): Promise<void> {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const line = escapeControl(text.replaceAll('\n', '\\n'))
  const stderr = new Output(2)
  stderr.write(Buffer.from(`spanbridge: a fault of ours, output is only passed on from here: ${line}\n`))
  if (faulty) return
  faulty = true
  const code = emergency.beCat === null ? 1 : await emergency.beCat()
  await stderr.drained()
  end(code)
}

process.on('uncaughtException', (error) => void fault(error))

try {
  const { main } = await import('./app.ts')
  const code = await main(argv, kind !== null && tee !== null ? { kind, tee } : null, { ignoredSignals, earlySignals })
  // While `cat` is left behind, the end of what it replaced ends nothing.
  if (!faulty) end(code)
} catch (error) {
  await fault(error)
}
