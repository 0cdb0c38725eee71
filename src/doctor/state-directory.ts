import { closeSync, fsyncSync, openSync, rmdirSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isThere, makeDirectory } from '../journal/directory.ts'
import { broken, ok, warning } from './findings.ts'
import type { Finding, Hop } from './hop.ts'

/** Below this a long run may fill the disk. */
const MIN_FREE_BYTES = 1e9

/** What is written to see whether anything can be. */
const SAMPLE = Buffer.alloc(4096)

/** File systems by the number that Linux gives them (statfs(2)), on which SQLite's locks or its write-ahead log do not hold. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x01021997, '9p'],
  [0x0bd00bd0, 'Lustre'],
  [0x00c36400, 'Ceph'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x65735546, 'FUSE'],
])

/** The directory of the journals: there or to be made, for our eyes only, and on a local disk with room. */
export const stateDirectory: Hop = {
  name: 'state directory',
  needs: () => ['configuration'],
  look: async ({ stateDir }) => {
    const made = missingOf(stateDir)
    try {
      makeDirectory(stateDir)
      writeSample(stateDir)
      return judge(stateDir, made.length > 0)
    } catch (error) {
      return unwritable(stateDir, error as NodeJS.ErrnoException)
    } finally {
      for (const path of made) removeEmpty(path)
    }
  },
}

/** The directories that have to be made for it, itself first: they go again. */
const missingOf = (path: string): string[] =>
  isThere(path) || dirname(path) === path ? [] : [path, ...missingOf(dirname(path))]

function removeEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // it could not be made, or somebody has begun to use it
  }
}

/** @throws when a file cannot be made, written and put on disk */
function writeSample(directory: string): void {
  const path = join(directory, `doctor-${process.pid}.tmp`)
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, SAMPLE)
    fsyncSync(file)
  } finally {
    closeSync(file)
    rmSync(path, { force: true })
  }
}

function judge(path: string, isNew: boolean): Finding {
  const { bavail, bsize, type } = statfsSync(path)
  const free = `${((bavail * bsize) / 1e9).toFixed(1)} GB free`
  const words = `${path}${isNew ? ' (made by the first run)' : ''}, ${free}`
  const network = NETWORK.get(type >>> 0)
  if (network !== undefined)
    return warning(
      `${words}, on a network file system (${network}): locks may not hold there, and a crash may damage journals`,
      'set --state-dir to a directory on a local disk',
    )
  if (bavail * bsize < MIN_FREE_BYTES)
    return warning(`${words}: the disk is nearly full`, 'make room, or set --state-dir to a disk that has some')
  const mode = statSync(path).mode & 0o777
  if ((mode & 0o077) !== 0)
    return warning(`${words}, open to other users (mode ${mode.toString(8)})`, `chmod 700 '${path}'`)
  return ok(words)
}

function unwritable(path: string, error: NodeJS.ErrnoException): Finding {
  const elsewhere = 'set --state-dir to a local directory that you may write to'
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT')
    return broken(`${path}: the disk is full (${error.code})`, `make room on it, or ${elsewhere}`)
  if (error.code === 'EROFS') return broken(`${path}: the file system is read-only (EROFS)`, elsewhere)
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return broken(`${path}: you may not write there (${error.code})`, `have it made yours, or ${elsewhere}`)
  if (error.code === 'ENOTDIR' || error.message.endsWith(' is a file, not a directory'))
    return broken(`${path}: a file stands in its place or above it`, `move that file away, or ${elsewhere}`)
  return broken(`${path}: cannot be made or written (${error.message})`, elsewhere)
}
