import {
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Attributes,
  type AttributeValue,
  type HrTime,
  type SpanContext,
} from '@opentelemetry/api'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import type { Fields } from '../layer/event.ts'
import { isSecret, jsonText, REDACTED, withoutSecrets } from '../layer/params.ts'
import type { LineSpan } from '../receivers/lines/spans.ts'

/*
 * Spans of our own making as `ReadableSpan`s of the OpenTelemetry SDK, encoded by its own serializer. Loaded only when
 * there are any.
 */

/** An ExportTraceServiceRequest with the spans. */
export function serializeSpans(spans: readonly LineSpan[], resource: Readonly<Record<string, string>>): Uint8Array {
  const shared = {
    attributes: resource,
    asyncAttributesPending: false,
    merge: () => shared,
    getRawAttributes: () => [],
  }
  const readable = spans.map((span) => readableOf(span, shared as unknown as ReadableSpan['resource']))
  return ProtobufTraceSerializer.serializeRequest(readable)!
}

function readableOf(span: LineSpan, resource: ReadableSpan['resource']): ReadableSpan {
  const context = (spanId: string): SpanContext => ({ traceId: span.traceId, spanId, traceFlags: TraceFlags.SAMPLED })
  return {
    name: span.name,
    kind: SpanKind.INTERNAL,
    spanContext: () => context(span.spanId),
    ...(span.parentSpanId === null ? {} : { parentSpanContext: context(span.parentSpanId) }),
    startTime: hrTime(span.startMs),
    endTime: hrTime(span.endMs),
    duration: hrTime(span.endMs - span.startMs),
    ended: true,
    status: { code: span.isFailed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: attributesOf(span.attributes),
    links: [],
    events: span.events.map(({ name, timeMs, attributes }) => ({
      name,
      time: hrTime(timeMs),
      attributes: attributesOf(attributes),
      droppedAttributesCount: 0,
    })),
    resource,
    instrumentationScope: { name: 'spanbridge' },
    droppedAttributesCount: 0,
    droppedEventsCount: span.droppedEvents,
    droppedLinksCount: 0,
  }
}

/** Milliseconds as seconds and nanoseconds. */
const hrTime = (ms: number): HrTime => [Math.floor(ms / 1000), Math.min(999_999_999, Math.round((ms % 1000) * 1e6))]

/** What OpenTelemetry's attributes can hold, without secrets; everything else as JSON text, and nothing for null. */
const attributesOf = (fields: Fields): Attributes =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) =>
      value === null || value === undefined ? [] : [[name, attributeOf(name, value)]],
    ),
  )

function attributeOf(name: string, value: unknown): AttributeValue {
  if (typeof value === 'string') return withoutSecrets(name, value)
  if (typeof value === 'number') return isSecret(name, String(value)) ? REDACTED : value
  return typeof value === 'boolean' ? value : jsonText(name, value)
}
