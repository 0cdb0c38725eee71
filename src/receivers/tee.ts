import type { Output } from '../telemetry/output.ts'

/** Above this much unread output of our own, the input is read no faster than that is. */
const MAX_UNREAD_OUTPUT = 4 << 20

/** What is kept of the input until it is known what to do with it. */
const MAX_KEPT = 64 << 20

/** What a tee reads: a stream, or a pipe. */
export interface TeeInput {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  on(event: 'end' | 'close' | 'error', listener: () => void): unknown
  pause(): unknown
  resume(): unknown
  /** It may rest from now on, so that a writer need not wake it with each line. */
  startResting?(): void
}

/** Takes the bytes of an input; a throw is a fault of ours and must not end the reading. */
export interface TeeSink {
  push(chunk: Buffer): void
  end(): void
  /** Whether reading should stop until `whenRoom` calls back. */
  isFull(): boolean
  whenRoom(then: () => void): void
  /** Nothing more is given to it: what it has not written yet of what it renders leaves now. */
  release(): void
}

/**
 * Reads an input to its end, whatever happens to the rest of us. Every chunk goes to our own output unchanged and to
 * the sink. It begins before the rest is loaded: until `passTo` and `attach` say where to, chunks are kept.
 */
export class Tee {
  readonly #input: TeeInput
  #output: Output | null | undefined
  /** The sink writes what is to be seen; the bytes themselves are not passed on. */
  #isRendered = false
  #sink: TeeSink | null | undefined
  #forOutput: Buffer[] = []
  #forSink: Buffer[] = []
  #kept = 0
  #ended = false
  #paused = false
  #isStopped = false
  #onFault: (error: Error) => void = () => {}
  readonly #end = Promise.withResolvers<void>()
  readonly #onRoom = (): void => this.#balance()

  constructor(input: TeeInput) {
    this.#input = input
    input.on('data', (chunk: Buffer) => this.#take(chunk))
    // A read error (EIO of a terminal that has gone) is the end of what can be read.
    for (const event of ['end', 'close', 'error'] as const) input.on(event, () => this.#finish())
  }

  /** Resolves when the input has ended (or is destroyed) and the sink has all of it. */
  get ended(): Promise<void> {
    return this.#end.promise
  }

  /** Passes everything on to `output`, from the first byte; null: nowhere. */
  passTo(output: Output | null): void {
    this.#isRendered = false
    this.#output = output
    for (const chunk of this.#forOutput) output?.write(chunk)
    this.#forOutput = []
    this.#paceBy(output)
  }

  /** Leaves it to the sink to write to `output`, for as long as it can; the input is read no faster than that is. */
  renderTo(output: Output | null): void {
    this.#isRendered = true
    this.#output = output
    this.#paceBy(output)
  }

  /** All is loaded: an input that can rest between reads may do so. */
  startResting(): void {
    this.#input.startResting?.()
  }

  /** Reads no more, for good: somebody else does. What has been read is given first. */
  stop(): void {
    this.#isStopped = true
    this.#input.pause()
  }

  #paceBy(output: Output | null): void {
    if (output !== null) output.onProgress = () => this.#balance()
    this.#balance()
  }

  /** Gives everything to `sink`, from the first byte; null: nobody wants it. `onFault` hears of a sink that threw; it is not asked again. */
  attach(sink: TeeSink | null, onFault: (error: Error) => void = () => {}): void {
    const before = this.#sink
    this.#sink = sink
    this.#onFault = onFault
    if (sink === null && this.#isRendered) {
      before?.release()
      this.passTo(this.#output ?? null)
    } else if (this.#isRendered) this.#forOutput = []
    const chunks = this.#forSink
    this.#forSink = []
    this.#kept = 0
    const isRendered = this.#isRendered
    for (const chunk of chunks) {
      // Once the sink has failed nobody renders the rest.
      if (isRendered && this.#sink === null) this.#output?.write(chunk)
      else this.#feed(chunk)
    }
    if (this.#ended) this.#endSink()
    this.#balance()
  }

  #take(chunk: Buffer): void {
    if (this.#output === undefined || (this.#isRendered && this.#sink === undefined)) this.#forOutput.push(chunk)
    else if (!this.#isRendered) this.#output?.write(chunk)
    if (this.#sink === undefined) {
      this.#forSink.push(chunk)
      this.#kept += chunk.length
    } else this.#feed(chunk)
    this.#balance()
  }

  #feed(chunk: Buffer): void {
    try {
      this.#sink?.push(chunk)
    } catch (error) {
      this.#fault(error)
    }
  }

  #fault(error: unknown): void {
    this.#sink?.release()
    this.#sink = null
    this.#isRendered = false
    this.#onFault(error instanceof Error ? error : new Error(String(error)))
  }

  /** Stops and starts reading as our output, the sink and the memory allow. */
  #balance(): void {
    const sinkFull = this.#sink?.isFull() ?? false
    const wait = (this.#output?.unread ?? 0) > MAX_UNREAD_OUTPUT || this.#kept > MAX_KEPT || sinkFull
    if (sinkFull) this.#sink?.whenRoom(this.#onRoom)
    if (wait === this.#paused || this.#ended || this.#isStopped) return
    this.#paused = wait
    if (wait) this.#input.pause()
    else this.#input.resume()
  }

  #finish(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#sink !== undefined) this.#endSink()
  }

  #endSink(): void {
    try {
      this.#sink?.end()
    } catch (error) {
      this.#fault(error)
    }
    this.#end.resolve()
  }
}
