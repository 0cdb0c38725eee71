import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import type { Readable } from 'node:stream'
import type { EndStatus } from '../../channel/messages.ts'
import { Tee } from '../tee.ts'
import { openPipes, type Pipe } from './pipes.ts'

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
  process: ChildProcess
  stdout: Tee
  stderr: Tee
  /** Resolves when the process has ended; its descendants may still hold the outputs. */
  ended: Promise<ChildEnd>
  /** Leaves what still comes to `cat`, which outlives us. */
  leaveToCat(): void
}

/** Starts a command. It has our input, our environment and pipes for its outputs. @throws never: see `ended` */
export function startChild(command: readonly string[], env: NodeJS.ProcessEnv, onError: (text: string) => void): Child {
  const pipes = openPipes(2)
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['inherit', pipes?.[0]!.write ?? 'pipe', pipes?.[1]!.write ?? 'pipe'],
    // Python keeps a block of 8 KiB back when its output is no terminal: charts and progress would lag behind.
    env: { PYTHONUNBUFFERED: '1', ...env },
  })
  for (const pipe of pipes ?? []) closeSync(pipe.write)
  const ended = new Promise<ChildEnd>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return
      onError(`${command[0]!} cannot be run (${error.code === 'ENOENT' ? 'there is no such command' : error.message})`)
      resolve({ code: error.code === 'EACCES' ? NOT_EXECUTABLE : NOT_FOUND, status: 'FAILED' })
    })
    child.on('exit', (code, signal) => {
      if (signal !== null) resolve({ code: 128 + constants.signals[signal], status: 'KILLED' })
      else resolve({ code: code ?? 0, status: code === 0 ? 'FINISHED' : 'FAILED' })
    })
  })
  const inputs = [inputOf(pipes?.[0], child.stdout), inputOf(pipes?.[1], child.stderr)] as const
  return {
    process: child,
    stdout: new Tee(inputs[0]),
    stderr: new Tee(inputs[1]),
    ended,
    leaveToCat: () => {
      for (const [i, pipe] of (pipes ?? []).entries()) {
        if (inputs[i]!.readableEnded) continue
        spawn('cat', [], { stdio: [pipe.read, i === 0 ? 1 : 2, 'ignore'], detached: true }).unref()
      }
    },
  }
}

const inputOf = (pipe: Pipe | undefined, stream: Readable | null): Readable =>
  pipe === undefined ? stream! : new Socket({ fd: pipe.read, readable: true, writable: false })
