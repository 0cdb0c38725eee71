/**
 * One event of 8 numbers (7 values and a step) through the layer: finding its category and step, and putting its points
 * into a chunk; against `JSON.stringify` of the same fields.
 *
 *     node bench/extraction.ts --rounds 15
 *
 * - extraction: an event as receivers hand it over
 * - extraction-line: with the recognition of a line's shape before it, for lines that are parsed
 * - extraction-bare: a walk through the fields of the event that puts its numbers into columns, whatever they are called
 */
import { Channel } from '../src/channel/channel.ts'
import type { ToDelivery } from '../src/channel/messages.ts'
import { readFlags } from '../src/config/flags.ts'
import { loadSettings, rulesOf } from '../src/config/load.ts'
import type { Fields } from '../src/layer/event.ts'
import { Layer } from '../src/layer/layer.ts'
import { compileRules } from '../src/layer/rules.ts'
import { LineShapes } from '../src/receivers/lines/shape.ts'
import { Counters, POINTS } from '../src/telemetry/counters.ts'
import { eventLine, POINTS_PER_LINE } from './loads.ts'
import { median, report, roundsOr } from './report.ts'

const EVENTS = 4096
const PASSES = 25
const WARM_UP = 3

const { settings } = loadSettings(readFlags([], false), {})
const rules = compileRules(rulesOf(settings))
const counters = new Counters()
/** Points that have left with a chunk. */
let taken = 0
const channel: Channel = new Channel(
  {
    postMessage(message: ToDelivery) {
      if (message.kind !== 'points') return
      taken += message.counts?.[POINTS] ?? 0
      channel.recycle([message.buffer])
    },
  },
  settings['channel.capacity'],
  'block',
)
const producer = channel.producer(0, counters)
const nothing = (): void => {}
const point = (series: number, step: number, time: number, value: number): void =>
  void producer.offer(series, step, time, value)
const points = (count: number, series: Int32Array, step: number, time: number, values: Float64Array): void =>
  producer.offerAll(count, series, step, time, values)
const layer = new Layer(rules, { series: nothing, point, points, params: nothing, firstSkipped: nothing }, counters)
const shapes = new LineShapes(rules, settings['layer.wrappers'])
const lines = Array.from({ length: EVENTS }, (_, i) => JSON.parse(eventLine(i, 28)) as Fields)
const events = lines.map((line) => shapes.read(line))

const columns = { name: [] as string[], value: new Float64Array(1024) }

/** Asks only for what any extraction has to: each name, and whether what is there is a number. */
function bare(fields: Fields): void {
  let at = 0
  for (const name in fields) {
    const value = fields[name]
    if (typeof value !== 'number') continue
    columns.name[at] = name
    columns.value[at] = value
    at += 1
  }
}

const works = {
  extraction: () => {
    for (const event of events) layer.event(event, 0)
  },
  'extraction-line': () => {
    for (const line of lines) layer.event(shapes.read(line), 0)
  },
  'extraction-bare': () => {
    for (const line of lines) bare(line['fields'] as Fields)
  },
  stringify: () => {
    for (const line of lines) length += JSON.stringify(line).length
  },
}
let length = 0

function nanoseconds(pass: () => void): number {
  const from = performance.now()
  for (let i = 0; i < PASSES; i += 1) pass()
  return ((performance.now() - from) * 1e6) / (PASSES * EVENTS)
}

const names = Object.keys(works) as (keyof typeof works)[]
const rounds: Record<keyof typeof works, number>[] = []
for (let round = 0; round < roundsOr(15) + WARM_UP; round += 1) {
  const took = { extraction: 0, 'extraction-line': 0, 'extraction-bare': 0, stringify: 0 }
  for (const name of round % 2 === 0 ? names : names.toReversed()) took[name] = nanoseconds(works[name])
  if (round >= WARM_UP) rounds.push(took)
}
const passes = 2 * PASSES * (roundsOr(15) + WARM_UP)
const count = counters.values[POINTS]! + taken
if (count !== passes * EVENTS * POINTS_PER_LINE) throw new Error(`got ${count} points`)
const ratioOf = (name: keyof typeof works): number[] => rounds.map((took) => took[name] / took.stringify)
report(
  {
    extraction: ratioOf('extraction'),
    'extraction-line': ratioOf('extraction-line'),
    'extraction-bare': ratioOf('extraction-bare'),
  },
  Object.fromEntries(names.map((name) => [`${name}, ns`, Math.round(median(rounds.map((took) => took[name])))])),
)
