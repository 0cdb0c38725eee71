import { spawn, type ChildProcess } from 'node:child_process'
import { constants } from 'node:os'

/** Signals that a shell can watch for us, and so tell whether they went to the whole process group. */
const WATCHED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const
/** Others that would end us and are the command's to take. */
const OTHERS = ['SIGALRM', 'SIGVTALRM', 'SIGXCPU', 'SIGIO', 'SIGPWR'] as const

/** Signals that reach a command as if we were not there. */
export const FORWARDED: readonly NodeJS.Signals[] = [...WATCHED, ...OTHERS]
/** Those after which people want an end. */
export const ENDING: ReadonlySet<string> = new Set(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'])

/** How long the watch may take to tell of a signal that we have had. */
const WATCH_PATIENCE_MS = 250

/** A report older than this belongs to a signal that never reached us. */
const STALE_MS = 1000

/** Names every signal that it gets; ends when we do, with its input. */
const WATCH = `for s in ${WATCHED.map((name) => name.slice(3)).join(' ')}; do trap "g=1; echo SIG$s" $s; done
while :; do g=; read -r l || [ -n "$g" ] || exit; done`

/**
 * Tells a signal that was sent to us alone from one to our whole process group (a terminal's keys, `kill -- -PGID`),
 * which the command has had already: a second interrupt would cut off its cleaning up. A shell in the same group does
 * nothing but report what it gets.
 */
export class GroupWatch {
  readonly #shell: ChildProcess
  /** Reports that no signal of ours has been matched with, and how many will come too late to be. */
  readonly #reports = new Map<string, number[]>()
  readonly #late = new Map<string, number>()
  #onReport: () => void = () => {}

  constructor() {
    this.#shell = spawn('/bin/sh', ['-c', WATCH], { stdio: ['pipe', 'pipe', 'ignore'] })
    this.#shell.on('error', () => {}) // no shell: every signal is taken for ours alone
    this.#shell.stdin?.on('error', () => {}) // it has been killed: the same
    this.#shell.stdout?.on('data', (chunk: Buffer) => {
      for (const name of chunk.toString().trim().split('\n')) this.#report(name)
      this.#onReport()
    })
    this.#shell.unref()
  }

  /** Whether a signal that we have just had went to the whole group. */
  async reachedGroup(signal: string): Promise<boolean> {
    const until = performance.now() + WATCH_PATIENCE_MS
    for (;;) {
      const reports = (this.#reports.get(signal) ?? []).filter((at) => performance.now() - at < STALE_MS)
      if (reports.shift() !== undefined) {
        this.#reports.set(signal, reports)
        return true
      }
      const left = until - performance.now()
      if (left <= 0 || this.#shell.exitCode !== null || !(WATCHED as readonly string[]).includes(signal)) break
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        const others = this.#onReport
        this.#onReport = () => {
          clearTimeout(timer)
          resolve()
          others()
        }
      })
    }
    this.#late.set(signal, performance.now() + STALE_MS)
    return false
  }

  /** A report that comes after its signal was forwarded is no word on the next one. */
  #report(name: string): void {
    if (performance.now() < (this.#late.get(name) ?? 0)) this.#late.delete(name)
    else this.#reports.set(name, [...(this.#reports.get(name) ?? []), performance.now()])
  }

  stop(): void {
    this.#shell.stdin?.end()
  }
}

/**
 * Names of the signals that were ignored when we began (`nohup`, a background job), as a mask of `/proc/PID/status`.
 * Node.js sets them all to their defaults, for itself and for its children.
 */
export const ignoredSignals = (mask: string): string[] => {
  const bits = BigInt(`0x${/^[0-9a-f]+$/i.test(mask) ? mask : '0'}`)
  return Object.entries(constants.signals)
    .filter(([name, number]) => name !== 'SIGIOT' && (bits >> BigInt(number - 1)) & 1n)
    .map(([name]) => name)
}

/** The same command with signals ignored that Node.js would reset. */
export const withIgnored = (command: readonly string[], ignored: readonly string[]): readonly string[] =>
  ignored.length === 0
    ? command
    : ['/bin/sh', '-c', `trap '' ${ignored.map((name) => name.slice(3)).join(' ')}; exec "$@"`, 'sh', ...command]
