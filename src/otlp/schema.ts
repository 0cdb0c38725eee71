/** How a field of OTLP/JSON is written in protobuf. `hex` is an id; `value` an AnyValue. */
export type FieldType =
  | 'string'
  | 'hex16'
  | 'hex8'
  | 'enum'
  | 'uint32'
  | 'fixed32'
  | 'fixed64'
  | 'value'
  | 'keyValue'
  | MessageType

/** The fields of a message by their name in JSON. */
export interface MessageType {
  readonly [name: string]: FieldSpec
}

/** The number, the type, and whether it is a list. */
export interface FieldSpec {
  readonly number: number
  readonly type: FieldType
  readonly isList: boolean
}

const one = (number: number, type: FieldType): FieldSpec => ({ number, type, isList: false })
const many = (number: number, type: FieldType): FieldSpec => ({ number, type, isList: true })

const ENTITY_REF: MessageType = {
  schemaUrl: one(1, 'string'),
  type: one(2, 'string'),
  idKeys: many(3, 'string'),
  descriptionKeys: many(4, 'string'),
}

const RESOURCE: MessageType = {
  attributes: many(1, 'keyValue'),
  droppedAttributesCount: one(2, 'uint32'),
  entityRefs: many(3, ENTITY_REF),
}

const SCOPE: MessageType = {
  name: one(1, 'string'),
  version: one(2, 'string'),
  attributes: many(3, 'keyValue'),
  droppedAttributesCount: one(4, 'uint32'),
}

const EVENT: MessageType = {
  timeUnixNano: one(1, 'fixed64'),
  name: one(2, 'string'),
  attributes: many(3, 'keyValue'),
  droppedAttributesCount: one(4, 'uint32'),
}

const LINK: MessageType = {
  traceId: one(1, 'hex16'),
  spanId: one(2, 'hex8'),
  traceState: one(3, 'string'),
  attributes: many(4, 'keyValue'),
  droppedAttributesCount: one(5, 'uint32'),
  flags: one(6, 'fixed32'),
}

const STATUS: MessageType = { message: one(2, 'string'), code: one(3, 'enum') }

const SPAN: MessageType = {
  traceId: one(1, 'hex16'),
  spanId: one(2, 'hex8'),
  traceState: one(3, 'string'),
  parentSpanId: one(4, 'hex8'),
  flags: one(16, 'fixed32'),
  name: one(5, 'string'),
  kind: one(6, 'enum'),
  startTimeUnixNano: one(7, 'fixed64'),
  endTimeUnixNano: one(8, 'fixed64'),
  attributes: many(9, 'keyValue'),
  droppedAttributesCount: one(10, 'uint32'),
  events: many(11, EVENT),
  droppedEventsCount: one(12, 'uint32'),
  links: many(13, LINK),
  droppedLinksCount: one(14, 'uint32'),
  status: one(15, STATUS),
}

const LOG_RECORD: MessageType = {
  timeUnixNano: one(1, 'fixed64'),
  observedTimeUnixNano: one(11, 'fixed64'),
  severityNumber: one(2, 'enum'),
  severityText: one(3, 'string'),
  body: one(5, 'value'),
  attributes: many(6, 'keyValue'),
  droppedAttributesCount: one(7, 'uint32'),
  flags: one(8, 'fixed32'),
  traceId: one(9, 'hex16'),
  spanId: one(10, 'hex8'),
  eventName: one(12, 'string'),
}

/** A request: items (spans, records) of scopes of resources, which differ between the signals by name only. */
function requestOf(resources: string, scopes: string, items: string, item: MessageType): MessageType {
  const schemaUrl = one(3, 'string')
  const scopeItems: MessageType = { scope: one(1, SCOPE), [items]: many(2, item), schemaUrl }
  return { [resources]: many(1, { resource: one(1, RESOURCE), [scopes]: many(2, scopeItems), schemaUrl }) }
}

/** ExportTraceServiceRequest. */
export const TRACE_REQUEST = requestOf('resourceSpans', 'scopeSpans', 'spans', SPAN)

/** ExportLogsServiceRequest. */
export const LOGS_REQUEST = requestOf('resourceLogs', 'scopeLogs', 'logRecords', LOG_RECORD)
