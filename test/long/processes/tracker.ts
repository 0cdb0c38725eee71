/** The fast stand-in of MLflow in a process of its own, which can be stopped as one; told by its parent what goes wrong. */
import { Random } from '../../simulation/random.ts'
import { ColumnModel } from '../../support/column-model.ts'
import { StandIn, type Mishap } from '../../support/stand-in.ts'
import { keysOf } from '../../support/written.ts'
import type { Order, TrackerReport, Weather } from '../messages.ts'

/** Of requests, while answers are lost or cut. */
const SHARE = 0.5
/** Less than the patience of who waits for it, and more. */
const SLOW_MS = [200, 4000] as const

const random = new Random(Number(process.argv[2]))
const model = new ColumnModel()
const server = await StandIn.start(model)
let isDown = false

const mishaps: Record<Weather, () => Mishap | null> = {
  fair: () => null,
  down: () => null,
  lost: () => (random.chance(SHARE) ? { kind: 'lost' } : null),
  half: () => (random.chance(SHARE) ? { kind: 'half' } : null),
  '429': () => ({ kind: 'refused', status: 429 }),
  '500': () => ({ kind: 'refused', status: 500 }),
  '503': () => ({ kind: 'refused', status: 503 }),
  slow: () => ({ kind: 'slow', ms: random.long(...SLOW_MS) }),
}

async function change(weather: Weather): Promise<void> {
  server.mishap = mishaps[weather]
  if ((weather === 'down') === isDown) return
  isDown = weather === 'down'
  await (isDown ? server.down() : server.up())
}

function report(numbers: number, events: number): TrackerReport {
  const keys = keysOf(numbers)
  return {
    requests: server.requests,
    points: model.points,
    repeats: model.repeats,
    doubled: model.doubled,
    spans: server.spans.size,
    checksums: keys.map((key) => model.checksum(key).toJSON()),
    gaps: keys.map((key) => model.gaps(key, events)),
    statuses: [...model.runs.values()].map(({ info }) => info.status),
  }
}

process.on('message', (order: Order) => {
  if (order.kind === 'weather') void change(order.weather)
  else process.send!(report(order.numbers, order.events))
})
process.on('disconnect', () => process.exit())
process.send!(server.url)
