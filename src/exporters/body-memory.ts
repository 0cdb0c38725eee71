import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** Smaller bodies are left to the garbage collector. */
export const MIN_BYTES = 64 << 10
/** A request of spans, with what stands around them; what is larger is rare, and must not hold its memory for ever. */
const MAX_BYTES = 5 << 20

/** What undici publishes before it writes a request: see its documentation of `undici:client:sendHeaders`. */
interface Sending {
  request: { body?: unknown }
  socket: Socket & { alpnProtocol?: string | false | null }
}

/**
 * Memory for the bodies of requests that is used again. New memory for each, which is no part of V8's heap and lives as long
 * as its request, has the whole heap looked through for every few megabytes: 1.2 times the processor time of a million spans.
 *
 * A server may answer before it has read a body, whose rest would then be what the next request writes: so only memory that
 * has left its socket is used again.
 */
export class BodyMemory {
  readonly #most: number
  readonly #idle: Buffer[] = []
  /** The bodies of requests under way, and where they went. */
  readonly #sockets = new WeakMap<Uint8Array, Sending['socket'] | null>()

  /** `most`: how many idle bodies are kept. */
  constructor(most: number) {
    this.#most = most
    subscribe('undici:client:sendHeaders', (message) => {
      const { request, socket } = message as Sending
      const { body } = request
      if (body instanceof Uint8Array && this.#sockets.has(body)) this.#sockets.set(body, socket)
    })
  }

  /** So many bytes or more, with whatever was in them. */
  take(bytes: number): Buffer {
    const at = this.#idle.findIndex(({ length }) => length >= bytes)
    return at < 0 ? Buffer.allocUnsafeSlow(bytes) : this.#idle.splice(at, 1)[0]!
  }

  /** `body` is given to undici. */
  lend(body: Uint8Array): void {
    this.#sockets.set(body, null)
  }

  /** `body`, the beginning of memory that was taken, has been answered. */
  giveBack(body: Uint8Array): void {
    const socket = this.#sockets.get(body)
    const { byteLength } = body.buffer
    // Of HTTP/2 the socket does not tell what waits in a stream.
    if (socket == null || socket.writableLength > 0 || socket.alpnProtocol === 'h2') return
    this.#sockets.delete(body)
    if (byteLength < MIN_BYTES || byteLength > MAX_BYTES) return
    // The largest are kept: whatever comes fits into them.
    this.#idle.push(Buffer.from(body.buffer))
    if (this.#idle.length > this.#most) this.#idle.sort((a, b) => b.length - a.length).length = this.#most
  }
}
