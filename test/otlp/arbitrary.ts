import fc from 'fast-check'
import type { Json } from './oracle.ts'

const int64 = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  fc.constantFrom('9007199254740992', '9007199254740993', '-9007199254740992', '-9007199254740993'),
)
const nanos = fc.oneof(fc.constant('0'), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String))
const uint32 = fc.nat(2 ** 32 - 1)
const bytes = (longest: number): fc.Arbitrary<number[]> => fc.array(fc.nat(255), { maxLength: longest })
const id = (length: number): fc.Arbitrary<number[]> =>
  fc.oneof(fc.array(fc.nat(255), { minLength: length, maxLength: length }), fc.constant(Array<number>(length).fill(0)))

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 50 }),
  fc.constantFrom('', 'loss', '__proto__', 'constructor', '0', '-17', '007', '9007199254740993', 'a'.repeat(200)),
)

const { value } = fc.letrec<{ value: Json; keyValue: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.record({ stringValue: text }),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ intValue: int64 }),
    fc.record({ doubleValue: fc.double() }),
    fc.record({ bytesValue: bytes(20) }),
    fc.constant({}),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie('value'), { maxLength: 4 }) }) }),
    fc.record({ kvlistValue: fc.record({ values: fc.array(tie('keyValue'), { maxLength: 4 }) }) }),
  ),
  keyValue: fc.record({ key: text, value: tie('value') }, { requiredKeys: [] }),
}))

const attributes = fc.array(fc.record({ key: text, value }, { requiredKeys: ['key'] }), { maxLength: 6 })
const some = <T extends Json>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Json> =>
  fc.record(model, { requiredKeys: [] })

const counted = { attributes, droppedAttributesCount: uint32 }
const event = some({ timeUnixNano: nanos, name: text, ...counted })
const link = some({ traceId: id(16), spanId: id(8), traceState: text, flags: uint32, ...counted })

const span = some({
  traceId: id(16),
  spanId: id(8),
  traceState: text,
  parentSpanId: id(8),
  flags: uint32,
  name: text,
  kind: fc.nat(5),
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  ...counted,
  events: fc.array(event, { maxLength: 3 }),
  droppedEventsCount: uint32,
  links: fc.array(link, { maxLength: 2 }),
  droppedLinksCount: uint32,
  status: some({ message: text, code: fc.nat(2) }),
})

const record = some({
  timeUnixNano: nanos,
  observedTimeUnixNano: nanos,
  severityNumber: fc.nat(24),
  severityText: text,
  body: value,
  ...counted,
  flags: uint32,
  traceId: id(16),
  spanId: id(8),
  eventName: text,
})

const language = fc
  .constantFrom('rust', 'python')
  .map((name) => [{ key: 'telemetry.sdk.language', value: { stringValue: name } }])
const entityRef = some({ schemaUrl: text, type: text, idKeys: fc.array(text), descriptionKeys: fc.array(text) })
const resource = some({
  attributes: fc.tuple(attributes, fc.oneof(language, fc.constant([]))).map((lists) => lists.flat()),
  droppedAttributesCount: uint32,
  entityRefs: fc.array(entityRef, { maxLength: 2 }),
})
const scope = some({ name: text, version: text, ...counted })

function request(groups: string, scopes: string, items: string, item: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  const inner = some({ scope, schemaUrl: text, [items]: fc.array(item, { maxLength: 4 }) })
  const group = some({ resource, schemaUrl: text, [scopes]: fc.array(inner, { maxLength: 3 }) })
  return some({ [groups]: fc.array(group, { maxLength: 3 }) })
}

/** Any ExportTraceServiceRequest, in the form that the oracle encodes. */
export const anyTraces = request('resourceSpans', 'scopeSpans', 'spans', span)

/** Any ExportLogsServiceRequest. */
export const anyLogs = request('resourceLogs', 'scopeLogs', 'logRecords', record)
