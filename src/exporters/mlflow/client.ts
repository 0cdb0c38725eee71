import { request, type Dispatcher } from 'undici'
import { withoutCredentials } from '../../config/load.ts'
import type { Settings } from '../../config/settings.ts'
import { isDeeperThan } from '../../otlp/json-texts.ts'
import type { Failure } from '../exporter.ts'
import {
  createDispatcher,
  hiding,
  oneLine,
  proxiesOf,
  retryAfterMs,
  textOf,
  unreachable,
  type TransportOptions,
} from '../http.ts'

/** How to reach the server, and as whom. */
export interface ClientOptions extends TransportOptions {
  trackingUri: string
  username: string | null
  password: string | null
  token: string | null
}

/** Longest answer with traces: spans may be many, and their attributes long. */
const MAX_TRACES_BYTES = 64 << 20

/** MLflow's words when the name of a metric is at fault: `metrics[3].name`, `'Metric name' exceeds ...`. */
const ABOUT_KEY = /metrics\[\d+\]\.(?:name|key)|metric name/i

/** An answer of MLflow's, or the failure to get one. */
export type Answer = { kind: 'ok'; json: Record<string, unknown> } | (Failure & { code?: string; status?: number })

/** A tracking URI as the beginning of addresses: without credentials, and without `/v1/traces` at its end. */
export function baseOf(trackingUri: string): string {
  const url = new URL(trackingUri)
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  return url.href.replace(/\/+$/, '').replace(/\/v1\/traces$/, '')
}

/** The header with credentials, if there are any: from the settings, else from the address. */
export function authorizationOf(options: ClientOptions): Record<string, string> {
  const url = new URL(options.trackingUri)
  const user = options.username ?? (url.username === '' ? null : decodeURIComponent(url.username))
  const password = options.password ?? (url.password === '' ? null : decodeURIComponent(url.password))
  if (user !== null) return { authorization: `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}` }
  return options.token === null ? {} : { authorization: `Bearer ${options.token}` }
}

/** What the settings say of the server. */
export const clientOptionsOf = (settings: Settings): ClientOptions => ({
  trackingUri: settings['mlflow.trackingUri']!,
  username: settings['mlflow.username'],
  password: settings['mlflow.password'],
  token: settings['mlflow.token'],
  insecureTls: settings['mlflow.insecureTls'],
  serverCertPath: settings['mlflow.serverCertPath'],
  clientCertPath: settings['mlflow.clientCertPath'],
  proxy: proxiesOf(settings),
})

/** Speaks MLflow's REST protocol: one request, one answer, told apart by status, code and shape. Never throws. */
export class MlflowClient {
  readonly address: string
  /** Beginning of every address of the server, without a slash at its end. */
  readonly base: string
  readonly #headers: Record<string, string>
  readonly #hide: (text: string) => string
  readonly #dispatcher: Dispatcher

  /** @throws when a certificate file cannot be read */
  constructor(options: ClientOptions, dispatcher: Dispatcher = createDispatcher(options)) {
    this.base = baseOf(options.trackingUri)
    this.address = this.base
    const authorization = authorizationOf(options)
    this.#hide = hiding(authorization)
    this.#headers = { 'user-agent': 'spanbridge', accept: 'application/json', ...authorization }
    this.#dispatcher = dispatcher
  }

  get(path: string, query: Readonly<Record<string, string>>, abort: AbortSignal): Promise<Answer> {
    return this.#ask('GET', `2.0/mlflow/${path}?${new URLSearchParams(query).toString()}`, null, abort)
  }

  /** Whole traces: their part of the protocol is of version 3, and their answers are long. */
  getTraces(traceIds: readonly string[], abort: AbortSignal): Promise<Answer> {
    const query = new URLSearchParams(traceIds.map((id): [string, string] => ['trace_ids', id]))
    return this.#ask('GET', `3.0/mlflow/traces/batchGet?${query.toString()}`, null, abort, MAX_TRACES_BYTES)
  }

  /** `body` is JSON text, its bytes, or what becomes it. */
  post(path: string, body: string | Buffer | object, abort: AbortSignal): Promise<Answer> {
    const isText = typeof body === 'string' || Buffer.isBuffer(body)
    return this.#ask('POST', `2.0/mlflow/${path}`, isText ? body : JSON.stringify(body), abort)
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

  async #ask(
    method: 'GET' | 'POST',
    path: string,
    body: string | Buffer | null,
    abort: AbortSignal,
    limit?: number,
  ): Promise<Answer> {
    let answered = false
    try {
      const response = await request(`${this.base}/api/${path}`, {
        method,
        headers: body === null ? this.#headers : { ...this.#headers, 'content-type': 'application/json' },
        body,
        dispatcher: this.#dispatcher,
        signal: abort,
      })
      answered = true
      return this.#judge(response.statusCode, response.headers, await textOf(response.body, limit))
    } catch (error) {
      return unreachable(`MLflow at ${this.address}`, error as NodeJS.ErrnoException, abort, answered)
    }
  }

  #judge(status: number, headers: Dispatcher.ResponseData['headers'], text: string): Answer {
    const json = parseObject(text)
    if (status === 200 && json !== null) return { kind: 'ok', json }
    const code = typeof json?.['error_code'] === 'string' ? json['error_code'] : undefined
    const words = this.#hide(code === undefined ? text : typeof json?.['message'] === 'string' ? json['message'] : '')
    const said = code === undefined ? oneLine(words) : `${code}: ${oneLine(words)}`
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
        `sends us elsewhere (${status}, to ${withoutCredentials(oneLine(String(headers['location'] ?? 'nowhere')))}): set the tracking URI to where it answers`,
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
}

/** An answer of one list inside the other, 120,000 deep, takes V8 100 ms and more for 240 kB; MLflow's stay below 10. */
const MAX_NESTING = 100

function parseObject(text: string): Record<string, unknown> | null {
  if (isDeeperThan(text, MAX_NESTING)) return null
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
