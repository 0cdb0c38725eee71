import type { Finding, Scene, Server } from './hop.ts'

/** A server that takes longer to answer hangs. */
const PATIENCE_MS = 3000

export const ok = (detail: string): Finding => ({ state: 'ok', detail })
export const warning = (detail: string, cure: string): Finding => ({ state: 'warning', detail, cure })
export const broken = (detail: string, cure: string): Finding => ({ state: 'broken', detail, cure })
export const notSet = (detail: string, cure?: string): Finding => ({
  state: 'not set',
  detail,
  ...(cure === undefined ? {} : { cure }),
})

/** The time for one request, or until the user leaves. */
export const patience = (stop: AbortSignal): AbortSignal => AbortSignal.any([stop, AbortSignal.timeout(PATIENCE_MS)])

/** The server of hops that are only reached with one. */
export function serverOf({ server }: Scene): Server {
  if (server === null) throw new Error('looked at a server that is not set')
  return server
}

/** `host:port` as one writes it. */
export const endpoint = ({ host, port }: Server['peer']): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** Told where a proxy stands between and may be what answers. */
export const pastProxy = ({ proxy, base }: Server): string =>
  proxy === null
    ? ''
    : `; the proxy ${proxy.address} (${proxy.source}) stands between: no_proxy=${new URL(base).hostname} goes past it`
