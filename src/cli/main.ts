import { fstatSync } from 'node:fs'
import { Tee } from '../receivers/tee.ts'

/*
 * The entry. A pipe holds 64 KiB and then the trainer waits, so reading begins here, before anything else is loaded;
 * `app.ts` says later where the bytes go.
 */

const argv = process.argv.slice(2)
const first = argv.find((word) => !word.startsWith('-'))
const OTHER_VERBS = ['exec', 'check', 'status', 'sync']
const isRun = first === undefined || argv[0] !== first || !OTHER_VERBS.includes(first)

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

const asksOnly = argv.some((word) => ['--help', '-h', '--version', '-V'].includes(word))
const kind = isRun && !asksOnly ? inputKind() : null
const tee = kind === null ? null : new Tee(process.stdin)

try {
  const { main } = await import('./app.ts')
  process.exitCode = await main(argv, kind !== null && tee !== null ? { kind, tee } : null)
} catch (error) {
  // A fault that stops the bridge leaves `cat` behind.
  process.stderr.write(
    `spanbridge: a fault of ours, the input is only passed on from here: ${(error as Error).stack}\n`,
  )
  if (tee !== null) {
    const { Output } = await import('../telemetry/output.ts')
    const output = new Output(1)
    tee.passTo(output)
    tee.attach(null)
    await tee.ended
    await output.drained()
  }
  process.exitCode = 1
}
process.exit()
