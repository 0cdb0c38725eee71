import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface StoredPoint {
  key: string
  value: number | string
  timestamp: number
  step: number
}

/** A request as the server saw it. */
export interface Seen {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: any
}

/** What a test may do in the place of an answer: return true when it has taken the request over. */
export type Fault = (request: Seen, response: ServerResponse, socket: Socket) => boolean | Promise<boolean>

/**
 * A stand-in for the faults that a real MLflow does not produce on demand. It keeps MLflow's semantics as far as the
 * tests need them: points are a set, a batch is stored whole or not at all, params are written once.
 */
export class FakeMlflow {
  readonly seen: Seen[] = []
  readonly points = new Map<string, StoredPoint>()
  readonly runs = new Map<
    string,
    { info: Record<string, any>; tags: Map<string, string>; params: Map<string, string> }
  >()
  /** Points stored again. */
  repeats = 0
  fault: Fault = () => false
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  readonly #sockets = new Set<Socket>()
  #port = 0

  static async start(): Promise<FakeMlflow> {
    const fake = new FakeMlflow()
    fake.#server.on('connection', (socket) => {
      fake.#sockets.add(socket)
      socket.on('close', () => fake.#sockets.delete(socket))
    })
    await fake.listen()
    onTestFinished(() => fake.close())
    return fake
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
  answer({ path, body }: Seen, response: ServerResponse): void {
    const reply = (status: number, json: object): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    const missing = (): void => reply(404, { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'No such run' })
    if (path === 'runs/create') {
      const run_id = `run${this.runs.size}`
      const tags = new Map<string, string>(body.tags.map((tag: any) => [tag.key, tag.value]))
      this.runs.set(run_id, {
        info: { run_id, experiment_id: body.experiment_id, status: 'RUNNING', start_time: body.start_time },
        tags,
        params: new Map(),
      })
      return reply(200, { run: { info: this.runs.get(run_id)!.info } })
    }
    if (path === 'runs/search') {
      const wanted = /'(.*)'/.exec(body.filter)![1]
      return reply(200, { runs: [...this.runs.values()].filter(({ tags }) => tags.get('spanbridge.run') === wanted) })
    }
    if (path === '/v1/traces') return reply(200, {})
    const run = this.runs.get(body.run_id)
    if (run === undefined) return missing()
    if (path === 'runs/get') return reply(200, { run })
    if (path === 'runs/update') {
      Object.assign(run.info, { status: body.status, end_time: body.end_time })
      return reply(200, { run_info: run.info })
    }
    if (path === 'runs/log-batch') return this.#logBatch(body, run, reply)
    missing()
  }

  #logBatch(
    body: any,
    run: { tags: Map<string, string>; params: Map<string, string> },
    reply: (status: number, json: object) => void,
  ): void {
    for (const { key, value } of body.params ?? []) {
      if ((run.params.get(key) ?? value) !== value)
        return reply(400, {
          error_code: 'INVALID_PARAMETER_VALUE',
          message: `Changing param values is not allowed: ${key}`,
        })
      run.params.set(key, value)
    }
    for (const point of (body.metrics ?? []) as StoredPoint[]) {
      const id = JSON.stringify([body.run_id, point.key, point.step, point.timestamp, point.value])
      if (this.points.has(id)) this.repeats += 1
      this.points.set(id, point)
    }
    for (const { key, value } of body.tags ?? []) run.tags.set(key, value)
    reply(200, {})
  }
}
