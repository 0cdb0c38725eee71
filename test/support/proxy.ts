import { createHash } from 'node:crypto'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What a proxy does with a request: hand it on, swallow the answer, or close the connection before a byte. */
export type Treatment = 'pass' | 'swallow' | 'close'

/** Stands before a real server and loses what the test wants lost. */
export class Proxy {
  treat: (path: string, count: number) => Treatment = () => 'pass'
  /** Hears of every request. */
  onRequest: (path: string, treatment: Treatment) => void = () => {}
  /** Requests by path, as they came. */
  readonly counts = new Map<string, number>()
  /** Bodies that were sent a second time. */
  repeats = 0
  readonly #bodies = new Set<string>()
  readonly #sockets = new Set<Socket>()
  readonly #target: URL
  readonly #server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://x').pathname.replace('/api/2.0/mlflow/', '')
    const count = (this.counts.get(path) ?? 0) + 1
    this.counts.set(path, count)
    const treatment = this.treat(path, count)
    this.onRequest(path, treatment)
    if (treatment === 'close') {
      request.socket.destroy()
      return
    }
    const headers = { ...request.headers, host: this.#target.host }
    const onward = httpRequest(
      { host: this.#target.hostname, port: this.#target.port, method: request.method, path: request.url, headers },
      (answer) => {
        if (treatment === 'swallow') {
          answer.resume()
          answer.on('end', () => request.socket.destroy())
          return
        }
        response.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => request.socket.destroy())
    request.pipe(onward)
    const hash = createHash('sha256')
    request.on('data', (chunk: Buffer) => hash.update(chunk))
    request.on('end', () => {
      const id = `${path} ${hash.digest('hex')}`
      if (request.method === 'POST' && this.#bodies.has(id)) this.repeats += 1
      this.#bodies.add(id)
    })
  })

  constructor(target: string) {
    this.#target = new URL(target)
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(target: string): Promise<Proxy> {
    const proxy = new Proxy(target)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
