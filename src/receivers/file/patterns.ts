import { createHash } from 'node:crypto'
import { lstatSync, statSync } from 'node:fs'
import { glob, stat } from 'node:fs/promises'
import { resolve } from 'node:path'

/** Longest identity that is kept as it is written. */
const MAX_TEXT = 500

const GLOB = /[*?[{]/

/** Paths and globs as they are meant from `directory`, each once, in one order. */
export const absolute = (patterns: readonly string[], directory: string): string[] =>
  [...new Set(patterns.map((pattern) => resolve(directory, pattern)))].sort()

/** The same files followed again are the same run. */
export function identityOf(patterns: readonly string[]): string {
  const text = `file:${JSON.stringify(patterns)}`
  return text.length <= MAX_TEXT ? text : `file:sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** Why a path that was named cannot be followed, or null. One that is not there yet may come. */
export function problemOf(pattern: string): string | null {
  if (isGlob(pattern)) return null
  const stat = statSync(pattern, { throwIfNoEntry: false })
  if (stat === undefined || stat.isFile()) return null
  const expected = `expected a file, or a glob in quotes, got '${pattern}', which is`
  if (stat.isDirectory()) return `${expected} a directory; for the files in it write '${pattern}/*.jsonl'`
  return `${expected} no regular file; pipe it in instead: spanbridge < '${pattern}'`
}

/** A name that has such characters in itself is no glob where the file is there. */
export const isGlob = (pattern: string): boolean =>
  GLOB.test(pattern) && lstatSync(pattern, { throwIfNoEntry: false }) === undefined

/** The paths that patterns stand for now, each once. What they name outright need not be there. */
export async function expand(patterns: readonly string[]): Promise<Set<string>> {
  const paths = new Set<string>()
  for (const pattern of patterns) {
    if (!isGlob(pattern)) paths.add(pattern)
    else for await (const path of glob(pattern)) paths.add(path)
  }
  return paths
}

/** Sizes of the files that are there, by device and inode: what a command writes that begins after this is new. */
export async function filesNow(patterns: readonly string[]): Promise<Map<string, number>> {
  const sizes = new Map<string, number>()
  for (const path of await expand(patterns)) {
    // One that went away since its name was read is not there.
    const entry = await stat(path, { bigint: true }).catch(() => null)
    if (entry?.isFile() === true) sizes.set(`${entry.dev}:${entry.ino}`, Number(entry.size))
  }
  return sizes
}
