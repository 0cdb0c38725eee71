import { tracesFromJson } from '../src/otlp/json.ts'

type Json = Record<string, any>

const NAMES = ['policy_loss', 'value_loss', 'entropy', 'approx_kl', 'clip_fraction', 'grad_norm', 'learning_rate']

const attribute = (key: string, value: Json): Json => ({ key, value })
const numbers = (): Json[] => NAMES.map((name) => attribute(name, { doubleValue: Math.random() * 10 }))
const hex = (bytes: number): string =>
  Array.from({ length: bytes * 2 }, () => Math.floor(Math.random() * 16).toString(16)).join('')

/** A span with 10 attributes and 2 events of 9 attributes: 21 numbers and 3 steps. 16 of them are the children of one span. */
function span(i: number, parent: Json): Json {
  const start = 1_772_366_400_000_000_000n + BigInt(i) * 3_141_592n
  const step = attribute('step', { intValue: String(i * 8192) })
  const category = attribute('category', { stringValue: 'TRAINER' })
  const event = (at: bigint): Json => ({
    timeUnixNano: String(start + at),
    name: 'update done',
    attributes: [category, step, ...numbers()],
  })
  return {
    ...parent,
    spanId: hex(8),
    name: 'train_step',
    kind: 1,
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(start + 2_500_000n),
    attributes: [category, step, attribute('phase', { stringValue: 'learn' }), ...numbers()],
    events: [event(1_000_000n), event(2_000_000n)],
    status: {},
  }
}

const resource = { attributes: [attribute('service.name', { stringValue: 'ppo' })] }

/** Numbers that become points: 7 of the span's own, its duration, and 7 of each of two events. */
export const NUMBERS_A_SPAN = 3 * NAMES.length + 1

/** A request with `count` spans whose ids never came before. */
export function requestOf(count: number): Buffer {
  const parents = Array.from({ length: Math.ceil(count / 16) }, () => ({ traceId: hex(16), parentSpanId: hex(8) }))
  const spans = Array.from({ length: count }, (_, i) => span(i, parents[i >> 4]!))
  const request = { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'trainer' }, spans }] }] }
  // As it comes from a socket: protobufjs reads texts of a Buffer faster than those of a Uint8Array.
  return Buffer.from(tracesFromJson(JSON.stringify(request)))
}
