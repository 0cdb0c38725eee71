import type { ServerResponse } from 'node:http'

/** What a reader may leave unread; beyond, the connection is dropped and the page comes again. */
const MAX_UNSENT_BYTES = 4 << 20

/** When a page comes again after its connection is lost. */
const RETRY_MS = 1000

/** Server-sent events to one reader (html.spec.whatwg.org, 9.2). */
export class EventStream {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
    response.req.socket.setTimeout(0) // silence is no news
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    if (response.req.method === 'HEAD') response.end()
    else response.write(`retry: ${RETRY_MS}\n\n`)
  }

  get isOpen(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded
  }

  onClose(then: () => void): void {
    this.#response.once('close', then)
  }

  /** Nothing more is sent; what was, still arrives. */
  end(): void {
    if (this.isOpen) this.#response.end()
  }

  /** `id`: what the reader shows when it comes again. */
  send(name: string, data: unknown, id: string | null = null): void {
    if (!this.isOpen) return
    if (this.#response.writableLength > MAX_UNSENT_BYTES) {
      this.#response.destroy()
      return
    }
    // JSON has no line breaks of its own.
    this.#response.write(`${id === null ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  }
}
