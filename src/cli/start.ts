import { randomFillSync } from 'node:crypto'
import { basename } from 'node:path'
import type { RunStart } from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import { withoutSecretWords } from '../layer/command.ts'
import { withoutSecrets } from '../layer/params.ts'

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** A ULID (github.com/ulid/spec): 10 characters of time in milliseconds, 16 of chance; sorts by time. */
export function ulid(now: number): string {
  let time = ''
  for (let rest = now, i = 0; i < 10; i += 1) {
    time = CROCKFORD[rest % 32]! + time
    rest = Math.floor(rest / 32)
  }
  const chance = [...randomFillSync(new Uint8Array(16))].map((byte) => CROCKFORD[byte % 32]!).join('')
  return time + chance
}

const two = (n: number): string => String(n).padStart(2, '0')

const nameOf = (path: string): string => basename(path).replace(/\.\w+$/, '')

/** The word behind the first of these flags. */
function behind(command: readonly string[], flags: readonly string[]): string | undefined {
  const at = command.findIndex((word) => flags.includes(word))
  return at < 0 ? undefined : command[at + 1]
}

/** Programs whose `-m` names what they run. */
const RUNNERS = /^(?:python[\d.]*|torchrun|accelerate|deepspeed|uv|poetry)$/

/** What a run is called when nobody has said: the script, module or program, else where and when. */
export function defaultName(command: readonly string[], directory: string, now: Date): string {
  const script = command.find((word, i) => i > 0 && /\.(?:py|js|mjs|ts|sh)$/.test(word))
  const program = command[0] === undefined ? undefined : basename(command[0])
  const module = program !== undefined && RUNNERS.test(program) ? behind(command, ['-m']) : undefined
  if (script !== undefined) return nameOf(script)
  if (module !== undefined) return module
  if (program === 'cargo')
    return behind(command, ['--bin', '--example', '-p', '--package']) ?? (basename(directory) || program)
  if (program !== undefined) return nameOf(program)
  const stamp = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())} ${two(now.getHours())}.${two(now.getMinutes())}.${two(now.getSeconds())}`
  return `${basename(directory) || 'run'} ${stamp}`
}

/** What the run of one file is called; null: there are several. */
export const nameOfFiles = (paths: readonly string[]): string | null => (paths.length === 1 ? nameOf(paths[0]!) : null)

/** Pairs of a user's as the journal may hold them. */
const kept = (pairs: Readonly<Record<string, string>>): [name: string, value: string][] =>
  Object.entries(pairs).map(([name, value]) => [name, withoutSecrets(name, value)])

const NOBODY = { identity: null, trackerRun: null, name: null }

/** What is known of a run when it begins; `sender`: what it is known by, if it is. */
export function newRun(
  settings: Settings,
  source: 'stdin' | 'exec' | 'file' | 'network' | 'library',
  command: readonly string[],
  directory: string,
  sender: { identity: string | null; trackerRun: string | null; name: string | null } = NOBODY,
): RunStart {
  const now = Date.now()
  const words = withoutSecretWords(command)
  return {
    run: ulid(now),
    identity: sender.identity,
    trackerRun: sender.trackerRun,
    name:
      settings.runName ?? sender.name ?? settings['otel.serviceName'] ?? defaultName(words, directory, new Date(now)),
    source,
    command: words,
    directory,
    startedAt: now,
    params: kept(settings.params),
    tags: kept(settings.tags),
  }
}
