import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { median } from './statistics.ts'

const SYNCS = 50

/** Milliseconds until the disk under `directory` has 4 KB: what bounds every commit that somebody waits for. */
export function syncMs(directory: string): number {
  const path = join(directory, 'sync')
  const page = Buffer.alloc(4096)
  const file = openSync(path, 'w')
  const times: number[] = []
  for (let i = 0; i < SYNCS; i += 1) {
    const from = performance.now()
    writeSync(file, page)
    fdatasyncSync(file)
    times.push(performance.now() - from)
  }
  closeSync(file)
  rmSync(path)
  return median(times)
}
