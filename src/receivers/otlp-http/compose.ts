import type { Channel } from '../../channel/channel.ts'
import { nothingOpened, type Opened } from '../../channel/messages.ts'
import type { ChannelProducer } from '../../channel/producer.ts'
import { rulesOf } from '../../config/load.ts'
import type { Settings } from '../../config/settings.ts'
import { parseFilter } from '../../layer/filter.ts'
import { globs } from '../../layer/globs.ts'
import { Layer } from '../../layer/layer.ts'
import { compileRules } from '../../layer/rules.ts'
import { SpanLayer, type SpanLayerOptions, type SpanRun } from '../../layer/spans.ts'
import { exampleOfEvent } from '../../layer/example.ts'
import { WaitingLedger, type WaitingKeeper } from '../../layer/waiting.ts'
import type { Counters } from '../../telemetry/counters.ts'
import type { ReadOptions } from '../../otlp/traces.ts'
import { OtlpIntake } from './intake.ts'
import { SpanPacker } from './packer.ts'
import { goOn, NetworkRuns, type NetworkStart, type OtlpRun } from './runs.ts'

/** How often it is looked whether what waits for other spans has waited too long, and whether runs have gone quiet. */
const LOOK_MS = 10_000

/** What the run of this process shares with what comes by OTLP. */
export interface MainRun {
  ulid: string
  producer: ChannelProducer
  packer: SpanPacker
  counters: Counters
  /** Lines and spans of one run share its series. */
  layer: Layer
  /** Of a run that goes on: what is known of it; null: it begins. */
  opened: Promise<Opened> | null
}

export interface ComposeOptions {
  settings: Settings
  channel: Channel
  /** The run of this process; null: there are only those from the network. */
  main: MainRun | null
  /** Everything goes into it, whatever the senders say of themselves. */
  isOnlyMain: boolean
  /** Begins a run with a number of its own in the channel. */
  begin: (start: NetworkStart) => { ulid: string; producer: ChannelProducer; counters: Counters }
  say: (text: string) => void
}

/** Takes OTLP into the runs that it belongs to. */
export class OtlpReceiving {
  readonly intake: OtlpIntake
  readonly #options: ComposeOptions
  readonly #runs: NetworkRuns
  readonly #main: OtlpRun | null
  readonly #opening = new Map<number, (opened: Opened) => void>()
  readonly #timer: NodeJS.Timeout
  readonly #layer: SpanLayer
  readonly #reading: ReadOptions
  readonly #said = new Set<string>()

  constructor(options: ComposeOptions) {
    const { settings, channel, main } = options
    this.#options = options
    this.#layer = new SpanLayer(layerOptionsOf(settings))
    this.#reading = { integerText: settings['layer.integerText'] }
    this.#main = main === null ? null : this.#runOf(main)
    this.#runs = new NetworkRuns({
      main: this.#main,
      isOnlyMain: options.isOnlyMain,
      identity: settings['runs.identity'],
      acceptIds: settings['runs.acceptIds'],
      idleMs: settings['runs.idle'],
      begin: (start) => this.#begin(start),
      end: (run, time) => this.#end(run, time),
    })
    this.intake = new OtlpIntake({
      channel,
      runs: this.#runs,
      layer: this.#layer,
      reading: this.#reading,
      onMetrics: () =>
        this.#sayOnce('metrics came by OTLP; this version takes traces and logs, and lets metrics pass unread'),
      onTooMany: () => this.#sayOnce('more than 64 runs came from the network; those beyond are refused'),
    })
    this.#timer = setInterval(() => this.#look(Date.now()), Math.min(LOOK_MS, settings['runs.idle']))
    this.#timer.unref()
  }

  /** A run of the network has its journal. */
  opened(opened: Opened): void {
    this.#opening.get(opened.run)?.(opened)
    this.#opening.delete(opened.run)
  }

  /** Nobody opens runs any more: those who wait for it go on, and hear that nothing is committed. */
  stop(): void {
    clearInterval(this.#timer)
    for (const [run, resolve] of this.#opening) resolve(nothingOpened(run))
    this.#opening.clear()
  }

  /** Nothing comes any more. */
  async end(time: number): Promise<void> {
    clearInterval(this.#timer)
    const { channel } = this.#options
    const runs = this.#main === null ? this.#runs.all : [this.#main, ...this.#runs.all]
    await Promise.all(runs.map(({ ready }) => ready))
    channel.whole(() => {
      for (const { into } of runs) this.#layer.end(into)
    })
    for (const { producer } of this.#runs.all) producer.post({ kind: 'end', status: 'FINISHED', time })
  }

  #begin(start: NetworkStart): OtlpRun {
    const { settings } = this.#options
    const { ulid, producer, counters } = this.#options.begin(start)
    const layer = new Layer(
      compileRules(rulesOf(settings)),
      {
        series: (id, key) => producer.define(id, key),
        point: (series, step, time, value) => void producer.offer(series, step, time, value),
        points: (count, series, step, time, values) => producer.offerAll(count, series, step, time, values),
        params: (params) => producer.post({ kind: 'params', params }),
        firstSkipped: (reason, event) => {
          if (reason !== 'config') producer.post({ kind: 'example', reason, line: exampleOfEvent(event) })
        },
      },
      counters,
    )
    const { promise, resolve } = Promise.withResolvers<Opened>()
    this.#opening.set(producer.run, resolve)
    return this.#runOf({ ulid, producer, packer: new SpanPacker(producer), counters, layer, opened: promise })
  }

  #runOf({ ulid, producer, packer, counters, layer, opened }: MainRun): OtlpRun {
    const keeper: WaitingKeeper = {
      waiting: (rows) => producer.post({ kind: 'waiting', rows }),
      settled: (ids) => producer.post({ kind: 'settled', ids }),
    }
    const into: SpanRun = {
      layer,
      counters,
      ledger: new WaitingLedger(keeper),
      names: new Set<string>(),
      putEvent: (level, make) => producer.event(level, make),
    }
    const run: OtlpRun = { ulid, producer, packer, into, ready: Promise.resolve() }
    const going = { layer: this.#layer, channel: this.#options.channel, reading: this.#reading }
    if (opened !== null) run.ready = opened.then((it) => goOn(run, it, going))
    return run
  }

  #end(run: OtlpRun, time: number): void {
    const { channel } = this.#options
    channel.whole(() => this.#layer.end(run.into))
    run.producer.post({ kind: 'end', status: 'FINISHED', time })
    channel.leave(run.producer)
  }

  #look(now: number): void {
    const { channel } = this.#options
    channel.whole(() => this.#layer.expire(now))
    this.#runs.endIdle(now)
  }

  #sayOnce(text: string): void {
    if (!this.#said.has(text)) this.#options.say(`otlp-http: ${text}`)
    this.#said.add(text)
  }
}

/** The settings as the layer needs them. */
function layerOptionsOf(settings: Settings): SpanLayerOptions {
  const all = parseFilter(settings.filter ?? '')
  const rust = parseFilter(settings.rustFilter ?? '')
  return {
    rules: compileRules(rulesOf(settings)),
    isMeasured: globs(settings['spans.metrics']),
    allows: (target, level, isRust) => {
      if (all !== null) return all.allows(target, level)
      if (rust === null || !isRust) return true
      return target === '' ? rust.mayAllow(level) : rust.allows(target, level)
    },
  }
}
