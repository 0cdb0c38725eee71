import type { Channel } from '../../channel/channel.ts'
import type { EventLevel, EventRow, Opened, RunStart } from '../../channel/messages.ts'
import type { ChannelProducer } from '../../channel/producer.ts'
import { rulesOf } from '../../config/load.ts'
import type { Settings } from '../../config/settings.ts'
import { Renderer } from '../../console/render.ts'
import { ConsoleStream, type ConsoleOptions } from '../../console/stream.ts'
import { MAX_EXAMPLE } from '../../layer/example.ts'
import { parseFilter } from '../../layer/filter.ts'
import type { Layer } from '../../layer/layer.ts'
import { compileRules } from '../../layer/rules.ts'
import {
  CONSOLE_SKIPPED,
  LINES,
  notAnEvent,
  SPANS,
  SPANS_CHANNEL_FULL,
  type Counters,
} from '../../telemetry/counters.ts'
import type { Output } from '../../telemetry/output.ts'
import { SpanPacker } from '../otlp-http/packer.ts'
import type { TeeSink } from '../tee.ts'
import { LineReader, type LineStream, type LineTap } from './index.ts'
import type { LineFilter } from './origin.ts'
import { Presets, type LineFormat } from './presets.ts'
import { LineSpans } from './spans.ts'
import { Timeline } from './timeline.ts'

/** Where a stream is shown under the console. */
export interface Screen {
  /** Lines that are no events; null: nowhere. */
  text: Output | null
  events: Output
  colour: boolean
}

/** A run that has begun: its place in the channel. */
export interface BegunRun {
  start: RunStart
  channel: Channel
  producer: ChannelProducer
  counters: Counters
}

/** A run of lines that has begun, and what becomes known of it when it has its journal. */
export interface BegunLines {
  run: LineRun
  channel: Channel
  opened: Promise<Opened>
}

export interface LineRunOptions extends BegunRun {
  settings: Settings
  /** Events are shown as lines for people, in place of their JSON. */
  console: boolean
  say: (text: string) => void
}

/** One stream of bytes into a run. */
export interface LinesOfRun extends Pick<TeeSink, 'push' | 'end' | 'release'> {
  /** What its lines are, where they are no JSON. */
  readonly format: LineFormat | null
}

/** The run of this process: what takes its lines into the channel, and the spans that they show. */
export class LineRun {
  readonly ulid: string
  readonly producer: ChannelProducer
  readonly packer: SpanPacker
  readonly counters: Counters
  readonly #reader: LineReader
  readonly #console: ((colour: boolean) => Pick<ConsoleOptions, 'renderer' | 'onSkipped'>) | null
  readonly #timeline: Timeline
  readonly #presets: Presets | null
  readonly #spans: LineSpans | null

  constructor({ start, channel, producer, counters, settings, console, say }: LineRunOptions) {
    this.ulid = start.run
    this.producer = producer
    this.counters = counters
    this.packer = new SpanPacker(producer)
    const rules = compileRules(rulesOf(settings))
    const onFault = (error: unknown): void =>
      say(
        `a fault of ours: spans of lines are lost (${error instanceof Error ? error.message : 'unknown'}). Please report this.`,
      )
    const resource = { 'service.name': settings['otel.serviceName'] ?? start.name, 'spanbridge.run': start.run }
    this.#timeline = new Timeline({ channel, packer: this.packer, counters, resource, onFault })
    this.#spans = settings['spans.fromLines']
      ? new LineSpans(start.run, [...new Set(rules.stepFields.flat())], (span) => this.#timeline.add(span))
      : null
    const filter: LineFilter = { all: parseFilter(settings.filter ?? ''), rust: parseFilter(settings.rustFilter ?? '') }
    const output = {
      series: (id: number, key: string): void => producer.define(id, key),
      point: (series: number, step: number, time: number, value: number): void =>
        void producer.offer(series, step, time, value),
      points: (count: number, series: Int32Array, step: number, time: number, values: Float64Array): void =>
        producer.offerAll(count, series, step, time, values),
      params: (params: readonly (readonly [string, string])[]): void => producer.post({ kind: 'params', params }),
      example: (reason: string, line: string): void => producer.post({ kind: 'example', reason, line }),
      event: (level: EventLevel, make: () => EventRow): void => producer.event(level, make),
    }
    const { preset } = settings
    const presets =
      preset === 'off' ? null : new Presets({ preset, stepFields: rules.stepFields[rules.defaultPrefix]!, say })
    this.#presets = presets
    const reading = { rules, wrappers: settings['layer.wrappers'], filter, spans: this.#spans, presets }
    this.#reader = new LineReader(reading, output, counters)
    this.#console = console
      ? (colour) => ({
          renderer: new Renderer({ rules, labels: settings.labels, colour }),
          onSkipped: () => counters.add(CONSOLE_SKIPPED, 1),
        })
      : null
  }

  /** The layer of the run, which other receivers of it share. */
  get layer(): Layer {
    return this.#reader.layer
  }

  /** A sink for one stream of bytes; `screen` is where the console, if there is one, shows it; null: nowhere. `label` is what the stream is called. */
  stream(screen: Screen | null, label: string | null = null): LinesOfRun {
    let format: LineFormat | null = null
    const open = (tap: LineTap | null): LineStream => {
      const stream = this.#reader.stream(Date.now, tap, label)
      format = stream.format
      return stream
    }
    const rendered =
      this.#console === null || screen === null
        ? null
        : new ConsoleStream({ ...this.#console(screen.colour), text: screen.text, events: screen.events, open })
    const lines = rendered ?? open(null)
    return {
      format,
      push: (chunk) => {
        lines.push(chunk)
        this.producer.touch()
      },
      end: () => {
        lines.end()
        this.producer.touch()
      },
      release: () => rendered?.release(),
    }
  }

  /** What reads lines as those of a stream are read, without taking any; null: they are JSON. */
  format(label: string): LineFormat | null {
    return this.#presets?.stream(label) ?? null
  }

  /** Something has come that holds no lines: it counts as one that is no event, and `words` say what it is. */
  unreadable(words: string): void {
    this.counters.add(LINES, 1)
    this.counters.add(notAnEvent('text'), 1)
    this.producer.post({ kind: 'example', reason: 'text', line: words.slice(0, MAX_EXAMPLE) })
    this.producer.touch()
  }

  /** Spans that the run cannot take: they are counted as dropped. */
  dropSpans(count: number): void {
    this.counters.add(SPANS, count)
    this.counters.add(SPANS_CHANNEL_FULL, count)
    this.producer.touch()
  }

  /** No line comes any more. Resolves when all spans of lines are in the channel. */
  end(): Promise<void> {
    this.#spans?.end()
    return this.#timeline.flush()
  }
}
