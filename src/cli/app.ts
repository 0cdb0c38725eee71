import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Env } from '../config/load.ts'
import { loadSettings, stateDirOf, type LoadedSettings } from '../config/load.ts'
import { readFlags, type Flags } from '../config/flags.ts'
import { nearest } from '../config/nearest.ts'
import { PACKAGE } from '../config/place.ts'
import { Output } from '../telemetry/output.ts'
import { Voice } from '../telemetry/say.ts'
import { isThere } from '../journal/directory.ts'
import type { Tee } from '../receivers/tee.ts'
import { EXIT } from './exit-codes.ts'
import { VERBS } from './verbs.ts'

/** Standard input, being read already. */
export interface Input {
  kind: 'stream' | 'file'
  tee: Tee
}

/** What a verb is given: the world outside comes in here and nowhere else. */
export interface Context {
  flags: Flags
  loaded: LoadedSettings
  stateDir: string
  env: Env
  directory: string
  /** How users call us. */
  command: string
  /** Mask of the signals that were ignored when we began. */
  ignoredSignals: string
  /** Signals that have come since; the list grows. */
  earlySignals: readonly NodeJS.Signals[]
  stdout: Output
  stderr: Output
  voice: Voice
  input: Input | null
}

export type Verb = (context: Context) => Promise<number>

/** Verbs whose work it is to say what is wrong with the settings. */
const TELLS_PROBLEMS: ReadonlySet<string> = new Set(['check', 'doctor'])

const PASS_THROUGH: ReadonlySet<string> = new Set(['run', 'exec'])

/** Runs one command line. @returns the exit code */
export async function main(
  argv: readonly string[],
  input: Input | null,
  signals: Pick<Context, 'ignoredSignals' | 'earlySignals'>,
): Promise<number> {
  const stdout = new Output(1)
  const stderr = new Output(2)
  const voice = new Voice(stderr)
  const named = argv[0] !== undefined && !argv[0].startsWith('-')
  const name = named ? argv[0]! : 'run'
  const flags = readFlags(named ? argv.slice(1) : argv, name === 'exec', name)
  const loaded = loadSettings(flags, process.env)
  const context: Context = {
    flags,
    loaded,
    stateDir: stateDirOf(loaded.settings, process.env),
    env: process.env,
    directory: currentDirectory(process.env),
    command: commandName(process.env),
    ...signals,
    stdout,
    stderr,
    voice,
    input,
  }
  const code = await dispatch(name, context)
  const interrupted = nextSignal()
  await Promise.race([stdout.drained(), interrupted])
  if (stdout.failure !== null) voice.say(`standard output: ${stdout.failure}: what should stand there is not whole`)
  voice.flush()
  await Promise.race([stderr.drained(), interrupted])
  // What passes through is the trainer's; where it is the answer, half of it is none.
  return stdout.failure !== null && !PASS_THROUGH.has(name) && code === EXIT.ok ? EXIT.incomplete : code
}

/** Resolves with the next signal after which people want an end: what nobody reads must not keep us. */
const nextSignal = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })

/** The working directory, also when it has been deleted. */
function currentDirectory(env: Env): string {
  try {
    return process.cwd()
  } catch {
    return env['PWD'] ?? '/'
  }
}

/** `spanbridge` where the shell finds it, else the path of the launcher. */
function commandName(env: Env): string {
  const isFound = (env['PATH'] ?? '')
    .split(':')
    .some((directory) => directory !== '' && isThere(join(directory, 'spanbridge')))
  return isFound ? 'spanbridge' : fileURLToPath(new URL('bin/spanbridge', PACKAGE))
}

async function dispatch(name: string, context: Context): Promise<number> {
  const { flags, loaded, voice } = context
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name]! : null
  const problems = [...loaded.problems]
  if (verb === null)
    problems.unshift(
      `there is no verb '${name}'${nearest(name, Object.keys(VERBS))}; 'spanbridge --help' lists them, and a command is run by: spanbridge exec -- ${name} ...`,
    )
  if (flags.help || flags.version) {
    const { help, version } = await import('./help.ts')
    context.stdout.write(Buffer.from(flags.version ? `${version()}\n` : help(VERBS)))
    return EXIT.ok
  }
  if (verb !== null && !verb.takesWords && flags.rest.length > 0 && flags.problems.length === 0) {
    problems.push(`${name} takes no words, got '${flags.rest.join(' ')}'`)
  }
  if (flags.contract !== null && name !== 'check') problems.push(`--contract: only 'check' takes it, not '${name}'`)
  if (flags.rejected && name !== 'sync') problems.push(`--rejected: only 'sync' takes it, not '${name}'`)
  for (const notice of loaded.notices) voice.say(notice)
  if (verb === null || (problems.length > 0 && !TELLS_PROBLEMS.has(name))) {
    for (const problem of problems) voice.say(problem)
    await beCat(context)
    return EXIT.usage
  }
  return (await verb.load())({ ...context, loaded: { ...loaded, problems } })
}

/** With nothing that we can do for a trainer in the pipe, it must not notice. */
export async function beCat({ input, stdout, loaded }: Context): Promise<void> {
  if (input === null) return
  input.tee.passTo(loaded.settings.quiet ? null : stdout)
  input.tee.attach(null)
  await input.tee.ended
}
