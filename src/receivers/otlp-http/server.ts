import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isLoopback } from '../../config/loopback.ts'
import {
  encodePartialSuccess,
  encodeStatus,
  encodeSuccess,
  type Encoding,
  type PartialSuccess,
} from '../../otlp/status.ts'
import { VIA_HEADER } from '../../otlp/via.ts'
import { BodyBudget, readBody, Refusal } from './body.ts'

/** What all bodies being received may hold together. */
const BUDGET_BYTES = 256 << 20
/** A sender that has not sent its headers, or its whole request, by then is cut off. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 60_000
/** A connection without requests is closed after this long. */
const IDLE_MS = 60_000
const MAX_CONNECTIONS = 1024
/** At the end a sender has this long for the rest of its request, and we as long again for the answer. */
const CLOSE_PATIENCE_MS = 1000
/** Sent with 503: when to come again, in seconds. */
const RETRY_AFTER = '1'

/** Codes of google.rpc.Status for the answers that are given here. */
const RPC_CODE: Readonly<Record<number, number>> = { 400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 3, 415: 3, 503: 14 }

const SIGNALS = ['/v1/traces', '/v1/logs', '/v1/metrics'] as const
export type SignalPath = (typeof SIGNALS)[number]

export interface OtlpHttpOptions {
  host: string
  /** 0: a free one. */
  port: number
  /** What a sender must show as `Authorization: Bearer`; null: nothing. */
  token: string | null
  /** Takes a decompressed body. Resolves when all of it is durable, with what was refused for ever; @throws Refusal */
  take: (path: SignalPath, body: Buffer, encoding: Encoding) => Promise<PartialSuccess | null>
  /** Hears of those that a request has come through; whether we are among them. */
  hasComeBack: (via: string) => boolean
  /** A throw that was no refusal: a fault of ours. */
  onFault: (error: Error) => void
}

/** A listening receiver. */
export interface OtlpHttpServer {
  /** As `host:port`. */
  readonly address: string
  /** Takes no new requests; resolves when those under way are answered. */
  close(): Promise<void>
}

/** Listens for OTLP/HTTP (opentelemetry.io/docs/specs/otlp). @throws what the system says when it cannot listen */
export async function listenOtlpHttp(options: OtlpHttpOptions): Promise<OtlpHttpServer> {
  const budget = new BodyBudget(BUDGET_BYTES)
  const underWay = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    underWay.add(response)
    response.once('close', () => underWay.delete(response))
    if (!server.listening) response.setHeader('connection', 'close')
    void serve(request, response, options, budget)
  })
  server.headersTimeout = HEADERS_TIMEOUT_MS
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.keepAliveTimeout = IDLE_MS
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  server.on('error', () => {}) // a connection that could not be accepted is the sender's to try again
  const { port } = server.address() as AddressInfo
  return {
    address: `${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    close: () => close(server, underWay),
  }
}

/** Requests that are here are answered; those that are still being sent are cut off after a while. */
function close(server: Server, underWay: ReadonlySet<ServerResponse>): Promise<void> {
  return new Promise((resolve) => {
    for (const response of underWay) if (!response.headersSent) response.setHeader('connection', 'close')
    const cutOff = (): void => {
      for (const { req } of underWay) if (!req.complete) req.destroy()
      server.closeIdleConnections()
    }
    const timers = [
      setTimeout(cutOff, CLOSE_PATIENCE_MS),
      setTimeout(() => server.closeAllConnections(), 2 * CLOSE_PATIENCE_MS),
    ]
    server.close(() => {
      timers.forEach(clearTimeout)
      resolve() // also of one that is closed already
    })
    server.closeIdleConnections()
  })
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: OtlpHttpOptions,
  budget: BodyBudget,
): Promise<void> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
  const encoding: Encoding = type === 'application/json' ? 'json' : 'protobuf'
  try {
    const path = pathOf(request, options)
    if (type !== 'application/json' && type !== 'application/x-protobuf')
      throw new Refusal(415, `expected the content type application/x-protobuf or application/json, got '${type}'`)
    const { body, release } = await readBody(request, budget)
    try {
      const refused = await options.take(path, body, encoding)
      const signal = path === '/v1/logs' ? 'logs' : 'traces'
      const bytes = refused === null ? encodeSuccess(encoding) : encodePartialSuccess(signal, refused, encoding)
      answer(response, 200, bytes, encoding)
    } finally {
      release()
    }
  } catch (error) {
    if (response.destroyed) return // whoever asked has gone
    if (!(error instanceof Refusal)) options.onFault(error as Error)
    const { status, message } = error instanceof Refusal ? error : new Refusal(503, 'a fault of ours; come again')
    if (status === 405) response.setHeader('allow', 'POST')
    if (status === 503) response.setHeader('retry-after', RETRY_AFTER)
    // What is left of a body is not read.
    if (!request.complete) response.setHeader('connection', 'close')
    answer(response, status, encodeStatus(RPC_CODE[status] ?? 13, message, encoding), encoding)
  }
}

function answer(response: ServerResponse, status: number, body: Uint8Array, encoding: Encoding): void {
  const type = encoding === 'json' ? 'application/json' : 'application/x-protobuf'
  response.writeHead(status, { 'content-type': type, 'content-length': body.byteLength }).end(body)
}

/** The signal that a request is for. @throws Refusal */
function pathOf(request: IncomingMessage, { host, token, hasComeBack }: OtlpHttpOptions): SignalPath {
  if (request.rawHeaders.filter((name, i) => i % 2 === 0 && /^host$/i.test(name)).length > 1)
    throw new Refusal(400, 'expected one Host header, got several')
  // Names of this machine: another one comes from a page that a browser was lured to (DNS rebinding).
  const named = (request.headers.host ?? '127.0.0.1').replace(/:\d+$/, '').toLowerCase()
  if (isLoopback(host) && !isLoopback(named))
    throw new Refusal(403, `expected a Host header of this machine (127.0.0.1 or localhost), got '${named}'`)
  if (token !== null && !isSame(request.headers.authorization ?? '', `Bearer ${token}`))
    throw new Refusal(401, 'expected the token of this receiver as Authorization: Bearer')
  const via = request.headers[VIA_HEADER]
  if (typeof via === 'string' && hasComeBack(via))
    throw new Refusal(508, 'these spans come from this Spanbridge itself: a destination of spans leads back here')
  const path = (request.url ?? '').split('?')[0]!
  const signal = SIGNALS.find((known) => known === path)
  if (signal === undefined) throw new Refusal(404, `expected one of ${SIGNALS.join(', ')}, got '${path}'`)
  if (request.method !== 'POST') throw new Refusal(405, `expected POST, got ${request.method}`)
  return signal
}

/** Compares in a time that tells nothing of where the two differ. */
const isSame = (shown: string, wanted: string): boolean => timingSafeEqual(sha256(shown), sha256(wanted))

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()
