import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Both ends of a pipe, as descriptors. */
export interface Pipe {
  read: number
  write: number
}

/**
 * Real pipes for a child's outputs. Node gives a child sockets instead, and `open("/dev/stdout")` fails on those
 * (`tee /dev/stderr`, `echo > /dev/stdout`): a child would notice that it is bridged. A FIFO whose name is removed once
 * both ends are open is a pipe like any other.
 *
 * @returns null when the system cannot make them
 */
export function openPipes(count: number): Pipe[] | null {
  let directory: string | null = null
  const pipes: Pipe[] = []
  try {
    directory = mkdtempSync(join(tmpdir(), 'spanbridge-'))
    const paths = Array.from({ length: count }, (_, i) => join(directory!, String(i)))
    if (spawnSync('mkfifo', ['-m', '600', ...paths], { stdio: 'ignore' }).status !== 0) return null
    for (const path of paths) {
      const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      pipes.push({ read, write: openSync(path, constants.O_WRONLY) })
    }
    return pipes
  } catch {
    for (const pipe of pipes) {
      closeSync(pipe.read)
      closeSync(pipe.write)
    }
    return null
  } finally {
    if (directory !== null) rmSync(directory, { recursive: true, force: true })
  }
}
