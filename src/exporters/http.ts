import { readFileSync } from 'node:fs'
import type { Dispatcher } from 'undici'
import { proxyUrl } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import type { Failure } from './exporter.ts'
import { undici } from './undici.ts'

/** How to reach a server: whom to trust, and by way of whom. */
export interface TransportOptions {
  insecureTls: boolean
  serverCertPath: string | null
  /** The certificate; with its key in the same file, where `clientKeyPath` names no other. */
  clientCertPath: string | null
  clientKeyPath?: string | null
  proxy: { http: string | null; https: string | null; none: string | null }
}

const orNull = (text: string | null): string | null => (text === null ? null : proxyUrl(text))

/** The proxies that the settings name. */
export const proxiesOf = (settings: Settings): TransportOptions['proxy'] => ({
  http: orNull(settings['proxy.http']),
  https: orNull(settings['proxy.https']),
  none: settings['proxy.none'],
})

/** Longest answer that is read. */
const MAX_ANSWER_BYTES = 8 << 20

const UNREACHABLE: ReadonlySet<string> = new Set([
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
])
/** Names of our library for what it has met say nothing to users. */
const CODE_OF_UNDICI = /^UND_ERR_/
const CLOSED: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** Why no answer came from `who`, in words; `answered`: the beginning of one had come. */
export function unreachable(who: string, error: NodeJS.ErrnoException, abort: AbortSignal, answered: boolean): Failure {
  const words = (text: string): Error => new Error(`${who} ${text}`, { cause: error })
  if (abort.aborted) {
    return { kind: 'unanswered', error: words('does not answer: does the server hang, or the tunnel lead nowhere?') }
  }
  const code = error.code ?? (error.cause as NodeJS.ErrnoException | undefined)?.code ?? ''
  if (code === 'ECONNREFUSED') {
    const text = 'is not there (connection refused): is the server running, and the tunnel up?'
    return { kind: 'retry', error: words(text), absent: true }
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return {
      kind: 'retry',
      error: words(`cannot be found (${code}: no address for the host name): is it spelt right?`),
    }
  }
  if (UNREACHABLE.has(code)) return { kind: 'retry', error: words(`cannot be reached (${code})`) }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code))
    return { kind: 'retry', error: words(`speaks no TLS (${code}): is its address http:// and not https://?`) }
  if (/CERT|TLS|SSL|SELF_SIGNED|ISSUER/.test(code)) {
    const text = `shows a certificate that does not hold (${code}): set MLFLOW_TRACKING_SERVER_CERT_PATH (for an OTLP destination OTEL_EXPORTER_OTLP_CERTIFICATE), or MLFLOW_TRACKING_INSECURE_TLS=true`
    return { kind: 'retry', error: words(text) }
  }
  if (!answered && CLOSED.has(code)) {
    const text = `closed the connection before it answered${CODE_OF_UNDICI.test(code) ? '' : ` (${code})`}: is anything running at the tunnel's other end?`
    return { kind: 'unanswered', error: words(text), absent: true }
  }
  const why = code === '' || CODE_OF_UNDICI.test(code) ? error.message : code
  return { kind: 'unanswered', error: words(`broke off its answer (${why})`) }
}

/** Connections as the options say. @throws when a certificate file cannot be read */
export function createDispatcher(options: TransportOptions): Dispatcher {
  const tls = {
    rejectUnauthorized: !options.insecureTls,
    ...(options.serverCertPath === null ? {} : { ca: readFileSync(options.serverCertPath) }),
    ...(options.clientCertPath === null ? {} : pem(options.clientCertPath, options.clientKeyPath ?? null)),
  }
  // Time-outs are the delivery's: one for the whole of an attempt. uvicorn closes idle connections after 5 s.
  const common = { connect: tls, headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 3000, keepAliveMaxTimeout: 4000 }
  const { http, https, none } = options.proxy
  const { Agent, EnvHttpProxyAgent } = undici()
  if (http === null && https === null) return new Agent(common)
  return new EnvHttpProxyAgent({
    ...common,
    requestTls: tls,
    ...(http === null ? {} : { httpProxy: http }),
    ...(https === null ? {} : { httpsProxy: https }),
    noProxy: none ?? '',
  })
}

/** MLflow's client certificate is one file with both, as requests takes it. */
function pem(certPath: string, keyPath: string | null): { cert: Buffer; key: Buffer } {
  const cert = readFileSync(certPath)
  return { cert, key: keyPath === null ? cert : readFileSync(keyPath) }
}

/** The text of a body. @throws when it is longer than `limit` */
export async function textOf(body: AsyncIterable<Buffer>, limit = MAX_ANSWER_BYTES): Promise<string> {
  const bytes = await beginningOf(body, limit + 1)
  if (bytes.length > limit) throw new Error(`the answer is longer than ${limit >> 20} MiB`)
  return bytes.toString()
}

/** At most `limit` bytes of a body; what is longer is cut off there, and its connection with it. */
export async function beginningOf(body: AsyncIterable<Buffer>, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= limit) break
  }
  return Buffer.concat(chunks).subarray(0, limit)
}

/** Shorter ones are words that any text may hold. */
const SHORTEST_HIDDEN = 6

/**
 * Takes our own credentials out of foreign words: servers for debugging, and proxies, say back what they were sent.
 * `headers` are those with which we ask; of Basic authentication the user may be said, the password not.
 */
export function hiding(headers: Readonly<Record<string, string>>): (text: string) => string {
  const secrets = Object.entries(headers).flatMap(([name, value]) => {
    const credential = /^(?:basic|bearer)\s+(.*)$/i.exec(value)?.[1] ?? value
    const password =
      name === 'authorization'
        ? Buffer.from(credential, 'base64')
            .toString()
            .replace(/^[^:]*:/, '')
        : ''
    return [credential, password].filter(({ length }) => length >= SHORTEST_HIDDEN)
  })
  return (text) => secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text)
}

/** The beginning of an answer, without markup, on one line. */
export const oneLine = (text: string): string =>
  text
    .slice(0, 4000)
    .replace(/<(?:style|script)[^>]*>.*?<\/(?:style|script)>|<[^>]*>/gs, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 240) || 'no words'

/** `Retry-After` as seconds or a date. */
export function retryAfterMs(header: string | string[] | undefined): number | null {
  if (typeof header !== 'string') return null
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now())
}
