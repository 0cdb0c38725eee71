import { Worker } from 'node:worker_threads'
import { Channel } from './channel/channel.ts'
import { Pace } from './channel/pace.ts'
import {
  nothingOpened,
  type EndStatus,
  type FromDelivery,
  type Opened,
  type Outcome,
  type RunStart,
} from './channel/messages.ts'
import type { Settings } from './config/settings.ts'
import { entry } from './config/place.ts'
import type { WorkerData } from './delivery/worker.ts'
import type { Encoding, PartialSuccess } from './otlp/status.ts'
import { leaveDeleted } from './journal/directory.ts'
import { LineRun, type BegunLines, type BegunRun, type Screen } from './receivers/lines/run.ts'
import type { OtlpReceiving } from './receivers/otlp-http/compose.ts'
import type { NetworkStart } from './receivers/otlp-http/runs.ts'
import type { SignalPath } from './receivers/otlp-http/server.ts'
import type { TeeSink } from './receivers/tee.ts'
import { Counters } from './telemetry/counters.ts'

/*
 *             ingest thread                                         delivery thread
 *  bytes  ┌───────────┐ event ┌───────┐ points ┌─────────┐ chunk ┌─────────┐ batch ┌──────────┐ send  ┌───────────┐
 * ───────►│ receivers │──────►│ layer │───────►│ channel │──────►│ journal │──────►│ delivery │──────►│ exporters │──► MLflow
 *         └───────────┘       └───────┘        └─────────┘       └─────────┘       └──────────┘       └───────────┘
 *       stdin, child, OTLP      synchronous,     bounded, in       SQLite, one       50 points or       encode + send
 *                               no I/O           memory            file per run      1 s, cursors       and nothing else
 */

/** What the delivery thread is given to commit and end. */
const STOP_PATIENCE_MS = 5000

export interface BridgeOptions {
  settings: Settings
  stateDir: string
  /** The run of this process; null: there are only those that come from the network. */
  start: RunStart | null
  /** Journal of an earlier run that goes on instead. */
  resume: string | null
  /** All that comes by OTLP is of the run of this process, whatever the senders say of themselves. */
  isOnlyRun: boolean
  /** A run that comes from the network. */
  newRun: (sender: NetworkStart) => RunStart
  /** Tells this process from others that spans may have come through. */
  via: string
  /** How users call us, for the words of the account. */
  command: string
  /** A regular file can be read later, so that nothing of it need ever be dropped. */
  mayWait: boolean
  /** Events are shown as lines for people, in place of their JSON. */
  console: boolean
  say: (text: string) => void
  /** The run has its journal. */
  onReady: () => void
}

/** Puts the parts together: what goes in at `stream()` and by OTLP comes out at the destinations. */
export class Bridge {
  readonly #channel: Channel
  readonly #worker: Worker
  readonly #main: LineRun | null
  /** Whether reading stops while the channel is full. */
  readonly #blocks: boolean
  readonly #options: BridgeOptions
  #otlp: Promise<OtlpReceiving> | null = null
  #nextRun = 0
  readonly #opened = Promise.withResolvers<Opened>()
  /** Runs of lines beside the main one that have no journal yet. */
  readonly #opening = new Map<number, (opened: Opened) => void>()
  #closing = false
  readonly #finished = Promise.withResolvers<Outcome>()

  constructor(options: BridgeOptions) {
    const { settings, stateDir, command, via, start, say } = options
    this.#options = options
    this.#worker = startWorker({ settings, stateDir, command, via })
    const whenFull = options.mayWait ? 'block' : settings['channel.whenFull']
    this.#blocks = whenFull === 'block'
    this.#channel = new Channel(this.#worker, settings['channel.capacity'], whenFull)
    this.#main =
      start === null ? null : this.#begin(start, options.resume, (run) => new LineRun({ ...options, ...run }))
    this.#worker.on('message', (message: FromDelivery) => this.#hear(message))
    // Without its thread the bridge is `cat`: what is not committed by now is lost, and said to be.
    const gone = (why: string): void => {
      if (this.#closing) return
      this.#closing = true
      this.#channel.close()
      this.#opened.resolve(nothingOpened(0))
      for (const [run, resolve] of this.#opening) resolve(nothingOpened(run))
      void this.#otlp?.then((otlp) => otlp.stop())
      say(
        `the delivery thread has ended (${why}); what comes in is passed on but no longer recorded. Please report this.`,
      )
      this.#finished.resolve({ complete: false, inMemory: false })
    }
    this.#worker.on('error', (error) => gone((error as Error).stack ?? String(error)))
    this.#worker.on('exit', (code) => {
      if (code !== 0) gone(`exit code ${code}`)
    })
    if (start === null) this.#channel.post({ kind: 'open' })
  }

  /**
   * A sink for one stream of bytes; the streams of one run share its series. `screen` is where the console, if there is
   * one, shows the stream.
   */
  stream(screen: Screen): TeeSink {
    const sink = this.#main!.stream(screen)
    const pace = new Pace(this.#channel)
    const isBlocked = (): boolean => this.#blocks && this.#channel.isFull
    return {
      ...sink,
      push: (chunk) => {
        sink.push(chunk)
        pace.read(chunk.length)
      },
      isFull: () => isBlocked() || !pace.isFree,
      whenRoom: (then) => (isBlocked() ? this.#channel.whenRoom(then) : pace.whenFree(then)),
    }
  }

  /** The run of this process, for lines that come by another way than `stream()`; null: there is none. */
  get main(): BegunLines | null {
    return this.#main === null ? null : { run: this.#main, channel: this.#channel, opened: this.#opened.promise }
  }

  /** Begins a run of lines that is not that of this process, or goes on with the one of the same identity. */
  beginLines(start: RunStart): BegunLines {
    const { promise, resolve } = Promise.withResolvers<Opened>()
    const run = this.#begin(start, null, (begun) => {
      this.#opening.set(begun.producer.run, resolve)
      return new LineRun({ ...this.#options, ...begun })
    })
    if (this.#channel.isClosed) resolve(nothingOpened(run.producer.run))
    return { run, channel: this.#channel, opened: promise }
  }

  /** Takes one OTLP request. Resolves when all of it is in the journal, with what was refused for ever. @throws Refusal */
  async takeOtlp(path: SignalPath, body: Buffer, encoding: Encoding): Promise<PartialSuccess | null> {
    const { intake } = await this.#receiving()
    return intake.take(path, body, encoding)
  }

  /** Spans come through others, which must not get them back. */
  via(via: string): void {
    this.#channel.post({ kind: 'via', via })
  }

  /** The input is over: delivers what there is and ends. `limitMs` bounds all of it; a second call may set it. */
  finish(end: { status: EndStatus; time: number } | null, limitMs: number | null): Promise<Outcome> {
    void this.#drain(end, limitMs)
    return this.#finished.promise
  }

  /** Spans that are still being encoded go first. */
  async #drain(end: { status: EndStatus; time: number } | null, limitMs: number | null): Promise<void> {
    if (end !== null) {
      // What an earlier process has left waiting has to be known before it is given up.
      if (this.#mayGoOn) await this.#opened.promise
      const otlp = await this.#otlp
      await otlp?.end(end.time)
      await this.#main?.end()
      this.#main?.producer.post({ kind: 'end', ...end })
    }
    this.#channel.post({ kind: 'finish', limitMs })
  }

  /** Commits and ends now; a thread that cannot (a disk that hangs) is not waited for. */
  stop(): void {
    this.#channel.post({ kind: 'stop' })
    setTimeout(() => this.#finished.resolve({ complete: false, inMemory: false }), STOP_PATIENCE_MS).unref()
  }

  /** Spans that the run cannot take: they are counted as dropped. */
  dropSpans(count: number): void {
    this.#main!.dropSpans(count)
  }

  /** The process may end while the thread is idle. */
  unref(): void {
    this.#worker.unref()
  }

  ref(): void {
    this.#worker.ref()
  }

  /** Lets go of the thread. */
  async close(): Promise<void> {
    this.#closing = true
    this.#channel.close()
    await this.#worker.terminate()
  }

  /** The main run may be an earlier one. */
  get #mayGoOn(): boolean {
    const { start, resume } = this.#options
    return resume !== null || (start !== null && start.identity !== null)
  }

  #hear(message: FromDelivery): void {
    if (message.kind === 'empty') this.#channel.recycle(message.buffers)
    else if (message.kind === 'committed') this.#channel.committed(message.id, message.durable)
    else if (message.kind === 'opened') this.#hearOpened(message)
    else if (message.kind === 'ready') this.#options.onReady()
    else if (message.kind === 'say') this.#options.say(message.text)
    else this.#finished.resolve(message.outcome)
  }

  #hearOpened(message: Opened): void {
    const isMain = message.run === this.#main?.producer.run
    if (isMain) this.#opened.resolve(message)
    const isOfLines = this.#opening.has(message.run)
    this.#opening.get(message.run)?.(message)
    this.#opening.delete(message.run)
    // What an earlier process has left waiting is told apart from what it cannot wait for at the end.
    if (isMain && message.waiting.length > 0) void this.#receiving()
    else if (!isMain && !isOfLines) void this.#otlp?.then((otlp) => otlp.opened(message))
  }

  /** Begins a run: gives it a number and its place in the channel. */
  #begin<T>(start: RunStart, resume: string | null, make: (run: BegunRun) => T): T {
    const counters = new Counters()
    const producer = this.#channel.producer(this.#nextRun, counters)
    this.#nextRun += 1
    producer.post({ kind: 'run', start, resume })
    return make({ start, channel: this.#channel, producer, counters })
  }

  /** Loaded with the first request: most runs have none. */
  #receiving(): Promise<OtlpReceiving> {
    this.#otlp ??= this.#openReceiving()
    return this.#otlp
  }

  async #openReceiving(): Promise<OtlpReceiving> {
    const { OtlpReceiving } = await import('./receivers/otlp-http/compose.ts')
    const { settings, isOnlyRun, newRun, say } = this.#options
    const main = this.#main
    return new OtlpReceiving({
      settings,
      channel: this.#channel,
      main:
        main === null
          ? null
          : {
              ulid: main.ulid,
              producer: main.producer,
              packer: main.packer,
              counters: main.counters,
              layer: main.layer,
              opened: this.#mayGoOn ? this.#opened.promise : null,
            },
      isOnlyMain: isOnlyRun,
      begin: (sender) => {
        const start = newRun(sender)
        return this.#begin(start, null, ({ producer, counters }) => ({ ulid: start.run, producer, counters }))
      },
      say,
    })
  }
}

function startWorker(workerData: WorkerData): Worker {
  leaveDeleted() // the command has started there
  // Not the flags of this process: with the library they are somebody else's (`--input-type`, `--import`).
  return new Worker(entry('delivery/worker'), { workerData, execArgv: ['--disable-warning=ExperimentalWarning'] })
}
