import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { MlflowModel, type ModelRun, type StoredPoint } from './mlflow-model.ts'

/** A request as the server saw it. */
export interface Seen {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: any
}

/** What a test may do in the place of an answer: return true when it has taken the request over. */
export type Fault = (request: Seen, response: ServerResponse, socket: Socket) => boolean | Promise<boolean>

/** A stand-in for the faults that a real MLflow does not produce on demand; one that cannot be asked what it has stored. */
export class FakeMlflow {
  readonly seen: Seen[] = []
  readonly model = new MlflowModel()
  fault: Fault = () => false
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  readonly #sockets = new Set<Socket>()
  #port = 0

  static async start(): Promise<FakeMlflow> {
    const fake = new FakeMlflow()
    fake.model.knowsInterval = false
    fake.#server.on('connection', (socket) => {
      fake.#sockets.add(socket)
      socket.on('close', () => fake.#sockets.delete(socket))
    })
    await fake.listen()
    onTestFinished(() => fake.close())
    return fake
  }

  get runs(): ReadonlyMap<string, ModelRun> {
    return this.model.runs
  }

  /** All that is stored, of all runs. */
  get points(): ReadonlyMap<string, StoredPoint> {
    return new Map(
      [...this.runs].flatMap(([run, { points }]) => [...points].map(([id, point]) => [`${run} ${id}`, point])),
    )
  }

  /** Points stored again. */
  get repeats(): number {
    return this.model.repeats
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Listens, on the port that it had before. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Nobody listens any more. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Whoever is connected is thrown out, as when a server is started again. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  of = (path: string): Seen[] => this.seen.filter((request) => request.path === path)

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const url = new URL(request.url!, this.url)
    const text = Buffer.concat(chunks).toString()
    const isProtobuf = request.headers['content-type'] === 'application/x-protobuf'
    const seen: Seen = {
      method: request.method!,
      path: url.pathname.replace('/api/2.0/mlflow/', ''),
      headers: request.headers,
      body: isProtobuf ? text : text === '' ? Object.fromEntries(url.searchParams) : JSON.parse(text),
    }
    this.seen.push(seen)
    if (await this.fault(seen, response, request.socket)) return
    this.answer(seen, response)
  }

  /** Answers as MLflow does. */
  answer(request: Seen, response: ServerResponse): void {
    const { status, json } = request.path === '/v1/traces' ? { status: 200, json: {} } : this.model.answer(request)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
  }
}
