import { readFileSync } from 'node:fs'
import { Agent, EnvHttpProxyAgent, request, type Dispatcher } from 'undici'
import type { Failure } from '../exporter.ts'

/** How to reach the server. */
export interface ClientOptions {
  trackingUri: string
  username: string | null
  password: string | null
  token: string | null
  insecureTls: boolean
  serverCertPath: string | null
  clientCertPath: string | null
  proxy: { http: string | null; https: string | null; none: string | null }
}

/** Longest answer that is read; MLflow's own are far below. */
const MAX_ANSWER_BYTES = 8 << 20

/** MLflow's words when the name of a metric is at fault: `metrics[3].name`, `'Metric name' exceeds ...`. */
const ABOUT_KEY = /metrics\[\d+\]\.(?:name|key)|metric name/i

const UNREACHABLE: ReadonlySet<string> = new Set([
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
])
const CLOSED: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** An answer of MLflow's, or the failure to get one. */
export type Answer = { kind: 'ok'; json: Record<string, unknown> } | (Failure & { code?: string; status?: number })

/** Speaks MLflow's REST protocol: one request, one answer, told apart by status, code and shape. Never throws. */
export class MlflowClient {
  readonly address: string
  /** Beginning of every address of the server, without a slash at its end. */
  readonly base: string
  readonly #headers: Record<string, string>
  readonly #dispatcher: Dispatcher

  /** @throws when a certificate file cannot be read */
  constructor(options: ClientOptions) {
    const url = new URL(options.trackingUri)
    const user = options.username ?? (url.username === '' ? null : decodeURIComponent(url.username))
    const password = options.password ?? (url.password === '' ? null : decodeURIComponent(url.password))
    url.username = ''
    url.password = ''
    url.search = ''
    url.hash = ''
    this.base = url.href.replace(/\/+$/, '')
    this.address = this.base
    this.#headers = { 'user-agent': 'spanbridge', accept: 'application/json' }
    if (user !== null) {
      this.#headers['authorization'] = `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}`
    } else if (options.token !== null) {
      this.#headers['authorization'] = `Bearer ${options.token}`
    }
    this.#dispatcher = createDispatcher(options)
  }

  get(path: string, query: Readonly<Record<string, string>>, abort: AbortSignal): Promise<Answer> {
    return this.#ask('GET', `${path}?${new URLSearchParams(query).toString()}`, null, abort)
  }

  /** `body` is JSON text, or what becomes it. */
  post(path: string, body: string | object, abort: AbortSignal): Promise<Answer> {
    return this.#ask('POST', path, typeof body === 'string' ? body : JSON.stringify(body), abort)
  }

  /** Whether the server is of an earlier version; one that does not say is taken for one. */
  async isBefore(major: number, minor: number, abort: AbortSignal): Promise<boolean> {
    try {
      const options = { headers: this.#headers, dispatcher: this.#dispatcher, signal: abort }
      const response = await request(`${this.base}/version`, options)
      const match = /^(\d+)\.(\d+)\./.exec(await textOf(response.body))
      if (response.statusCode !== 200 || match === null) return true
      return Number(match[1]) < major || (Number(match[1]) === major && Number(match[2]) < minor)
    } catch {
      return true // what is wrong with the server, the next request finds out and says
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy()
  }

  async #ask(method: 'GET' | 'POST', path: string, body: string | null, abort: AbortSignal): Promise<Answer> {
    let answered = false
    try {
      const response = await request(`${this.base}/api/2.0/mlflow/${path}`, {
        method,
        headers: body === null ? this.#headers : { ...this.#headers, 'content-type': 'application/json' },
        body,
        dispatcher: this.#dispatcher,
        signal: abort,
      })
      answered = true
      return this.#judge(response.statusCode, response.headers, await textOf(response.body))
    } catch (error) {
      return this.#unreachable(error as NodeJS.ErrnoException, abort, answered)
    }
  }

  #judge(status: number, headers: Dispatcher.ResponseData['headers'], text: string): Answer {
    const json = parseObject(text)
    if (status === 200 && json !== null) return { kind: 'ok', json }
    const code = typeof json?.['error_code'] === 'string' ? json['error_code'] : undefined
    const said =
      code === undefined
        ? oneLine(text)
        : `${code}: ${oneLine(typeof json?.['message'] === 'string' ? json['message'] : '')}`
    const error = (words: string): Error => new Error(`MLflow at ${this.address} ${words}`)
    const afterMs = retryAfterMs(headers['retry-after'])
    const retry = (words: string): Answer => ({
      kind: 'retry',
      error: error(words),
      status,
      ...(afterMs === null ? {} : { afterMs }),
      ...(code === undefined ? {} : { code }),
    })
    if (status === 401)
      return retry(
        'asks for credentials (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN',
      )
    if (status === 403) {
      // MLflow's own words for both come without an error code.
      const cure = /\bhost header\b|rebinding/i.test(said)
        ? 'start it with --allowed-hosts and this address, or use 127.0.0.1'
        : 'the user lacks the rights'
      return retry(`forbids it (403, ${said}): ${cure}`)
    }
    if (status >= 300 && status < 400)
      return retry(
        `sends us elsewhere (${status}, to ${oneLine(String(headers['location'] ?? 'nowhere'))}): set the tracking URI to where it answers`,
      )
    // A gateway that gave up waiting does not know what became of the request.
    if (status === 502 || status === 504) {
      return { kind: 'unanswered', error: error(`is behind a gateway that got no answer (${status}, ${said})`), status }
    }
    // What MLflow does not know at all it does not answer with a page.
    const isForeign = code === undefined && (status === 501 || status === 505)
    if (status === 429 || (status >= 500 && !isForeign)) return retry(`cannot take it now (${status}, ${said})`)
    // MLflow answers BAD_REQUEST for faults of its database, a pool that is used up among them: those pass.
    if (code !== undefined && code !== 'BAD_REQUEST')
      return { kind: 'drop', error: error(`refuses it (${said})`), code, forKey: ABOUT_KEY.test(said) }
    if (status === 413)
      return { kind: 'drop', error: error(`or a proxy before it takes no body of this size (413, ${said})`) }
    if (code !== undefined) return retry(`cannot take it (${said})`)
    return retry(`does not answer like MLflow (${status}, ${said}): does the address lead to another server?`)
  }

  /** `answered`: the beginning of an answer had come. */
  #unreachable(error: NodeJS.ErrnoException, abort: AbortSignal, answered: boolean): Failure {
    const words = (text: string): Error => new Error(`MLflow at ${this.address} ${text}`, { cause: error })
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
      const text = `shows a certificate that does not hold (${code}): set MLFLOW_TRACKING_SERVER_CERT_PATH, or MLFLOW_TRACKING_INSECURE_TLS=true`
      return { kind: 'retry', error: words(text) }
    }
    if (!answered && CLOSED.has(code)) {
      const text = `closed the connection before it answered (${code}): is anything running at the tunnel's other end?`
      return { kind: 'unanswered', error: words(text), absent: true }
    }
    return { kind: 'unanswered', error: words(`broke off its answer (${code === '' ? error.message : code})`) }
  }
}

function createDispatcher(options: ClientOptions): Dispatcher {
  const tls = {
    rejectUnauthorized: !options.insecureTls,
    ...(options.serverCertPath === null ? {} : { ca: readFileSync(options.serverCertPath) }),
    ...(options.clientCertPath === null ? {} : pem(readFileSync(options.clientCertPath))),
  }
  // Time-outs are the delivery's: one for the whole of an attempt. uvicorn closes idle connections after 5 s.
  const common = { connect: tls, headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 3000, keepAliveMaxTimeout: 4000 }
  const { http, https, none } = options.proxy
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
const pem = (bytes: Buffer): { cert: Buffer; key: Buffer } => ({ cert: bytes, key: bytes })

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error('the answer is longer than 8 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/** The beginning of an answer, without markup, on one line. */
const oneLine = (text: string): string =>
  text
    .slice(0, 4000)
    .replace(/<(?:style|script)[^>]*>.*?<\/(?:style|script)>|<[^>]*>/gs, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 240) || 'no words'

/** `Retry-After` as seconds or a date. */
function retryAfterMs(header: string | string[] | undefined): number | null {
  if (typeof header !== 'string') return null
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now())
}
