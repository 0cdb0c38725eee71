import type { Bridge } from '../bridge.ts'
import type { Settings } from '../config/settings.ts'
import type { OtlpHttpServer } from '../receivers/otlp-http/index.ts'
import type { Via } from '../otlp/via.ts'
import { withoutCredentials, type Env, type LoadedSettings } from '../config/load.ts'
import type { Context } from './app.ts'

/** A receiver whose requests wait for the bridge that takes them. */
export interface OtlpReceiver {
  /** The settings, without a destination that is this receiver itself. */
  readonly settings: Settings
  /** A destination that leads back here was asked for by flag or file: what is wrong with that. */
  readonly problem: string | null
  readonly server: OtlpHttpServer | null
  /** What comes is taken from now on. */
  to(bridge: Bridge): void
}

const ENDPOINTS = ['otlp.tracesEndpoint', 'otlp.endpoint'] as const

/** Whether a destination is set that may turn out to be our own receiver. */
export const mayLeadBack = (settings: Settings): boolean => ENDPOINTS.some((name) => settings[name] !== null)

/** Nothing is received by OTLP, or not yet. */
export const noReceiver = (settings: Settings): OtlpReceiver => ({
  settings,
  problem: null,
  server: null,
  to: () => {},
})

/** Begins to listen for OTLP, if the settings say so; under exec at a free port, unless one is set. */
export async function openReceiver({ loaded, voice }: Context, via: Via, isExec: boolean): Promise<OtlpReceiver> {
  const { settings, sources } = loaded
  const listen = settings['otlpHttp.listen']
  if (listen === null) return noReceiver(settings)
  const isNamed = sources['otlpHttp.listen'] !== 'default'
  const bridge = Promise.withResolvers<Bridge>()
  let isSaid = false
  const sayCircle = (): void => {
    if (!isSaid)
      voice.say(
        'otlp-http: spans that this Spanbridge has sent come back to it: a destination of spans leads in a circle. They are refused',
      )
    isSaid = true
  }
  const { openOtlpHttp } = await import('../receivers/otlp-http/index.ts')
  const server = await openOtlpHttp({
    host: listen.host,
    port: isExec && !isNamed ? 0 : listen.port,
    token: settings['otlpHttp.token'],
    isNamed: isNamed && listen.port !== 0,
    take: async (...request) => (await bridge.promise).takeOtlp(...request),
    hasComeBack: (header) => {
      if (via.isIn(header)) sayCircle()
      else if (via.learn(header)) void bridge.promise.then((it) => it.via(header))
      return via.isIn(header)
    },
    say: (text) => voice.say(text),
  })
  return { server, to: (it) => bridge.resolve(it), ...withoutOurselves(loaded, server, (text) => voice.say(text)) }
}

/** A shell that points the trainer at us points us at ourselves: that is no destination. */
function withoutOurselves(
  { settings, sources }: LoadedSettings,
  server: OtlpHttpServer | null,
  say: (text: string) => void,
): { settings: Settings; problem: string | null } {
  const own = ENDPOINTS.filter((name) => settings[name] !== null && isAt(settings[name], server))
  if (own.length === 0) return { settings, problem: null }
  const words = `${sources[own[0]!]}: '${withoutCredentials(settings[own[0]!]!)}' is where this Spanbridge receives OTLP itself`
  if (own.some((name) => !sources[name].startsWith('OTEL_')))
    return { settings, problem: `${words}; expected another destination of spans` }
  say(`${words}; it is not taken for a destination of spans`)
  return { settings: { ...settings, ...Object.fromEntries(own.map((name) => [name, null])) }, problem: null }
}

/** Whether an address is that of a receiver. */
function isAt(address: string, server: OtlpHttpServer | null): boolean {
  if (server === null || !URL.canParse(address)) return false
  const { hostname, port } = new URL(address)
  const isHere = ['127.0.0.1', 'localhost', '[::1]', '0.0.0.0'].includes(hostname)
  return isHere && port === server.address.slice(server.address.lastIndexOf(':') + 1)
}

/** Variables of a signal, which would count before the one that we set. */
const OF_SIGNALS = ['TRACES', 'LOGS'].flatMap((signal) => [
  `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`,
  `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`,
  `OTEL_EXPORTER_OTLP_${signal}_HEADERS`,
])

/** The environment of a command whose OpenTelemetry SDK is to send to us; what stood there is our own destination. */
export function otlpEnv(env: Env, server: OtlpHttpServer | null, run: string, settings: Settings): Env {
  if (server === null) return env
  const token = settings['otlpHttp.token']
  const rest = Object.fromEntries(Object.entries(env).filter(([name]) => !OF_SIGNALS.includes(name)))
  delete rest['OTEL_EXPORTER_OTLP_HEADERS']
  const attributes = env['OTEL_RESOURCE_ATTRIBUTES'] ?? ''
  return {
    ...rest,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${server.address}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_RESOURCE_ATTRIBUTES: `${attributes === '' ? '' : `${attributes},`}spanbridge.run=${run}`,
    ...(token === null ? {} : { OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${encodeURIComponent(token)}` }),
  }
}

/** Addresses by listener, for scripts. */
export const listenersOf = (
  { server }: OtlpReceiver,
  page: { address: string } | null = null,
): Record<string, string> => ({
  ...(server === null ? {} : { 'otlp-http': server.address }),
  ...(page === null ? {} : { web: page.address }),
})
