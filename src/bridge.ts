import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { EndStatus, FromDelivery, Outcome, RunStart } from './channel/messages.ts'
import { ChannelProducer } from './channel/producer.ts'
import { rulesOf } from './config/load.ts'
import type { Settings } from './config/settings.ts'
import type { WorkerData } from './delivery/worker.ts'
import { Renderer } from './console/render.ts'
import { ConsoleStream, type ConsoleOptions } from './console/stream.ts'
import { parseFilter } from './layer/filter.ts'
import { compileRules } from './layer/rules.ts'
import type { Encoding } from './otlp/status.ts'
import type { OtlpParts } from './receivers/otlp-http/compose.ts'
import type { SignalPath } from './receivers/otlp-http/server.ts'
import { LineReader, type LineStream, type LineTap } from './receivers/lines/index.ts'
import type { LineFilter } from './receivers/lines/origin.ts'
import { LineSpans } from './receivers/lines/spans.ts'
import { Timeline } from './receivers/lines/timeline.ts'
import { SpanPacker } from './receivers/otlp-http/packer.ts'
import type { TeeSink } from './receivers/tee.ts'
import { CONSOLE_SKIPPED, Counters, SPANS, SPANS_CHANNEL_FULL } from './telemetry/counters.ts'
import type { Output } from './telemetry/output.ts'

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

/** Where a stream is shown under the console. */
export interface Screen {
  /** Lines that are no events; null: nowhere. */
  text: Output | null
  events: Output
  colour: boolean
}

export interface BridgeOptions {
  settings: Settings
  stateDir: string
  start: RunStart
  /** Journal of an earlier run that goes on instead. */
  resume: string | null
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

/** Puts the parts together for one run: what goes in at `stream()` comes out at the destinations. */
export class Bridge {
  readonly #producer: ChannelProducer
  readonly #reader: LineReader
  readonly #worker: Worker
  readonly #console: ((colour: boolean) => Pick<ConsoleOptions, 'renderer' | 'onSkipped'>) | null
  /** Whether reading stops while the channel is full. */
  readonly #blocks: boolean
  readonly #settings: Settings
  readonly #counters: Counters
  readonly #say: (text: string) => void
  readonly #packer: SpanPacker
  readonly #timeline: Timeline
  readonly #lineSpans: LineSpans | null
  #otlp: OtlpParts | null = null
  #closing = false
  readonly #finished = Promise.withResolvers<Outcome>()

  constructor(options: BridgeOptions) {
    const { settings, say } = options
    const counters = new Counters()
    this.#settings = settings
    this.#counters = counters
    this.#say = say
    this.#worker = startWorker({ settings, stateDir: options.stateDir, command: options.command })
    const whenFull = options.mayWait ? 'block' : settings['channel.whenFull']
    const producer = new ChannelProducer(this.#worker, counters, settings['channel.capacity'], whenFull)
    this.#producer = producer
    this.#blocks = whenFull === 'block'
    const rules = compileRules(rulesOf(settings))
    const output = {
      series: (id: number, key: string): void => producer.define(id, key),
      point: (series: number, step: number, time: number, value: number): void =>
        void producer.offer(series, step, time, value),
      params: (params: readonly (readonly [string, string])[]): void => producer.post({ kind: 'params', params }),
      example: (reason: string, line: string): void => producer.post({ kind: 'example', reason, line }),
    }
    const filter: LineFilter = { all: parseFilter(settings.filter ?? ''), rust: parseFilter(settings.rustFilter ?? '') }
    this.#packer = new SpanPacker(producer)
    const onFault = (error: unknown): void =>
      say(
        `a fault of ours: spans of lines are lost (${error instanceof Error ? error.message : 'unknown'}). Please report this.`,
      )
    const resource = {
      'service.name': settings['otel.serviceName'] ?? options.start.name,
      'spanbridge.run': options.start.run,
    }
    this.#timeline = new Timeline({ producer, packer: this.#packer, counters, resource, onFault })
    this.#lineSpans = settings['spans.fromLines']
      ? new LineSpans(options.start.run, [...new Set(rules.stepFields.flat())], (span) => this.#timeline.add(span))
      : null
    const reading = { rules, wrappers: settings['layer.wrappers'], filter, spans: this.#lineSpans }
    this.#reader = new LineReader(reading, output, counters)
    this.#console = options.console
      ? (colour) => ({
          renderer: new Renderer({ rules, labels: settings.labels, colour }),
          onSkipped: () => counters.add(CONSOLE_SKIPPED, 1),
        })
      : null
    this.#worker.on('message', (message: FromDelivery) => {
      if (message.kind === 'empty') producer.recycle(message.buffers)
      else if (message.kind === 'committed') producer.committed(message.id, message.durable)
      else if (message.kind === 'ready') options.onReady()
      else if (message.kind === 'say') say(message.text)
      else if (message.kind === 'finished') this.#finished.resolve(message.outcome)
    })
    // Without its thread the bridge is `cat`: what is not committed by now is lost, and said to be.
    const gone = (why: string): void => {
      if (this.#closing) return
      this.#closing = true
      producer.close()
      say(
        `the delivery thread has ended (${why}); what comes in is passed on but no longer recorded. Please report this.`,
      )
      this.#finished.resolve({ complete: false, inMemory: false })
    }
    this.#worker.on('error', (error) => gone((error as Error).stack ?? String(error)))
    this.#worker.on('exit', (code) => {
      if (code !== 0) gone(`exit code ${code}`)
    })
    producer.post({ kind: 'run', start: options.start, resume: options.resume })
  }

  /**
   * A sink for one stream of bytes; the streams of one run share its series. `screen` is where the console, if there is
   * one, shows the stream.
   */
  stream({ text, events, colour }: Screen): TeeSink {
    const open = (tap: LineTap | null): LineStream => this.#reader.stream(Date.now, tap)
    const rendered = this.#console === null ? null : new ConsoleStream({ ...this.#console(colour), text, events, open })
    const lines = rendered ?? open(null)
    return {
      push: (chunk) => {
        lines.push(chunk)
        this.#producer.touch()
      },
      end: () => {
        lines.end()
        this.#producer.touch()
      },
      isFull: () => this.#blocks && this.#producer.isFull,
      whenRoom: (then) => this.#producer.whenRoom(then),
      release: () => rendered?.release(),
    }
  }

  /** Takes one OTLP request. Resolves when all of it is in the journal. @throws Refusal */
  async takeOtlp(path: SignalPath, body: Buffer, encoding: Encoding): Promise<void> {
    this.#otlp ??= await this.#openOtlp()
    await this.#otlp.intake.take(path, body, encoding)
  }

  /** Loaded with the first request: most runs have none. */
  async #openOtlp(): Promise<OtlpParts> {
    const { createIntake } = await import('./receivers/otlp-http/compose.ts')
    const parts = createIntake({
      settings: this.#settings,
      producer: this.#producer,
      packer: this.#packer,
      counters: this.#counters,
      layer: this.#reader.layer,
      say: this.#say,
    })
    // Two first requests may have come at once.
    return this.#otlp ?? parts
  }

  /** The input is over: delivers what there is and ends. `limitMs` bounds all of it; a second call may set it. */
  finish(end: { status: EndStatus; time: number } | null, limitMs: number | null): Promise<Outcome> {
    this.#otlp?.spans.end()
    this.#otlp?.stop()
    this.#lineSpans?.end()
    void this.#drain(end, limitMs)
    return this.#finished.promise
  }

  /** Spans that are still being encoded go first. */
  async #drain(end: { status: EndStatus; time: number } | null, limitMs: number | null): Promise<void> {
    await this.#timeline.flush()
    if (end !== null) this.#producer.post({ kind: 'end', ...end })
    this.#producer.post({ kind: 'finish', limitMs })
  }

  /** Commits and ends now; a thread that cannot (a disk that hangs) is not waited for. */
  stop(): void {
    this.#producer.post({ kind: 'stop' })
    setTimeout(() => this.#finished.resolve({ complete: false, inMemory: false }), STOP_PATIENCE_MS).unref()
  }

  /** Spans that the run cannot take: they are counted as dropped. */
  dropSpans(count: number): void {
    this.#counters.add(SPANS, count)
    this.#counters.add(SPANS_CHANNEL_FULL, count)
    this.#producer.touch()
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
    this.#producer.close()
    await this.#worker.terminate()
  }
}

/** `tsc` does not rewrite the address of a worker: it has the ending of the file that runs. */
function startWorker(workerData: WorkerData): Worker {
  const file = new URL(`./delivery/worker${extname(import.meta.url)}`, import.meta.url)
  try {
    process.cwd()
  } catch {
    process.chdir('/') // a worker does not start in a directory that has been deleted; the command has started there
  }
  // Not the flags of this process: with the library they are somebody else's (`--input-type`, `--import`).
  return new Worker(file, { workerData, execArgv: ['--disable-warning=ExperimentalWarning'] })
}
