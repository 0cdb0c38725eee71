import { Agent, createServer, request as ask } from 'node:http'
import type { AddressInfo } from 'node:net'
import { now } from './sink.ts'

/** What went to a server's `log-batch` since it was last cleared. */
export interface Passed {
  points: number
  requests: number
  firstAt: number | null
  lastAt: number | null
  refused: number
}

const STEP = Buffer.from('"step":')

/** Stands before a real server, passes all on, and notes when its points came and were answered: the same watch for each client. */
export class TimingProxy {
  passed: Passed = { points: 0, requests: 0, firstAt: null, lastAt: null, refused: 0 }
  readonly #agent = new Agent({ keepAlive: true })
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    const arrived = now()
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const isBatch = request.url!.endsWith('/runs/log-batch')
      const { host: _, ...headers } = request.headers
      const onward = ask(
        this.#target + request.url!,
        { method: request.method, headers, agent: this.#agent },
        (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
          answer.on('end', () => {
            if (isBatch) this.#note(body, arrived, answer.statusCode!)
          })
        },
      )
      onward.on('error', () => response.destroy())
      onward.end(body)
    })
  })
  readonly #target: string

  private constructor(target: string) {
    this.#target = target
  }

  static async start(target: string): Promise<TimingProxy> {
    const proxy = new TimingProxy(target)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  clear(): void {
    this.passed = { points: 0, requests: 0, firstAt: null, lastAt: null, refused: 0 }
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
    this.#agent.destroy()
  }

  #note(body: Buffer, arrived: number, status: number): void {
    let count = 0
    for (let at = body.indexOf(STEP); at >= 0; at = body.indexOf(STEP, at + STEP.length)) count += 1
    if (count === 0) return
    if (status !== 200) {
      this.passed.refused += 1
      return
    }
    this.passed.points += count
    this.passed.requests += 1
    this.passed.firstAt ??= arrived
    this.passed.lastAt = now()
  }
}
