import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { isLoopback } from '../config/loopback.ts'
import { PageRefusal } from './refusal.ts'
import { cookieName, cookieValue, isSame } from './token.ts'

/** Who may ask. */
export interface Guard {
  token: string
  /** Where the page is served: what a Host header may say. */
  host: string
  port: number
}

/** Listening there means every address of the machine. */
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '0'])

export const WITHOUT_TOKEN =
  "this page needs its token: open the address that Spanbridge printed when it started, or that 'spanbridge status' shows"

const occurrences = (request: IncomingMessage, header: string): number =>
  request.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === header).length

const bare = (host: string): string => host.toLowerCase().replace(/^\[|\]$/g, '')

/** Another name than ours comes from a page that a browser was lured to (DNS rebinding). @throws PageRefusal */
export function checkHost(request: IncomingMessage, { host }: Guard): void {
  if (occurrences(request, 'host') > 1) throw new PageRefusal(400, 'expected one Host header, got several')
  const shown = request.headers.host ?? ''
  const named = bare(shown.replace(/:\d+$/, ''))
  if (isLoopback(named) || named === bare(host)) return
  if (WILDCARDS.has(bare(host)) && (isIP(named) !== 0 || named === hostname().toLowerCase())) return
  throw new PageRefusal(403, `expected a Host header of this machine (127.0.0.1 or localhost), got '${shown}'`)
}

/** The port that a browser knows, which is another one through a tunnel: its cookies are told apart by that. */
export const portOf = (request: IncomingMessage, { port }: Guard): number =>
  Number(/:(\d{1,5})$/.exec(request.headers.host ?? '')?.[1] ?? port)

/** @returns how the token was shown; null: not at all, or a wrong one */
export function shownToken(request: IncomingMessage, guard: Guard): 'bearer' | 'cookie' | null {
  const { authorization, cookie } = request.headers
  const { token } = guard
  const port = portOf(request, guard)
  if (authorization !== undefined) return isSame(authorization, `Bearer ${token}`) ? 'bearer' : null
  const name = `${cookieName(port)}=`
  const wanted = cookieValue(token, port)
  const values = (cookie ?? '').split(';').map((pair) => pair.trim())
  const shown = values.filter((pair) => pair.startsWith(name)).map((pair) => pair.slice(name.length))
  return shown.some((value) => isSame(value, wanted)) ? 'cookie' : null
}

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD'])

/**
 * What another page sends with our cookie is refused: browsers say where a request comes from, and one that changes
 * something has to be of a kind that no page may send unasked. @throws PageRefusal
 */
export function checkOrigin(request: IncomingMessage, by: 'bearer' | 'cookie'): void {
  const site = request.headers['sec-fetch-site']
  const isOurs = site === undefined || site === 'same-origin' || site === 'none'
  const { origin, host } = request.headers
  const isElsewhere = origin !== undefined && origin.replace(/^https?:\/\//, '') !== host
  if (!isOurs || isElsewhere)
    throw new PageRefusal(403, `expected a request of the page itself, got one of ${origin ?? `another (${site})`}`)
  if (READS.has(request.method!) || by === 'bearer' || site === 'same-origin') return
  if (typeOf(request) !== 'application/json')
    throw new PageRefusal(403, 'expected the content type application/json, or the token as Authorization: Bearer')
}

export const typeOf = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
