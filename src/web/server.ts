import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { DamagedJournal } from '../journal/damage.ts'
import { UnknownRun, type Store } from '../store/store.ts'
import { checkHost, checkOrigin, portOf, shownToken, typeOf, WITHOUT_TOKEN, type Guard } from './guard.ts'
import { LiveHub } from './live.ts'
import type { PageFiles } from './page-files.ts'
import { Query } from './query.ts'
import { PageRefusal } from './refusal.ts'
import { SECURITY_HEADERS, sendJson, sendText } from './reply.ts'
import { ROUTES, type Call, type Serving } from './routes.ts'
import { EventStream } from './sse.ts'
import { cookieName, cookieValue, isSame } from './token.ts'
import { Turns } from './turns.ts'

const API = '/api/v1'
const MAX_BODY_BYTES = 64 << 10
const MAX_HEADER_BYTES = 16 << 10
const MAX_CONNECTIONS = 64
/** Of answers that nobody reads, beyond which no chart is made; the greatest one has some 50 MB. */
const MAX_UNSENT_BYTES = 64 << 20
/** A client that has not sent its headers, or its whole request, by then is cut off; as is one that reads nothing. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 20_000
const IDLE_MS = 60_000
const CHECK_MS = 2000
/** How often it is looked whether the last of it has left. */
const LAST_LOOK_MS = 5

export interface PageServerOptions {
  guard: Guard
  store: Store
  files: PageFiles
  serving: Serving
  /** `docs/openapi.json`. */
  openapi: () => string
  /** UTC ms. */
  now: () => number
  /** A throw that nobody expects. */
  onFault: (error: unknown) => void
  /** Of answers that nobody reads, beyond which no chart is made; default: 64 MB. */
  maxUnsentBytes?: number
}

/** Serves the page and its API on connections that somebody else has accepted. */
export class PageServer {
  readonly #options: PageServerOptions
  readonly #http: Server
  readonly #hub: LiveHub
  readonly #sockets = new Set<Socket>()
  readonly #responses = new Set<ServerResponse>()
  readonly #turns = new Turns()
  readonly #spanTurns = new Turns()

  constructor(options: PageServerOptions) {
    this.#options = options
    const { store, serving, now, onFault } = options
    const hello = () => ({ version: serving.version, now: now(), pid: serving.server.pid })
    this.#hub = new LiveHub({ store, hello, now, onFault })
    this.#http = createServer(
      { maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval: CHECK_MS },
      (request, response) => {
        void this.#answer(request, response)
      },
    )
    this.#http.headersTimeout = HEADERS_TIMEOUT_MS
    this.#http.requestTimeout = REQUEST_TIMEOUT_MS
    this.#http.keepAliveTimeout = IDLE_MS
    this.#http.timeout = IDLE_MS
    // Node.js watches over time-outs of a server from this event on, which one that never listens itself does not have.
    this.#http.emit('listening')
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** Takes over a connection from which nothing has been read. */
  take(socket: Socket): void {
    socket.on('error', () => {}) // whoever was there has gone
    if (this.#sockets.size >= MAX_CONNECTIONS) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n')
      socket.destroySoon()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    socket.setNoDelay(true)
    this.#http.emit('connection', socket)
  }

  /** Readers of the live stream hear of all that there is by now. Resolves when it is on its way to them. */
  async last(): Promise<void> {
    this.#hub.last()
    while ([...this.#sockets].some((socket) => socket.writableLength > 0)) await setTimeout(LAST_LOOK_MS)
  }

  /** Ends all connections, whatever is being sent. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#http.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value)
    this.#responses.add(response)
    response.once('close', () => this.#responses.delete(response))
    try {
      await this.#serve(request, response)
    } catch (error) {
      const refusal = refusalOf(error)
      if (refusal === null) this.#options.onFault(error)
      const { status, message, headers } =
        refusal ?? new PageRefusal(500, 'a fault of ours: see what Spanbridge has printed')
      if (response.headersSent || response.destroyed) {
        response.destroy()
        return
      }
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
      // What is left of a body is not read.
      if (!request.complete) response.setHeader('connection', 'close')
      const isApi = (request.url ?? '').startsWith(API)
      if (isApi) await sendJson(response, status, { error: message })
      else await sendText(response, status, 'text/plain; charset=utf-8', `${message}\n`)
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { guard, files } = this.#options
    checkHost(request, guard)
    const [path, search] = cut(request.url ?? '')
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (path === '/' && isRead && new URLSearchParams(search).has('token')) return this.#letIn(search, response)
    const by = shownToken(request, guard)
    if (by === null) throw new PageRefusal(401, WITHOUT_TOKEN, { 'www-authenticate': 'Bearer' })
    if (path === API || path.startsWith(`${API}/`)) {
      checkOrigin(request, by)
      return this.#route(request, response, path.slice(API.length), search)
    }
    if (!isRead) throw wrongMethod(request, ['GET', 'HEAD'])
    files.send(response, path)
  }

  /** `/?token=T`: the token becomes a cookie and leaves the address. */
  #letIn(search: string, response: ServerResponse): void {
    const { token } = this.#options.guard
    const port = portOf(response.req, this.#options.guard)
    const params = new URLSearchParams(search)
    if (!isSame(params.getAll('token').join(','), token)) throw new PageRefusal(401, WITHOUT_TOKEN)
    params.delete('token')
    response.writeHead(303, {
      'set-cookie': `${cookieName(port)}=${cookieValue(token, port)}; HttpOnly; SameSite=Strict; Path=/`,
      location: params.size === 0 ? '/' : `/?${params.toString()}`,
      'cache-control': 'no-store',
      'content-length': 0,
    })
    response.end()
  }

  #clogged(): number {
    const unsent = [...this.#responses].reduce((sum, { writableLength }) => sum + writableLength, 0)
    return unsent > (this.#options.maxUnsentBytes ?? MAX_UNSENT_BYTES) ? Math.ceil(unsent / (1 << 20)) : 0
  }

  async #route(request: IncomingMessage, response: ServerResponse, path: string, search: string): Promise<void> {
    const { store, serving, now, openapi } = this.#options
    const method = request.method === 'HEAD' ? 'GET' : request.method
    if (path === '/openapi.json') {
      if (method !== 'GET') throw wrongMethod(request, ['GET', 'HEAD'])
      return sendText(response, 200, 'application/json; charset=utf-8', openapi())
    }
    const fitting = ROUTES.map((route) => ({ route, run: runIn(route.path, path) })).filter(({ run }) => run !== null)
    if (fitting.length === 0) throw new PageRefusal(404, `there is nothing at '${API}${path}'`)
    const found = fitting.find(({ route }) => route.method === method)
    if (found === undefined) {
      const allow = fitting.flatMap(({ route }) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]))
      throw wrongMethod(request, allow)
    }
    const call: Call = {
      store,
      hub: this.#hub,
      serving,
      now,
      run: found.run!,
      query: new Query(search),
      body: found.route.takesBody === true ? await readJson(request) : undefined,
      lastEventId: request.headers['last-event-id']?.toString(),
      isGone: () => response.destroyed,
      turns: this.#turns,
      spanTurns: this.#spanTurns,
      clogged: () => this.#clogged(),
      stream: () => new EventStream(response),
    }
    const answer: unknown = await found.route.handle(call)
    if (answer !== undefined) await sendJson(response, 200, answer)
  }
}

/** Null: nobody expects that. */
const wrongMethod = ({ method }: IncomingMessage, allow: readonly string[]): PageRefusal =>
  new PageRefusal(405, `expected ${allow.join(', ')}, got ${method}`, { allow: allow.join(', ') })

function refusalOf(error: unknown): PageRefusal | null {
  if (error instanceof PageRefusal) return error
  if (error instanceof UnknownRun) return new PageRefusal(404, error.message)
  const isUnreadable = error instanceof DamagedJournal || (error as { code?: string }).code === 'ERR_SQLITE_ERROR'
  return isUnreadable ? new PageRefusal(500, `the journal cannot be read: ${(error as Error).message}`) : null
}

/** Path and query of a request line. */
function cut(url: string): [path: string, search: string] {
  const mark = url.indexOf('?')
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)]
}

/** The run that a path names; empty: it names none; null: it is not of this pattern. */
function runIn(pattern: string, path: string): string | null {
  const wanted = pattern.split('/')
  const parts = path.split('/')
  if (wanted.length !== parts.length) return null
  let run = ''
  for (const [i, part] of parts.entries()) {
    if (wanted[i] !== '{run}') {
      if (wanted[i] !== part) return null
      continue
    }
    if (part === '') return null
    run = decoded(part)
  }
  return run
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new PageRefusal(400, `expected a path with percent signs as %25, got '${part}'`)
  }
}

/** @throws PageRefusal 415 (another type), 413 (too large), 400 (no JSON) */
async function readJson(request: IncomingMessage): Promise<unknown> {
  if (typeOf(request) !== 'application/json')
    throw new PageRefusal(415, `expected the content type application/json, got '${typeOf(request)}'`)
  const tooLarge = (): PageRefusal => new PageRefusal(413, `expected a body of ${MAX_BODY_BYTES >> 10} KB at most`)
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_BODY_BYTES) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof PageRefusal ? error : new PageRefusal(499, 'whoever asked has gone')
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (error) {
    throw new PageRefusal(400, `expected JSON, got something else: ${(error as Error).message}`)
  }
}
