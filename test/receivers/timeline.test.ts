import { expect, test } from 'vitest'
import { Channel } from '../../src/channel/channel.ts'
import type { ToDelivery } from '../../src/channel/messages.ts'
import type { LineSpan } from '../../src/receivers/lines/spans.ts'
import { Timeline } from '../../src/receivers/lines/timeline.ts'
import { SpanPacker } from '../../src/receivers/otlp-http/packer.ts'
import { Counters } from '../../src/telemetry/counters.ts'

const span: LineSpan = {
  name: 'epoch',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parentSpanId: null,
  startMs: 1_000,
  endMs: 2_000,
  attributes: { epoch: 1 },
  events: [],
  droppedEvents: 0,
  isFailed: false,
}

test('spans made of lines are committed together with their count, so that the account adds up after any kill', async () => {
  const sent: ToDelivery[] = []
  const channel = new Channel({ postMessage: (message) => void sent.push(message) }, 1_000, 'drop-newest')
  const counters = new Counters()
  const producer = channel.producer(1, counters)
  const packer = new SpanPacker(producer)
  const timeline = new Timeline({
    channel,
    packer,
    counters,
    resource: {},
    onFault: (error) => expect.fail(String(error)),
  })
  timeline.add(span)
  await timeline.flush()
  void channel.barrier([1])
  const kinds = sent.map(({ kind }) => kind)
  const [begin, complete] = [kinds.indexOf('begin'), kinds.indexOf('complete')]
  for (const kind of ['counts', 'spans'] as const) {
    expect(kinds.filter((each) => each === kind)).toHaveLength(1)
    expect(kinds.indexOf(kind)).toBeGreaterThan(begin)
    expect(kinds.indexOf(kind)).toBeLessThan(complete)
  }
})
