import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import { describe, expect, it, vi } from 'vitest'
import type { Bridge } from '../../src/bridge.ts'
import { BridgeSpanProcessor } from '../../src/library/processor.ts'
import { readTraces } from '../../src/otlp/traces.ts'

describe('the span processor', () => {
  it('hands over all spans that end in one turn of the loop, though none ends after them', async () => {
    let spans = 0
    const takeOtlp = async (_path: string, body: Buffer): Promise<null> => {
      spans += readTraces(body).length
      return null
    }
    const processor = new BridgeSpanProcessor({ takeOtlp } as unknown as Bridge)
    const tracer = new BasicTracerProvider({ spanProcessors: [processor] }).getTracer('loop')
    for (let i = 0; i < 2000; i += 1) tracer.startSpan('update').end()
    expect(spans).toBe(0)
    await vi.waitFor(() => expect(spans).toBe(2000), 5000)
  })
})
