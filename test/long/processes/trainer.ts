/**
 * A trainer that writes events at a steady rate, one write each, and knows what each write took. Tells its parent how far
 * it is, and at the end what it has written: `node trainer.ts --rate 5000 --seconds 60 --numbers 3 --spans 100`.
 */
import { writeSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { Checksum, valueAt } from '../../support/written.ts'
import type { Progress, Report } from '../messages.ts'

const TICK_MS = 1
const TELL_MS = 10

const { values } = parseArgs({
  options: {
    rate: { type: 'string' },
    seconds: { type: 'string' },
    numbers: { type: 'string' },
    /** Every so many events one is in a span of its own; 0: none. */
    spans: { type: 'string', default: '0' },
  },
})
const rate = Number(values.rate)
const events = Math.round(rate * Number(values.seconds))
const SPAN_EVERY = Number(values.spans)
const checksums = Array.from({ length: Number(values.numbers) }, () => new Checksum())
const times = createHistogram()
const tell = (message: Progress | Report): void => void process.send!(message)

function write(step: number): void {
  let line = `{"category":"TRAINER","step":${step}`
  checksums.forEach((checksum, key) => {
    const value = valueAt(key, step)
    checksum.add(step, value)
    line += `,"n${key}":${value}`
  })
  if (SPAN_EVERY > 0 && step % SPAN_EVERY === 0) line += `,"span":{"name":"update","step":${step}},"spans":[]`
  const bytes = Buffer.from(`${line}}\n`)
  const before = process.hrtime.bigint()
  writeSync(1, bytes)
  times.record(process.hrtime.bigint() - before || 1n)
}

const begin = performance.now()
let step = 0
let toldAt = 0
function tick(): void {
  const due = Math.min(events, Math.floor(((performance.now() - begin) * rate) / 1000))
  for (; step < due; step += 1) write(step)
  const now = Date.now()
  if (now - toldAt >= TELL_MS) tell({ at: (toldAt = now), step })
  if (step < events) setTimeout(tick, TICK_MS)
  else finish()
}

function finish(): void {
  const us = (percentile: number): number => times.percentile(percentile) / 1000
  tell({
    events,
    seconds: (performance.now() - begin) / 1000,
    spans: SPAN_EVERY > 0 ? Math.ceil(events / SPAN_EVERY) : 0,
    checksums: checksums.map((checksum) => checksum.toJSON()),
    p50: us(50),
    p99: us(99),
    p999: us(99.9),
    slowest: times.max / 1000,
  })
  process.disconnect()
}

tick()
