import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

type Json = Record<string, any>

const { opentelemetry } = createRequire(import.meta.url)('otlp-transformer-oracle/build/src/generated/root.js') as Json
const Request = opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest as {
  decode(bytes: Uint8Array): unknown
  toObject(message: unknown): Json
  encode(message: unknown): { finish(): Uint8Array }
}

export const SPANS_A_REQUEST = 512
/** Numbers of a span that become points: ten attributes and its duration. */
export const POINTS_A_SPAN = 11

const NUMBERS = ['reward', 'share', 'policy_loss', 'value_loss', 'entropy', 'approx_kl', 'grad_norm', 'clip_fraction']
NUMBERS.push('learning_rate', 'ratio_mean')

/** What stands where a number will be written: found again in the bytes. */
const MARK = 0x7ace0000
const markedDouble = (n: number): number => new Float64Array(new Uint32Array([n, MARK]).buffer)[0]!
const markedId = (n: number, bytes: number): Buffer => {
  // Other bytes in each kind, or one would be found in the other.
  const id = Buffer.alloc(bytes, bytes === 16 ? 0xa5 : 0x5b)
  id.writeUInt32LE(n, bytes - 4)
  return id
}

/** A request whose ids and numbers are new each time that it is asked for: encoding it would cost more than taking it in. */
export class SpanRequests {
  readonly #body: Buffer
  readonly #values: number[] = []
  readonly #ids: { at: number; of: number }[] = []
  readonly #steps: number[] = []
  #next: number

  /** `sender`: told apart from others by it; `instance`: the resource names a run of its own. */
  constructor(sender: number, instance?: string) {
    this.#next = sender * 2 ** 24
    const body = (this.#body = encoded(instance))
    for (let i = 0; i < SPANS_A_REQUEST * NUMBERS.length; i += 1) {
      const mark = Buffer.alloc(8)
      mark.writeUInt32LE(i, 0)
      mark.writeUInt32LE(MARK, 4)
      const at = body.indexOf(mark, this.#values.at(-1) ?? 0)
      if (at < 0) throw new Error(`number ${i} is not found in the request`)
      this.#values.push(at)
    }
    for (let i = 0; i < SPANS_A_REQUEST; i += 1) {
      this.#ids.push({ at: body.indexOf(markedId(i, 16)) + 12, of: i >> 4 })
      this.#ids.push({ at: body.indexOf(markedId(i, 8)) + 4, of: i })
      this.#steps.push(body.indexOf(stepBytes(i)) + 1)
    }
  }

  /** The bytes are those of the next request from the next call on: a sender that keeps them copies them. */
  next(): Buffer {
    const body = this.#body
    for (const at of this.#values) body.writeDoubleLE(Math.random() * 10, at)
    for (const { at, of } of this.#ids) body.writeUInt32BE(this.#next + of, at)
    for (let i = 0; i < SPANS_A_REQUEST; i += 1) writeStep(body, this.#steps[i]!, this.#next + i)
    this.#next += SPANS_A_REQUEST
    return body
  }
}

/** A step is written as five bytes of varint, below 2^35. */
const STEP_BASE = 2 ** 32
const stepBytes = (n: number): Buffer => {
  const bytes = Buffer.alloc(6)
  bytes[0] = 0x18 // AnyValue.int_value
  writeStep(bytes, 1, n)
  return bytes
}

function writeStep(body: Buffer, at: number, n: number): void {
  let rest = n >>> 0
  for (let i = 0; i < 4; i += 1) {
    body[at + i] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  body[at + 4] = rest | 0x10 // the bit of STEP_BASE
}

/** As recorded from the JavaScript SDK: a span with its resource and scope; its numbers are made ten. */
function encoded(instance: string | undefined): Buffer {
  const path = new URL('../../test/fixtures/otlp/javascript-traces-proto/01.body', import.meta.url)
  const [{ resource, scopeSpans }] = Request.toObject(Request.decode(readFileSync(path)))['resourceSpans']
  const recorded = (scopeSpans[0].spans as Json[]).find(({ name }) => name === 'pull')!
  const kept = (recorded['attributes'] as Json[]).filter(({ key }) => ['category', 'note'].includes(key))
  const number = (key: string, i: number): Json => ({ key, value: { doubleValue: markedDouble(i) } })
  const spans = Array.from({ length: SPANS_A_REQUEST }, (_, i) => ({
    ...recorded,
    traceId: markedId(i, 16),
    spanId: markedId(i, 8),
    parentSpanId: null,
    events: [],
    links: [],
    attributes: [
      ...kept,
      { key: 'step', value: { intValue: STEP_BASE + i } },
      ...NUMBERS.map((name, n) => number(name, i * NUMBERS.length + n)),
    ],
  }))
  const named =
    instance === undefined
      ? resource
      : {
          ...resource,
          attributes: [...resource.attributes, { key: 'service.instance.id', value: { stringValue: instance } }],
        }
  return Buffer.from(
    Request.encode({
      resourceSpans: [{ resource: named, scopeSpans: [{ scope: scopeSpans[0].scope, spans }] }],
    }).finish(),
  )
}
