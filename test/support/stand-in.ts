import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decode, TraceRequest } from '../otlp/oracle.ts'
import type { ModelAnswer, ModelRequest } from './mlflow-model.ts'

/** What knows the answers: a model of MLflow. */
export interface Answering {
  readonly version: string
  answer(request: ModelRequest): ModelAnswer
}

/** What may become of a request. */
export type Mishap =
  /** Stored; the connection is closed before a byte of the answer, or in the middle of it. */
  | { kind: 'lost' | 'half' }
  /** Stored, and answered late. */
  | { kind: 'slow'; ms: number }
  /** Not stored. */
  | { kind: 'refused'; status: number }

/** A model of MLflow over HTTP, fast, which keeps nothing of what it was asked but the ids of spans. */
export class StandIn {
  /** Decides what becomes of the next request. */
  mishap: () => Mishap | null = () => null
  requests = 0
  /** Ids of the spans that it was sent, as hex. */
  readonly spans = new Set<string>()
  readonly #model: Answering
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => this.#serve(request.url!, Buffer.concat(chunks), response))
  })
  #port = 0

  private constructor(model: Answering) {
    this.#model = model
  }

  static async start(model: Answering): Promise<StandIn> {
    const standIn = new StandIn(model)
    await standIn.up()
    return standIn
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Listens, on the port that it had before. */
  async up(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** As seen from outside it has died: nobody listens, and all connections are gone. */
  async down(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.dropConnections()
    await closed
  }

  dropConnections(): void {
    this.#server.closeAllConnections()
  }

  #serve(address: string, body: Buffer, response: ServerResponse): void {
    this.requests += 1
    const url = new URL(address, this.url)
    if (url.pathname === '/version') {
      response.end(this.#model.version)
      return
    }
    const mishap = this.mishap()
    if (mishap?.kind === 'refused') {
      response.writeHead(mishap.status, { 'content-type': 'text/html' }).end('<h1>Sorry</h1>')
      return
    }
    const { status, json } = url.pathname === '/v1/traces' ? this.#storeSpans(body) : this.#ask(url, body.toString())
    const answer = JSON.stringify(json)
    const headers = { 'content-type': 'application/json', 'content-length': answer.length }
    const send = (): void => void response.writeHead(status, headers).end(answer)
    if (mishap?.kind === 'lost') response.destroy()
    else if (mishap?.kind === 'half')
      response.writeHead(status, headers).write(answer.slice(0, answer.length >> 1), () => response.destroy())
    else if (mishap?.kind === 'slow') setTimeout(send, mishap.ms)
    else send()
  }

  #ask(url: URL, text: string): ModelAnswer {
    const body: unknown = text === '' ? Object.fromEntries(url.searchParams) : JSON.parse(text)
    return this.#model.answer({ path: url.pathname.replace('/api/2.0/mlflow/', ''), body })
  }

  #storeSpans(body: Buffer): ModelAnswer {
    for (const { scopeSpans } of decode(TraceRequest, body)['resourceSpans'] ?? [])
      for (const { spans } of scopeSpans ?? [])
        for (const { spanId } of spans) this.spans.add(Buffer.from(spanId).toString('hex'))
    return { status: 200, json: {} }
  }
}
