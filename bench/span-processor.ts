/**
 * What `BridgeSpanProcessor` adds to a span of the OpenTelemetry SDK with one event of 10 attributes.
 *
 *     node bench/span-processor.ts --rounds 9
 *
 * - span-processor: time of the code that makes spans, with the processor over without one
 * - span-processor-bare: the same with a processor that only keeps spans until there are 512
 * - span-processor-all: processor time of the thread, which encodes spans and takes their numbers between turns of the loop
 */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { BasicTracerProvider, type ReadableSpan, type SpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { Tracer } from '@opentelemetry/api'
import { startBridge } from '../src/index.ts'
import { readStateDir } from '../src/journal/status.ts'
import { workDirectory } from './processes.ts'
import { median, report, roundsOr } from './report.ts'

const SPANS = 512
const GROUPS = 12
const WARM_UP = 3

const work = workDirectory()
const stateDir = mkdtempSync(join(work, 'state-'))
const bridge = startBridge({ settings: { stateDir }, env: {}, say: () => {} })
// The thread behind a bridge keeps no process alive: without this, a wait for it would be the end.
const alive = setInterval(() => {}, 1000)
const bare = new BasicTracerProvider().getTracer('bare')

/** Whoever encodes spans later has to keep them for so long. */
class Keeper implements SpanProcessor {
  kept: ReadableSpan[] = []
  onStart(): void {}
  onEnd(span: ReadableSpan): void {
    if (this.kept.length === SPANS) this.kept = []
    this.kept.push(span)
  }
  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}
const keeping = new BasicTracerProvider({ spanProcessors: [new Keeper()] }).getTracer('keeping')
const bridged = new BasicTracerProvider({ spanProcessors: [bridge.spanProcessor] }).getTracer('bridged')

function makeSpans(tracer: Tracer, from: number): void {
  for (let i = from; i < from + SPANS; i += 1) {
    const span = tracer.startSpan('update')
    const attributes: Record<string, number> = { step: i }
    for (let k = 0; k < 9; k += 1) attributes[`value_${k}`] = Math.random() * 10
    span.addEvent('metrics', attributes)
    span.end()
  }
}

/** Microseconds a span: in the code that makes them, and of processor time of this thread with all that is done afterwards. */
async function round(tracer: Tracer, from: number): Promise<{ making: number; all: number }> {
  let making = 0
  const before = process.threadCpuUsage()
  for (let group = 0; group < GROUPS; group += 1) {
    const at = performance.now()
    makeSpans(tracer, from + group * SPANS)
    making += performance.now() - at
    await setImmediate()
    if (tracer === bridged) await bridge.spanProcessor.forceFlush()
  }
  const { user, system } = process.threadCpuUsage(before)
  return { making: (making * 1000) / (SPANS * GROUPS), all: (user + system) / (SPANS * GROUPS) }
}

const rows: Record<'span-processor' | 'span-processor-bare' | 'span-processor-all', number[]> = {
  'span-processor': [],
  'span-processor-bare': [],
  'span-processor-all': [],
}
const bareMicros: number[] = []
for (let i = 0; i < roundsOr(9) + WARM_UP; i += 1) {
  const from = i * SPANS * GROUPS
  const first = i % 2 === 0 ? await round(bare, from) : null
  const with_ = await round(bridged, from)
  const keeper = await round(keeping, from)
  const without = first ?? (await round(bare, from))
  if (i < WARM_UP) continue
  rows['span-processor'].push(with_.making / without.making)
  rows['span-processor-bare'].push(keeper.making / without.making)
  rows['span-processor-all'].push(with_.all / without.all)
  bareMicros.push(without.making)
}
await bridge.finish()
clearInterval(alive)
const kept = readStateDir(stateDir).runs[0]?.journaled.spans
const made = SPANS * GROUPS * (roundsOr(9) + WARM_UP)
if (kept !== made) throw new Error(`expected ${made} spans in the journal, got ${kept}`)
report(rows, { 'a span without it, microseconds': median(bareMicros) })
