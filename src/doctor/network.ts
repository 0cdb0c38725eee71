import { lookup } from 'node:dns/promises'
import { connect, isIP } from 'node:net'
import { withoutCredentials } from '../config/load.ts'
import { broken, endpoint, notSet, ok, patience, serverOf, warning } from './findings.ts'
import type { Finding, Hop, Scene, Server } from './hop.ts'

const isLoopback = (address: string): boolean => /^127\.|^::1$|^::ffff:127\./.test(address)

/** Where the settings say that MLflow is, and whether a proxy stands between. */
export const trackingUri: Hop = {
  name: 'tracking URI',
  needs: () => ['configuration'],
  look: async ({ loaded: { settings, sources }, server }) => {
    if (server === null)
      return notSet(
        'no tracking URI is set: runs stay in the journal',
        'set MLFLOW_TRACKING_URI or --mlflow-tracking-uri to the address of MLflow, such as http://127.0.0.1:5000',
      )
    const { proxy, base } = server
    const { hostname } = new URL(base)
    const words = `${withoutCredentials(settings['mlflow.trackingUri']!)} (${sources['mlflow.trackingUri']})`
    if (proxy === null) return ok(words)
    const through = `${words}, by way of the proxy ${proxy.address} (${proxy.source})`
    return hostname === 'localhost' || isLoopback(hostname.replace(/^\[|\]$/g, ''))
      ? warning(`${through}: for that one, ${hostname} is another machine`, `set no_proxy=${hostname}`)
      : ok(through)
  },
}

const subject = (server: Server): string => (server.proxy === null ? 'tracking URI' : `proxy (${server.proxy.source})`)

/** Name resolution of the host that we connect to. */
export const name: Hop = {
  name: 'name',
  needs: () => ['tracking URI'],
  look: async (scene) => {
    const server = serverOf(scene)
    const { host } = server.peer
    if (isIP(host) !== 0) {
      scene.isLoopback = isLoopback(host) && server.proxy === null
      return ok(`${host} is an address already`)
    }
    try {
      const found = (await inTime(lookup(host, { all: true }), patience(scene.stop))).map(({ address }) => address)
      scene.isLoopback = found.every(isLoopback) && server.proxy === null
      return ok(`${host} is ${found.join(', ')}`)
    } catch (error) {
      return unknownName(server, error as NodeJS.ErrnoException)
    }
  },
}

/** `work`, or a rejection when the time is up: name resolution itself cannot be stopped. */
function inTime<T>(work: Promise<T>, abort: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  abort.addEventListener('abort', () => reject(Object.assign(new Error('timed out'), { code: 'ETIMEOUT' })))
  return Promise.race([work, promise])
}

function unknownName(server: Server, { code = 'no code' }: NodeJS.ErrnoException): Finding {
  const { host } = server.peer
  if (code === 'EAI_AGAIN' || code === 'ETIMEOUT')
    return broken(
      `no name server has said in time where ${host} is (${code})`,
      'look at the network of this machine and at /etc/resolv.conf; an IP address in its place needs no name server',
    )
  return broken(
    `there is no address for the host name ${host} (${code})`,
    `look at its spelling in the ${subject(server)}; through a reverse SSH tunnel the address is http://127.0.0.1:PORT`,
  )
}

/** Whether anything takes a connection there. */
export const port: Hop = {
  name: 'port',
  needs: () => ['name'],
  look: async (scene) => {
    const server = serverOf(scene)
    const code = await connected(server.peer, patience(scene.stop))
    if (code === null) return ok(`${endpoint(server.peer)} takes connections`)
    return code === 'ECONNREFUSED' ? refused(server, scene) : unreachable(server, code, scene)
  },
}

/** The code of the error that a connection meets; null: none. */
function connected({ host, port }: Server['peer'], abort: AbortSignal): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>()
  const socket = connect({ host, port })
  socket.on('connect', () => resolve(null))
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  abort.addEventListener('abort', () => resolve('ETIMEDOUT'))
  return promise.finally(() => socket.destroy())
}

function refused(server: Server, { isLoopback }: Scene): Finding {
  const { host, port } = server.peer
  const at = endpoint(server.peer)
  if (isLoopback)
    return broken(
      `nothing listens at ${at} on this machine: the tunnel is down`,
      `open the tunnel again from the machine where MLflow runs (ssh -N -R ${port}:127.0.0.1:5000 THIS-HOST; 'remote port forwarding failed' means that an old connection still holds the port). If MLflow is to run on this machine, start it`,
    )
  return broken(
    `nothing listens at ${at} (connection refused)`,
    `start it there, or look at the port in the ${subject(server)}; a server that was started with --host 127.0.0.1 is reached from ${host} only`,
  )
}

function unreachable(server: Server, code: string, { isLoopback }: Scene): Finding {
  const at = endpoint(server.peer)
  if (code === 'ETIMEDOUT' && isLoopback)
    return broken(
      `what listens at ${at} on this machine takes no more connections: it hangs`,
      'end that program and start it again: the tunnel, or MLflow if it runs on this machine',
    )
  if (code === 'ETIMEDOUT')
    return broken(
      `no connection to ${at} within 3 s (timed out)`,
      `the host is off or a firewall drops what is sent to it: look at both, and at the address in the ${subject(server)}`,
    )
  return broken(`${at} cannot be reached (${code})`, 'look at the network and the routes of this machine')
}
