import { write } from 'node:fs'

/** A pipe that somebody else made non-blocking is asked again after this long. */
const AGAIN_MS = 5

/** Most bytes that one call joins. */
const MAX_JOINED_BYTES = 1 << 20

/** Nobody is there (any more): a reader that has gone, a terminal that was closed, an output that was never open. */
const NOBODY: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'EIO', 'EBADF'])

/**
 * Writes to one of our own outputs without ever waiting for it: a write that blocks does so in a thread of the pool.
 * The descriptor is not made non-blocking, since it may be shared with the trainer. Once its reader has gone (`EPIPE`),
 * what is written vanishes; the reading of the trainer goes on.
 */
export class Output {
  readonly #fd: number
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #busy = false
  #gone = false
  #failure: string | null = null
  #progressAt = 0
  #atLineStart = true
  #whenDrained: (() => void)[] = []
  /** Called whenever bytes have left. */
  onProgress: (() => void) | null = null
  /** Called whenever somebody has written, so that others know where the line stands. */
  onWrite: (() => void) | null = null

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Bytes that have not been taken yet. */
  get unread(): number {
    return this.#waitingBytes
  }

  /** Whether its reader has gone, and what is written vanishes. */
  get isGone(): boolean {
    return this.#gone
  }

  /** What the system said when it took no more although nobody had gone, as that the disk is full; else null. */
  get failure(): string | null {
    return this.#failure
  }

  /** Whether bytes wait, and none has left for that long (ms). */
  stands(ms: number): boolean {
    return this.#busy && performance.now() - this.#progressAt > ms
  }

  /** Whether the last byte written was a newline, or there was none. */
  get atLineStart(): boolean {
    return this.#atLineStart
  }

  write(bytes: Buffer): void {
    if (this.#gone || bytes.length === 0) return
    this.#atLineStart = bytes[bytes.length - 1] === 10
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    this.#next()
    this.onWrite?.()
  }

  /** Writes something that stands in a line of its own until the next thing is written over it. */
  writeOver(text: string): void {
    this.write(Buffer.from(`\r\x1b[K${text}\r`))
    this.#atLineStart = true
  }

  /** Resolves when everything written so far has left, or the reader has gone. */
  drained(): Promise<void> {
    if (!this.#busy && this.#waiting.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenDrained.push(resolve))
  }

  #next(): void {
    if (this.#busy) return
    if (this.#waiting.length === 0) {
      const then = this.#whenDrained
      this.#whenDrained = []
      for (const resolve of then) resolve()
      return
    }
    this.#busy = true
    this.#progressAt = performance.now()
    this.#write(this.#takeJoined())
  }

  #takeJoined(): Buffer {
    let bytes = 0
    let count = 0
    while (count < this.#waiting.length && (count === 0 || bytes + this.#waiting[count]!.length <= MAX_JOINED_BYTES)) {
      bytes += this.#waiting[count]!.length
      count += 1
    }
    const taken = this.#waiting.splice(0, count)
    return taken.length === 1 ? taken[0]! : Buffer.concat(taken)
  }

  #write(bytes: Buffer): void {
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.#write(bytes), AGAIN_MS)
        return
      }
      if (error !== null) this.#giveUp(error)
      else if (written < bytes.length) {
        this.#waitingBytes -= written
        this.#progressAt = performance.now()
        this.#write(bytes.subarray(written))
        return
      } else this.#waitingBytes -= written
      this.#busy = false
      this.#progressAt = performance.now()
      this.onProgress?.()
      this.#next()
    })
  }

  #giveUp({ code = '', message }: NodeJS.ErrnoException): void {
    this.#gone = true
    this.#failure = NOBODY.has(code) ? null : message
    this.#waiting = []
    this.#waitingBytes = 0
  }
}
