import { Writable } from 'node:stream'
import { isatty } from 'node:tty'
import { Output } from '../telemetry/output.ts'

/**
 * Whoever asks Node.js for `process.stdout` or `process.stderr` (its own modules do, for colours) has it make a pipe
 * non-blocking, for the trainer and all others that share it: their writes would fail. After this there is something else to be had.
 */
export function hideOutputs(): void {
  for (const [name, fd] of [
    ['stdout', 1],
    ['stderr', 2],
  ] as const) {
    let stream: Writable | null = null
    const get = (): Writable => (stream ??= standIn(fd))
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get })
  }
}

function standIn(fd: number): Writable {
  const output = new Output(fd)
  const write = (chunk: Buffer, _encoding: string, done: () => void): void => {
    output.write(chunk)
    done()
  }
  return Object.assign(new Writable({ write }), { fd, isTTY: isatty(fd) })
}
