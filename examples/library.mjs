/**
 * A trainer in Node.js whose OpenTelemetry spans go straight into a run, without another process.
 *
 *     npm install spanbridge @opentelemetry/api @opentelemetry/sdk-trace-base
 *     MLFLOW_TRACKING_URI=http://127.0.0.1:5000 node library.mjs
 */
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import { startBridge } from 'spanbridge'

const bridge = startBridge({ settings: { runName: 'library', params: { learning_rate: '0.1' } } })
const provider = new BasicTracerProvider({ spanProcessors: [bridge.spanProcessor] })
const tracer = provider.getTracer('trainer')

let weight = 0
for (let step = 1; step <= 100; step += 1) {
  const x = Math.random()
  const error = weight * x - 3 * x
  weight -= 0.1 * error * x
  // Numbers beside a step become metrics; the span itself is on the timeline, and its duration a metric, too.
  tracer.startSpan('update', { attributes: { category: 'TRAINER', step, loss: error ** 2, weight } }).end()
}
await bridge.finish()
