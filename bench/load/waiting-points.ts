/** Points in the real channel whose other thread reads nothing. Prints the bytes of memory that one takes. */
import { MessageChannel } from 'node:worker_threads'
import { Channel } from '../../src/channel/channel.ts'
import { Counters, POINTS } from '../../src/telemetry/counters.ts'

const POINTS_WAITING = 1_000_000

declare const gc: () => void

const { port1, port2 } = new MessageChannel()
const counters = new Counters()
const producer = new Channel(port1, POINTS_WAITING + 10_000, 'drop-newest').producer(0, counters)
const offer = (from: number, count: number): void => {
  for (let i = from; i < from + count; i += 1) {
    counters.add(POINTS, 1)
    if (producer.offer(i % 40, i, i, i / 3) !== 'ok') throw new Error('a point was dropped')
  }
}
offer(0, 5000) // the code is compiled, the first chunks are there
gc()
const before = process.memoryUsage().rss
offer(5000, POINTS_WAITING)
gc()
console.log((process.memoryUsage().rss - before) / POINTS_WAITING)
port2.close()
process.exit()
