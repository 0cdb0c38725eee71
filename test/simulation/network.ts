import { Dispatcher } from 'undici'
import type { Random } from './random.ts'
import type { Life, Time } from './time.ts'

export interface Request {
  host: string
  method: string
  path: string
  headers: Readonly<Record<string, string>>
  body: string | Uint8Array
}

export interface Answer {
  status: number
  type: string
  body: string
  /** What the server needs for it. */
  ms?: number
}

/** What becomes of a request, as shares of 1; what is left over is answered as it should be. */
export interface NetworkFaults {
  /** Closed before the request has arrived. */
  reset: number
  /** Arrives, and the connection is closed before a byte of the answer. */
  lostAnswer: number
  /** Arrives, and the answer breaks off. */
  halfAnswer: number
  /** Never arrives, and nobody says so. */
  hang: number
  /** Arrives after up to 25 s. */
  late: number
  /** Arrives twice. */
  twice: number
  /** Answered by somebody before the server: 429, 500, 503, 400 or 200 with a page. */
  refusal: number
  /** 502 or 504: it has arrived, or it has not. */
  gateway: number
}

type Kind = keyof NetworkFaults
const KINDS: readonly Kind[] = ['reset', 'lostAnswer', 'halfAnswer', 'hang', 'late', 'twice', 'refusal', 'gateway']
export const noNetworkFaults = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as unknown as NetworkFaults

const LATEST_MS = 25_000
const PAGE = '<html><body><h1>Sorry</h1></body></html>'

const fault = (code: string): Error => Object.assign(new Error(code), { code })

/** The ways between processes and servers. A request under way lives on when the process that sent it dies. */
export class Network {
  faults: NetworkFaults = noNetworkFaults
  /** Hosts where nobody listens. */
  readonly down = new Set<string>()
  /** Requests that have left and not arrived. */
  underWay = 0
  trace: (line: string) => void = () => {}
  /** Hears of every request that leaves a process. */
  onSent: (request: Request) => void = () => {}
  readonly #time: Time
  readonly #random: Random
  readonly #serve: (request: Request) => Answer

  constructor(time: Time, random: Random, serve: (request: Request) => Answer) {
    this.#time = time
    this.#random = random
    this.#serve = serve
  }

  /** Connections of a process. */
  dispatcherOf(life: Life): Dispatcher {
    return new Connections((options, handler) => this.#take(life, options, handler))
  }

  #take(life: Life, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const request: Request = {
      host: new URL(String(options.origin)).host,
      method: options.method,
      path: options.path,
      headers: options.headers as Record<string, string>,
      body: (options.body ?? '') as string | Uint8Array,
    }
    const exchange = new Exchange(handler)
    this.onSent(request)
    const ms = this.#random.long(1, 60)
    const then = (after: number, run: () => void): void => void this.#time.after(after, run, life)
    if (this.down.has(request.host)) {
      then(ms, () => exchange.fail(fault('ECONNREFUSED')))
      return
    }
    exchange.begin()
    const kind = this.#kind()
    this.trace(`${kind ?? 'sends'} ${request.method} ${request.host}${request.path} ${brief(request.body)}`)
    const arrive = (after: number, answered: (answer: Answer) => void): void => {
      this.underWay += 1
      this.#time.after(
        after,
        () => {
          this.underWay -= 1
          if (this.down.has(request.host)) return // it has died with the server
          const answer = this.#serve(request)
          this.trace(`arrives ${request.path} ${brief(request.body)}: ${answer.status} ${brief(answer.body)}`)
          then(this.#random.long(1, 60) + (answer.ms ?? 0), () => answered(answer))
        },
        null,
      )
    }
    switch (kind) {
      case 'reset':
        return then(ms, () => exchange.fail(fault('UND_ERR_SOCKET')))
      case 'lostAnswer':
        return arrive(ms, () => exchange.fail(fault('UND_ERR_SOCKET')))
      case 'halfAnswer':
        return arrive(ms, (answer) => exchange.breakOff(answer, fault('UND_ERR_SOCKET')))
      case 'hang':
        return
      case 'late':
        // An end that overtakes the next one is more than anybody can undo.
        return arrive(this.#random.long(500, request.path.endsWith('runs/update') ? 2000 : LATEST_MS), (answer) =>
          exchange.answer(answer),
        )
      case 'twice':
        // A run that is made, or ended, once more after its end is more than anybody can see.
        arrive(ms + (/runs\/(?:create|update)$/.test(request.path) ? 1 : this.#random.long(1, 5000)), () => {})
        return arrive(ms, (answer) => exchange.answer(answer))
      case 'refusal':
        return then(ms, () =>
          exchange.answer(this.#refusal(request), { 'retry-after': String(this.#random.whole(0, 3)) }),
        )
      case 'gateway': {
        const answer = { status: this.#random.of([502, 504]), type: 'text/html', body: PAGE }
        if (this.#random.chance(0.5)) return arrive(ms, () => exchange.answer(answer))
        return then(ms, () => exchange.answer(answer))
      }
      default:
        return arrive(ms, (answer) => exchange.answer(answer))
    }
  }

  #kind(): Kind | null {
    let at = this.#random.next()
    for (const kind of KINDS) {
      at -= this.faults[kind]
      if (at < 0) return kind
    }
    return null
  }

  /** By somebody who is not the server; what OTLP takes for good refusals would be one. */
  #refusal({ path }: Request): Answer {
    const status = this.#random.of(path === '/v1/traces' ? [429, 503] : [429, 500, 503, 400, 200])
    return { status, type: 'text/html', body: PAGE }
  }
}

/** A body as a trace shows it: of points only how many, and the values of the first and the last. */
function brief(body: string | Uint8Array): string {
  if (typeof body !== 'string') return `${body.length} bytes`
  const values = [...body.matchAll(/"key":"([^"]*)","value":("?[\w.-]+"?)/g)].map(([, key, value]) => `${key} ${value}`)
  return values.length > 1 ? `${values.length} points, ${values[0]} to ${values.at(-1)}` : body.slice(0, 150)
}

/** One request and what its sender hears of it. */
class Exchange {
  readonly #handler: Dispatcher.DispatchHandler
  readonly #controller: Dispatcher.DispatchController
  #isOver = false

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler
    const abort = (reason: Error): void => this.fail(reason)
    this.#controller = {
      aborted: false,
      paused: false,
      reason: null,
      rawHeaders: [],
      rawTrailers: [],
      abort,
      pause: () => {},
      resume: () => {},
    }
  }

  begin(): void {
    this.#handler.onRequestStart?.(this.#controller, {})
  }

  fail(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#handler.onResponseError?.(this.#controller, error)
  }

  answer(answer: Answer, headers: Record<string, string> = {}): void {
    if (this.#isOver) return
    this.#start(answer, headers)
    this.#handler.onResponseData?.(this.#controller, Buffer.from(answer.body))
    this.#isOver = true
    this.#handler.onResponseEnd?.(this.#controller, {})
  }

  breakOff(answer: Answer, error: Error): void {
    if (this.#isOver) return
    this.#start(answer, {})
    this.#handler.onResponseData?.(this.#controller, Buffer.from(answer.body.slice(0, answer.body.length >> 1)))
    this.fail(error)
  }

  #start({ status, type }: Answer, headers: Record<string, string>): void {
    this.#handler.onResponseStart?.(this.#controller, status, { 'content-type': type, ...headers })
  }
}

class Connections extends Dispatcher {
  readonly #take: (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) => void

  constructor(take: (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) => void) {
    super()
    this.#take = take
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    this.#take(options, handler)
    return true
  }

  override close(): Promise<void> {
    return Promise.resolve()
  }

  override destroy(): Promise<void> {
    return Promise.resolve()
  }
}
