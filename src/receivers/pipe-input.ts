import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'

/** As much as a pipe holds unless somebody changes it (pipe(7)). */
const READ_BYTES = 64 << 10

/**
 * So long nothing is read after fewer bytes than `SHORT` came, in milliseconds, while a writer is faster than that. One that
 * finds a reader asleep has to wake it, and pays for that: with rests 10,000 lines a second cost a trainer 0.7 us each
 * instead of 8 (the median). A pipe that is filled within a rest makes its writer wait for the end of it.
 */
const REST_MS = 1
const SHORT = 16 << 10
/** Reads in a row that came faster than rests: lines of two outputs that come now and then keep their order. */
const BUSY = 32

/**
 * Reads a pipe or a socket through one buffer. Emits `data` with copies of what came, and `end`, `close` and `error` as a
 * stream does; unlike one it has nothing read ahead when it is paused.
 */
export class PipeInput extends EventEmitter<{ data: [Buffer]; end: []; close: []; error: [Error] }> {
  readonly #socket: Socket
  #isPaused = false
  #mayRest = false
  #quickReads = 0
  /** When it last began to wait for bytes. */
  #waitsSince = 0
  /** Given on after the rest: whoever is woken first may have the processor of the writer, and what we do would keep that waiting. */
  #held: Buffer | null = null
  readonly #onRested = (): void => {
    this.#give()
    this.#waitsSince = performance.now()
    if (!this.#isPaused) this.#socket.resume()
  }

  /** Reading begins at once. @throws when `fd` is neither a pipe nor a socket */
  constructor(fd: number) {
    super()
    const onread = { buffer: Buffer.allocUnsafe(READ_BYTES), callback: this.#take.bind(this) }
    this.#socket = new Socket({ fd, readable: true, writable: false, onread })
    this.#socket.on('end', () => this.emit('end'))
    this.#socket.on('close', () => this.emit('close'))
    this.#socket.on('error', (error) => this.emit('error', error))
    this.#socket.resume()
  }

  /**
   * From now on it rests, after the next bytes for once: what is done with the first ones takes 2 ms. Not while we are
   * still loading, which holds up whatever waits for a timer.
   */
  startResting(): void {
    this.#mayRest = true
    this.#quickReads = BUSY
  }

  get hasEnded(): boolean {
    return this.#socket.readableEnded
  }

  /** Reads no more; what was read is given first. */
  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
    this.#give()
  }

  resume(): void {
    this.#isPaused = false
    if (this.#held === null) this.#socket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #take(length: number, buffer: Uint8Array): boolean {
    const chunk = Buffer.from(buffer.subarray(0, length))
    const isBusy = this.#mayRest && this.#quickReads >= BUSY
    this.#quickReads = performance.now() - this.#waitsSince < REST_MS ? this.#quickReads + 1 : 0
    if (isBusy && length < SHORT) {
      this.#held = chunk
      this.#socket.pause()
      setTimeout(this.#onRested, REST_MS)
    } else {
      this.emit('data', chunk)
      this.#waitsSince = performance.now()
    }
    return true
  }

  #give(): void {
    const chunk = this.#held
    this.#held = null
    if (chunk !== null) this.emit('data', chunk)
  }
}
