import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { linkSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../journal/directory.ts'

/** 192 bits, 32 characters. */
const TOKEN_BYTES = 24
const TOKEN = /^[\w-]{32}$/
const FOR_OTHERS = 0o077

export const newToken = (): string => randomBytes(TOKEN_BYTES).toString('base64url')

/**
 * The token of the page, from `<state dir>/web-token` (0600): made once, so that an open page survives a restart. One that
 * others could read is replaced. Where nothing can be written it is of this process only.
 */
export function tokenOf(stateDir: string): string {
  const path = join(stateDir, 'web-token')
  try {
    makeDirectory(stateDir)
    const kept = keptToken(path)
    if (kept !== null) return kept
    rmSync(path, { force: true })
    const made = `${path}.${process.pid}`
    writeFileSync(made, `${newToken()}\n`, { mode: 0o600, flag: 'wx' })
    try {
      linkSync(made, path) // fails when another process was faster: then it is that one's
    } finally {
      rmSync(made, { force: true })
    }
  } catch {
    // Told apart by whether there is one now.
  }
  return keptToken(path) ?? newToken()
}

/** The token of a directory that is only shown, so that a page that was open stays so; one without gets that of the settings. */
export const tokenOfShown = (directory: string, stateDir: string): string =>
  keptToken(join(directory, 'web-token')) ?? tokenOf(stateDir)

function keptToken(path: string): string | null {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined || !stat.isFile() || (stat.mode & FOR_OTHERS) !== 0) return null
  try {
    const token = readFileSync(path, 'utf8').trim()
    return TOKEN.test(token) ? token : null
  } catch {
    return null
  }
}

/** Browsers show a cookie to every port of a host: it has the port in its name, and a value that is no token. */
export const cookieName = (port: number): string => `spanbridge-${port}`
export const cookieValue = (token: string, port: number): string =>
  createHmac('sha256', token).update(`page at ${port}`).digest('base64url')

/** Compares in a time that tells nothing of where the two differ. */
export const isSame = (shown: string, wanted: string): boolean => timingSafeEqual(sha256(shown), sha256(wanted))

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()
