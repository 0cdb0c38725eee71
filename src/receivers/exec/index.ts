import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import type { EndStatus } from '../../channel/messages.ts'
import { withoutSecretWords } from '../../layer/command.ts'
import { PipeInput } from '../pipe-input.ts'
import { Tee } from '../tee.ts'
import { openPipes } from './pipes.ts'

/** How a shell reports a command that is not there, or may not be run. */
const NOT_FOUND = 127
const NOT_EXECUTABLE = 126

/** How a command ended. `code` is what a shell would report: 128+n for signal n. */
export interface ChildEnd {
  code: number
  status: EndStatus
}

/** A running command whose two outputs are read. */
export interface Child {
  stdout: Tee
  stderr: Tee
  /** False: there is no process, and `ended` has the exit code of a shell. */
  isStarted: boolean
  /** Resolves when the process has ended; its descendants may still hold the outputs. */
  ended: Promise<ChildEnd>
  kill(signal: NodeJS.Signals): void
  /** Stops reading and leaves what still comes to `cat`, which outlives us; `isQuiet`: nobody wants to see it. `drained`: our own outputs are empty. */
  leaveToCat(isQuiet: boolean, drained: () => Promise<void>): Promise<void>
}

export interface ChildOptions {
  command: readonly string[]
  env: NodeJS.ProcessEnv
  /** Hears why the command could not be started. */
  onError: (text: string) => void
}

/** Starts a command. It has our input, our environment and pipes for its outputs. Does not throw: see `ended`. */
export function startChild({ command, env, onError }: ChildOptions): Child {
  const pipes = openPipes(2)
  const failed = (error: NodeJS.ErrnoException): ChildEnd => {
    const why =
      error.code === 'ENOENT'
        ? 'there is no such command'
        : error.code === 'EACCES'
          ? 'it is not executable'
          : error.message
    onError(`${withoutSecretWords(command)[0]!} cannot be run (${why})`)
    return { code: error.code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE, status: 'FAILED' }
  }
  let child: ChildProcess | null = null
  let notStarted: ChildEnd | null = null
  try {
    child = spawn(command[0]!, command.slice(1), {
      stdio: ['inherit', pipes?.[0]!.write ?? 'pipe', pipes?.[1]!.write ?? 'pipe'],
      // Python keeps a block of 8 KiB back when its output is no terminal: charts and progress would lag behind.
      env: { PYTHONUNBUFFERED: '1', ...env },
    })
  } catch (error) {
    notStarted = failed(error as NodeJS.ErrnoException)
  }
  for (const pipe of pipes ?? []) closeSync(pipe.write)
  const inputs = pipes?.map(({ read }) => new PipeInput(read)) ?? []
  const [stdout, stderr] = [new Tee(inputs[0] ?? child!.stdout!), new Tee(inputs[1] ?? child!.stderr!)]
  return {
    stdout,
    stderr,
    isStarted: child?.pid !== undefined,
    ended: child === null ? Promise.resolve(notStarted!) : endOf(child, failed),
    kill: (signal) => void child?.kill(signal),
    leaveToCat: async (isQuiet, drained) => {
      for (const tee of [stdout, stderr]) tee.stop()
      // What we have read goes to our output before `cat` writes there.
      await drained()
      for (const [i, pipe] of (pipes ?? []).entries()) {
        const input = inputs[i]!
        if (input.hasEnded) continue
        const cat = spawn('cat', [], { stdio: [pipe.read, isQuiet ? 'ignore' : i + 1, 'ignore'], detached: true })
        cat.on('error', () => {}) // no cat: the pipe closes with us, as it would have without a word
        cat.unref()
        input.destroy()
      }
    },
  }
}

const endOf = (child: ChildProcess, failed: (error: NodeJS.ErrnoException) => ChildEnd): Promise<ChildEnd> =>
  new Promise((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) resolve(failed(error))
    })
    child.on('exit', (code, signal) => {
      if (signal !== null) resolve({ code: 128 + constants.signals[signal], status: 'KILLED' })
      else resolve({ code: code ?? 0, status: code === 0 ? 'FINISHED' : 'FAILED' })
    })
  })
