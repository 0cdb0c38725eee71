/**
 * The chain of lines in memory, and what surrounds the parser in it: chunks are cut, parsed, extracted, and their points
 * handed over to another thread, which gives the buffers back. Beside it, in turns and on the same lines, bare
 * `JSON.parse` of strings that were split before.
 *
 *     node bench/stdin.ts --rounds 9
 *
 * - stdin-chain: the chain's rate of lines over that of bare JSON.parse; stdin-chain-10k: the same with 10,000 keys
 * - prefilter: a log of which 90 % of the lines cannot be events, against giving each line to JSON.parse
 */
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Channel } from '../src/channel/channel.ts'
import type { FromDelivery } from '../src/channel/messages.ts'
import { readFlags } from '../src/config/flags.ts'
import { loadSettings } from '../src/config/load.ts'
import { LineRun } from '../src/receivers/lines/run.ts'
import { newRun } from '../src/cli/start.ts'
import { Counters } from '../src/telemetry/counters.ts'
import { chunksOf, eventLine, mixedLine, POINTS_PER_LINE } from './loads.ts'
import { median, report, roundsOr, wants, type Rows } from './report.ts'

const ROUNDS = roundsOr(9)
/** A round takes its lines in slices of some 3 MB, so that both sides meet the same disturbances. */
const SLICES = 8
const SLICE = 10_000
const WARM_UP = 2

/** Takes buffers as the delivery thread does, and gives them back in groups as after a commit. */
const CONSUMER = `
const { parentPort } = require('node:worker_threads')
let held = [], points = 0
const give = () => { if (held.length > 0) parentPort.postMessage({ kind: 'empty', buffers: held }, held); held = [] }
setInterval(give, 50)
parentPort.on('message', (message) => {
  if (message.kind === 'points') { points += message.count; held.push(message.buffer) }
  else if (message.kind === 'barrier') { give(); parentPort.postMessage({ kind: 'committed', id: message.id, durable: true, points }); points = 0 }
})`

/** The chain of one run, with a thread behind it. */
async function openChain(): Promise<{
  pass: (chunks: readonly Buffer[]) => Promise<number>
  close: () => Promise<number>
}> {
  const { settings } = loadSettings(readFlags([], false), {})
  const worker = new Worker(CONSUMER, { eval: true })
  const channel = new Channel(worker, settings['channel.capacity'], 'block')
  let points = 0
  worker.on('message', (message: FromDelivery & { points?: number }) => {
    if (message.kind === 'empty') channel.recycle(message.buffers)
    else if (message.kind === 'committed') {
      points = message.points!
      channel.committed(message.id, true)
    }
  })
  const counters = new Counters()
  const producer = channel.producer(0, counters)
  const start = newRun(settings, 'stdin', [], '/')
  const run = new LineRun({ start, channel, producer, counters, settings, console: false, say: console.error })
  const sink = run.stream({ text: null, events: null as never, colour: false })
  return {
    // Each chunk in a turn of the loop of its own, as the pipe brings it.
    async pass(chunks) {
      for (const chunk of chunks) {
        sink.push(chunk)
        await setImmediate()
      }
      await channel.barrier([])
      return points
    },
    close: () => worker.terminate(),
  }
}

interface Round {
  ratio: number
  /** Lines per second of the chain. */
  rate: number
}

/** The chain over a load, in turns of `SLICE` lines with `JSON.parse` of the same; `points`: what a slice must come to. */
async function inTurns(lineOf: (i: number) => string, points: number): Promise<Round[]> {
  const chain = await openChain()
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
    const slices = Array.from({ length: SLICES }, (_, slice) => {
      const from = (round * SLICES + slice) * SLICE
      const chunks = chunksOf(Array.from({ length: SLICE }, (_, i) => lineOf(from + i)))
      return { chunks, split: Buffer.concat(chunks).toString('latin1').trimEnd().split('\n') }
    })
    const spent = { chain: 0, parse: 0 }
    for (const [i, { chunks, split }] of slices.entries()) {
      if (i % 2 === 0) spent.parse += timeOf(() => parseEach(split))
      const from = performance.now()
      const got = await chain.pass(chunks)
      spent.chain += performance.now() - from
      if (got !== points) throw new Error(`expected ${points} points, got ${got}`)
      if (i % 2 === 1) spent.parse += timeOf(() => parseEach(split))
    }
    if (round >= WARM_UP) rounds.push({ ratio: spent.parse / spent.chain, rate: (SLICE * SLICES * 1000) / spent.chain })
  }
  await chain.close()
  return rounds
}

function timeOf(work: () => void): number {
  const from = performance.now()
  work()
  return performance.now() - from
}

let sum = 0
function parseEach(lines: readonly string[]): void {
  for (const line of lines) {
    try {
      sum += (JSON.parse(line) as { fields: { step: number } }).fields.step
    } catch {
      sum += 1 // no event
    }
  }
}

const rows: Rows = {}
const rates: Record<string, number> = {}
for (const [row, lineOf, points] of [
  ['stdin-chain', (i: number) => eventLine(i), SLICE * POINTS_PER_LINE],
  ['stdin-chain-10k', (i: number) => eventLine(i, 10_000), SLICE * POINTS_PER_LINE],
  ['prefilter', mixedLine, (SLICE / 10) * POINTS_PER_LINE],
] as const) {
  if (!wants(row)) continue
  const rounds = await inTurns(lineOf, points)
  rows[row] = rounds.map(({ ratio }) => ratio)
  rates[`${row}, lines/s`] = Math.round(median(rounds.map(({ rate }) => rate)))
}
report(rows, rates)
