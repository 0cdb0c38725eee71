/**
 * A training loop in Node.js that logs 10 numbers a step, and notes what each call took.
 *
 *     node bench/trainers/trainer.ts pino|otlp CALLS PER_SECOND FILE ADDRESS_OR_MODULE
 */
import { writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'

const [client, calls, rate, told, where] = process.argv.slice(2) as [string, string, string, string, string]
const NAMES = ['policy_loss', 'value_loss', 'entropy', 'approx_kl', 'clip_fraction', 'grad_norm', 'learning_rate']
NAMES.push('reward', 'ratio_mean', 'td_error')

interface Client {
  log: (step: number, values: Record<string, number>) => void
  close: () => Promise<void>
}

async function pino(): Promise<Client> {
  const { default: make } = (await import(where)) as {
    default: (options: object) => { info(fields: object, message: string): void }
  }
  const logger = make({})
  return {
    log: (step, values) => logger.info({ category: 'TRAINER', step, ...values }, 'update done'),
    close: () => Promise.resolve(),
  }
}

function otlp(): Client {
  const exporter = new OTLPTraceExporter({ url: `${where}/v1/traces` })
  const provider = new BasicTracerProvider({
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: 100_000 })],
  })
  trace.setGlobalTracerProvider(provider)
  const tracer = trace.getTracer('trainer')
  return {
    log: (step, values) => tracer.startSpan('update', { attributes: { category: 'TRAINER', step, ...values } }).end(),
    close: () => provider.shutdown(),
  }
}

const { log, close } = client === 'pino' ? await pino() : otlp()
await setTimeout(1500) // whoever reads has started by then
const durations: number[] = []
const begin = performance.now()
for (let step = 0; step < Number(calls); step += 1) {
  const values = Object.fromEntries(NAMES.map((name) => [name, Math.random() * 10]))
  const wait = begin + (step * 1000) / Number(rate) - performance.now()
  if (wait > 0) await setTimeout(wait)
  const before = performance.now()
  log(step, values)
  durations.push((performance.now() - before) * 1000)
}
await close()
writeFileSync(told, JSON.stringify(durations))
