/**
 * One event of 8 numbers (7 values and a step), as `JSON.parse` gave it: finding its shape, step, category and time, and
 * putting its points into a chunk; against `JSON.stringify` of the same object.
 *
 *     node bench/extraction.ts --rounds 15
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
const channel: Channel = new Channel(
  { postMessage: (message: ToDelivery) => void (message.kind === 'points' && channel.recycle([message.buffer])) },
  settings['channel.capacity'],
  'block',
)
const producer = channel.producer(0, counters)
const nothing = (): void => {}
const point = (series: number, step: number, time: number, value: number): void =>
  void producer.offer(series, step, time, value)
const layer = new Layer(rules, { series: nothing, point, params: nothing, firstSkipped: nothing }, counters)
const shapes = new LineShapes(rules, settings['layer.wrappers'])
let points = 0
const events = Array.from({ length: EVENTS }, (_, i) => JSON.parse(eventLine(i, 28)) as Fields)

function extract(): void {
  for (const fields of events) layer.event(shapes.read(fields), 0)
  points += counters.values[POINTS]!
}
let length = 0
function stringify(): void {
  for (const fields of events) length += JSON.stringify(fields).length
}

function nanoseconds(pass: () => void): number {
  const from = performance.now()
  for (let i = 0; i < PASSES; i += 1) pass()
  return ((performance.now() - from) * 1e6) / (PASSES * EVENTS)
}

const rounds: { ours: number; theirs: number }[] = []
for (let round = 0; round < roundsOr(15) + WARM_UP; round += 1) {
  let ours = round % 2 === 0 ? nanoseconds(extract) : 0
  const theirs = nanoseconds(stringify)
  if (round % 2 === 1) ours = nanoseconds(extract)
  if (round >= WARM_UP) rounds.push({ ours, theirs })
}
if (points === 0 || length === 0 || POINTS_PER_LINE === 0) throw new Error('nothing was taken')
report(
  { extraction: rounds.map(({ ours, theirs }) => ours / theirs) },
  {
    'extraction, ns': median(rounds.map(({ ours }) => ours)),
    'JSON.stringify, ns': median(rounds.map(({ theirs }) => theirs)),
  },
)
