import { withoutUser, type LoadedSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { createDispatcher, proxiesOf, type TransportOptions } from '../exporters/http.ts'
import { authorizationOf, baseOf, clientOptionsOf, MlflowClient } from '../exporters/mlflow/client.ts'
import type { Scene, Server } from './hop.ts'

/** What hops look at. With problems in the settings there is no server: none of them counts. */
export function sceneOf(loaded: LoadedSettings, stateDir: string, stop: AbortSignal): Scene {
  const isSet = loaded.settings['mlflow.trackingUri'] !== null && loaded.problems.length === 0
  const server = isSet ? serverOf(loaded) : null
  return { loaded, stateDir, server, stop, isLoopback: false, experiment: null }
}

function serverOf({ settings, sources }: LoadedSettings): Server {
  const options = clientOptionsOf(settings)
  const dispatcher = createDispatcher(options)
  const url = new URL(baseOf(options.trackingUri))
  const scheme = proxyFor(url, options.proxy)
  const proxy = scheme === null ? null : new URL(options.proxy[scheme]!)
  return {
    base: baseOf(options.trackingUri),
    isTls: url.protocol === 'https:',
    peer: peerOf(proxy ?? url),
    proxy: proxy === null ? null : { address: withoutUser(proxy.origin), source: sources[`proxy.${scheme!}`] },
    headers: { 'user-agent': 'spanbridge', ...authorizationOf(options) },
    dispatcher,
    client: new MlflowClient(options, dispatcher),
  }
}

const peerOf = ({ hostname, port, protocol }: URL): Server['peer'] => ({
  host: hostname.replace(/^\[(.*)\]$/, '$1'),
  port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
})

/** Which proxy our connections take to an address, by the rules of the dispatcher that makes them (EnvHttpProxyAgent). */
function proxyFor(url: URL, { http, https, none }: TransportOptions['proxy']): 'http' | 'https' | null {
  const { host, port } = peerOf(url)
  const isPassedBy = (none ?? '')
    .split(/[,\s]/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const [, name, only] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(/:.*:/.test(entry) ? `[${entry}]` : entry)!
      const suffix = name!.replace(/^\*?\./, '').toLowerCase()
      const isNamed = name === '*' || (!name!.startsWith('*') && host === suffix) || host.endsWith(`.${suffix}`)
      return isNamed && (only === undefined || Number(only) === port)
    })
  if (isPassedBy) return null
  if (url.protocol === 'https:' && https !== null) return 'https'
  return http === null ? null : 'http'
}

/** Takes what must not be shown out of words of ours and of servers. */
export function secretsOut(settings: Settings): (text: string) => string {
  const urls = ['mlflow.trackingUri', 'otlp.endpoint', 'otlp.tracesEndpoint'] as const
  const inUrls = urls.flatMap((name) => passwordsIn(settings[name]))
  const { http, https } = proxiesOf(settings)
  const secrets = [
    settings['mlflow.password'],
    settings['mlflow.token'],
    settings['otlpHttp.token'],
    ...Object.values(settings['otlp.headers']),
    ...inUrls,
    ...passwordsIn(http),
    ...passwordsIn(https),
  ].filter((secret): secret is string => secret !== null && secret.length > 2)
  return (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
}

/** A password in an address, as written and as meant; and secrets of its query. */
function passwordsIn(address: string | null): string[] {
  if (address === null || !URL.canParse(address)) return []
  const { password, searchParams } = new URL(address)
  const inQuery = [...searchParams].filter(([name]) => /token|key|secret|passw/i.test(name)).map(([, value]) => value)
  try {
    return [password, decodeURIComponent(password), ...inQuery]
  } catch {
    return [password, ...inQuery]
  }
}
