import { mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isThere } from '../journal/directory.ts'
import { broken, ok, warning } from './findings.ts'
import type { Finding, Hop } from './hop.ts'

/** Below this a long run may fill the disk. */
const MIN_FREE_BYTES = 1e9

const ELSEWHERE = 'set --state-dir to a directory on a local disk that you may write to'

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
    // One that is not there is left to the first run: it may begin at this very moment.
    const there = nearest(stateDir)
    try {
      if (!statSync(there).isDirectory())
        return broken(`${stateDir}: ${there} is a file, not a directory`, `move that file away, or ${ELSEWHERE}`)
      writeSample(there)
      return judge(stateDir, there)
    } catch (error) {
      return unwritable(stateDir, error as NodeJS.ErrnoException)
    }
  },
}

/** The path itself, or what is there of those above it. */
const nearest = (path: string): string => (isThere(path) || dirname(path) === path ? path : nearest(dirname(path)))

/** @throws when a directory and a file in it cannot be made, written and put on disk */
function writeSample(directory: string): void {
  const sample = mkdtempSync(join(directory, '.spanbridge-doctor-'))
  try {
    writeFileSync(join(sample, 'sample'), SAMPLE, { mode: 0o600, flush: true })
  } finally {
    rmSync(sample, { recursive: true, force: true })
  }
}

function judge(path: string, there: string): Finding {
  const { bavail, bsize, type } = statfsSync(there)
  const free = `${((bavail * bsize) / 1e9).toFixed(1)} GB free`
  const words = `${path}${there === path ? '' : ' (made by the first run)'}, ${free}`
  const network = NETWORK.get(type >>> 0)
  if (network !== undefined)
    return warning(
      `${words}, on a network file system (${network}): locks may not hold there, and a crash may damage journals`,
      ELSEWHERE,
    )
  if (bavail * bsize < MIN_FREE_BYTES)
    return warning(`${words}: the disk is nearly full`, 'make room, or set --state-dir to a disk that has some')
  return openToOthers(path, there, words) ?? ok(words)
}

/** Journals hold params and commands. What others share is not ours to close. */
function openToOthers(path: string, there: string, words: string): Finding | null {
  const { mode, uid } = statSync(there)
  if (there !== path || (mode & 0o077) === 0) return null
  const isShared = (mode & 0o1000) !== 0 || uid !== process.getuid?.()
  return warning(
    `${words}, open to other users (mode ${(mode & 0o777).toString(8)})`,
    isShared ? 'set --state-dir to a directory of your own' : `chmod 700 '${path}'`,
  )
}

function unwritable(path: string, { code, message }: NodeJS.ErrnoException): Finding {
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return broken(`${path}: the disk is full (${code})`, `make room on it, or ${ELSEWHERE}`)
  if (code === 'EROFS') return broken(`${path}: the file system is read-only (EROFS)`, ELSEWHERE)
  if (code === 'EACCES' || code === 'EPERM')
    return broken(`${path}: you may not write there (${code})`, `have it made yours, or ${ELSEWHERE}`)
  return broken(`${path}: cannot be made or written (${code ?? message})`, ELSEWHERE)
}
