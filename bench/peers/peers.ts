import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findChromium } from '../../test/support/chromium.ts'
import { inBench, repository } from '../harness/processes.ts'

export type PeerName = 'chromium' | 'collector' | 'jq' | 'mlflow' | 'pino' | 'python' | 'rust' | 'trackers'

/** `none`: no row with a peer is measured; `quick`: those that are on the machine or in the cache; `all`: the rest is installed. */
export type PeerChoice = 'none' | 'quick' | 'all'

/** Versions are pinned, so that figures of two machines are figures of the same thing. */
const TRACKERS = [
  'wandb==0.31.0',
  'tensorboard==2.21.0',
  'tensorboardX==2.6.5',
  'opentelemetry-sdk==1.45.2',
  'opentelemetry-exporter-otlp-proto-http==1.45.2',
]
const PINO = 'pino@10.4.0'

/** The peer is not to be had: the row says so and is no failure. */
export class MissingPeer extends Error {}

interface Recipe {
  /** What is run or loaded. */
  path: (cache: string) => string
  /** Makes it; absent: it must be on the machine. */
  install?: (cache: string) => void
  /** What to do where it cannot be made. */
  wayOut: string
}

const run = (command: string, args: readonly string[], cwd: string): void => {
  mkdirSync(cwd, { recursive: true })
  try {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' })
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string }
    throw new MissingPeer(`${command} ${args[0] ?? ''}: ${(stderr.trim() || message).split('\n').at(-1)}`, {
      cause: error,
    })
  }
}

const onPath = (name: string): string => {
  const found = (process.env['PATH'] ?? '').split(':').find((directory) => existsSync(join(directory, name)))
  return found === undefined ? '' : join(found, name)
}

/** Copies a source folder of `bench/peers` into the cache and builds it there; the result appears when it is whole. */
function build(cache: string, name: string, steps: readonly (readonly [string, ...string[]])[], made: string): void {
  const folder = join(cache, name)
  cpSync(inBench(`peers/${name}`), folder, { recursive: true })
  for (const [command, ...args] of steps) run(command, args, folder)
  renameSync(join(folder, made), join(folder, 'built'))
}

const RECIPES: Readonly<Record<PeerName, Recipe>> = {
  collector: {
    path: (cache) => join(cache, 'collector/built'),
    install: (cache) => build(cache, 'collector', [['go', 'build', '-o', 'made', '.']], 'made'),
    wayOut: 'needs Go 1.26 and its module proxy',
  },
  rust: {
    path: (cache) => join(cache, 'rust/built'),
    install: (cache) => build(cache, 'rust', [['cargo', 'build', '--release']], 'target/release/trainer'),
    wayOut: 'needs cargo',
  },
  trackers: {
    path: (cache) => join(cache, 'trackers/bin/python'),
    install: (cache) => {
      run('python3', ['-m', 'venv', 'making'], cache)
      run(join(cache, 'making/bin/python'), ['-m', 'pip', 'install', '--quiet', ...TRACKERS], cache)
      renameSync(join(cache, 'making'), join(cache, 'trackers'))
    },
    wayOut: 'needs python3 with venv and PyPI',
  },
  pino: {
    path: (cache) => join(cache, 'pino/node_modules/pino/pino.js'),
    install: (cache) => run('npm', ['install', '--silent', '--prefix', '.', PINO], join(cache, 'pino')),
    wayOut: 'needs npm',
  },
  mlflow: {
    path: () => join(repository, '.venv/bin/python'),
    install: () => run('sh', ['test/support/mlflow-env.sh'], repository),
    wayOut: 'needs python3 with venv and PyPI',
  },
  chromium: {
    path: () => findChromium() ?? '',
    wayOut: "'apt-get install chromium' on Debian, or its path in SPANBRIDGE_CHROMIUM",
  },
  python: { path: () => onPath('python3'), wayOut: 'python3 is not on the PATH' },
  jq: { path: () => onPath('jq'), wayOut: 'jq is not on the PATH' },
}

/** Peers by name; each is installed when it is asked for first. */
export class Peers {
  readonly #choice: PeerChoice
  readonly #say: (text: string) => void
  readonly #failed = new Map<PeerName, MissingPeer>()
  readonly cache: string

  constructor(choice: PeerChoice, say: (text: string) => void) {
    this.#choice = choice
    this.#say = say
    this.cache = process.env['SPANBRIDGE_BENCH_CACHE'] ?? join(homedir(), '.cache/spanbridge-bench')
  }

  /** What is run or loaded. @throws MissingPeer */
  path(name: PeerName): string {
    if (this.#choice === 'none') throw new MissingPeer('peers were not asked for')
    const known = this.#failed.get(name)
    if (known !== undefined) throw known
    const { path, install, wayOut } = RECIPES[name]
    const at = path(this.cache)
    if (at !== '' && existsSync(at)) return at
    const missing = (why: string): MissingPeer => {
      const error = new MissingPeer(`${name} is not here: ${why}`)
      this.#failed.set(name, error)
      return error
    }
    if (install === undefined) throw missing(wayOut)
    if (this.#choice !== 'all') throw missing('--peers all installs it')
    this.#say(`installing ${name}`)
    try {
      install(this.cache)
    } catch (error) {
      throw missing(`${(error as Error).message} (${wayOut})`)
    }
    return at
  }
}
