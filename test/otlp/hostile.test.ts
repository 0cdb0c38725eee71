import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { isFields, type Fields } from '../../src/layer/event.ts'
import { tracesFromJson } from '../../src/otlp/json.ts'
import { readTraces, spanAsWritten } from '../../src/otlp/traces.ts'
import { MAX_OBJECTS, WireError } from '../../src/otlp/wire.ts'
import { hostile, hostileBytes, type Hostile } from './bodies.ts'
import { encode, TraceRequest } from './oracle.ts'

/** Bodies that are refused before they get here: other media types, and gzip that does not unpack. */
const refusedBefore = ({ content_type, content_encoding, status }: Hostile): boolean =>
  content_type === 'application/xml' || (content_encoding === 'gzip' && status !== 200)

const files = hostile.filter((file) => !refusedBefore(file))

function bodyOf({ data, content_type, content_encoding }: Hostile): Uint8Array {
  const sent = hostileBytes(data)
  const body = content_encoding === 'gzip' ? gunzipSync(sent) : sent
  return content_type === 'application/json' ? tracesFromJson(body.toString()) : body
}

/** All numbers of a span but its step, as the layer would name them. */
function pointsOf(attributes: Fields, prefix: string): [string, number, unknown][] {
  return Object.entries(attributes).flatMap(([key, value]): [string, number, unknown][] => {
    if (isFields(value)) return pointsOf({ ...value, step: attributes['step'] }, `${prefix}${key}/`)
    if (typeof value !== 'number' || key === 'step') return []
    return [[`${prefix}${key}`, attributes['step'] as number, Number.isFinite(value) ? value : String(value)]]
  })
}

function answer(file: Hostile): { status: number; points: unknown[] } {
  try {
    const spans = readTraces(bodyOf(file))
    return { status: 200, points: spans.flatMap(({ attributes }) => pointsOf(attributes, 'trainer/')) }
  } catch (error) {
    expect(error).toBeInstanceOf(WireError)
    return { status: 400, points: [] }
  }
}

describe('a hostile body', () => {
  it.each(files)('is read whole or refused: $data', (file) => {
    const found = answer(file)
    const statuses = [file.status].flat()
    expect(statuses).toContain(found.status)
    const points = Array.isArray(file.status) ? (file.points[statuses.indexOf(found.status)] as unknown[]) : file.points
    expect(found.points.filter((point) => (point as string[])[0] !== 'trainer/e')).toEqual(points)
  })

  it('says what was expected, what came, and where', () => {
    const refusal = (data: string): string => {
      try {
        readTraces(bodyOf(hostile.find((file) => file.data === data)!))
        return 'none'
      } catch (error) {
        return (error as Error).message
      }
    }
    expect(refusal('otlp-truncated-54.body')).toBe('expected a length of at most 52, found 107 at byte 2')
    expect(refusal('otlp-name-as-varint.body')).toMatch(
      /^expected the wire type of field 5, found wire type 0 at byte \d+$/,
    )
    expect(refusal('otlp-json-wrong-shape.body')).toBe('expected a list, found an object at resourceSpans')
  })

  it('gives null for lists that lie too deep, and counts them', () => {
    const [span] = readTraces(hostileBytes('otlp-deep-kvlist.body'))
    expect(span!.tooDeep).toBe(1)
  })

  it('cannot make a million objects out of two bytes each', () => {
    const spans = Buffer.alloc((MAX_OBJECTS + 1) * 2)
    for (let i = 0; i < spans.length; i += 2) spans[i] = 0x12
    const scope = encodeField(2, spans)
    const many = `at most ${MAX_OBJECTS} spans, events, attributes and lists`
    expect(() => readTraces(encodeField(1, scope))).toThrow(many)
    // Fields that nobody knows, around the spans.
    const unknown = Buffer.alloc((MAX_OBJECTS + 1) * 2, Uint8Array.of((9 << 3) | 0, 1))
    expect(() => readTraces(encodeField(1, unknown))).toThrow(many)
  })

  it('in JSON cannot either, and is refused before it is parsed', () => {
    const values = '{"34":0},'.repeat(MAX_OBJECTS)
    for (const text of [`{"x":[${values}0]}`, `{"x":${'['.repeat(MAX_OBJECTS + 1)}`])
      expect(() => tracesFromJson(text)).toThrow(`at most ${MAX_OBJECTS} values`)
    // What stands in a text is no value.
    const name = JSON.stringify(`\\"${'{[,'.repeat(MAX_OBJECTS)}\\\\`)
    expect(
      readTraces(tracesFromJson(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":${name}}]}]}]}`)),
    ).toHaveLength(1)
  })

  it('cannot reach a prototype by the name of an attribute', () => {
    const value = { kvlistValue: { values: [{ key: '__proto__', value: { intValue: 1 } }] } }
    const span = { attributes: [{ key: '__proto__', value }], events: [{ attributes: [{ key: '__proto__', value }] }] }
    const body = encode(TraceRequest, { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] })
    const [read] = readTraces(body)
    for (const fields of [read!.attributes, read!.events[0]!.attributes, spanAsWritten(read!.bytes, {}).attributes]) {
      expect(Object.keys(fields)).toEqual(['__proto__'])
      expect(Object.getPrototypeOf(fields)).toBe(Object.prototype)
    }
  })
})

function encodeField(field: number, bytes: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let rest = bytes.length; ; rest >>>= 7) {
    if (rest < 128) {
      length.push(rest)
      return Buffer.concat([Uint8Array.of((field << 3) | 2, ...length), bytes])
    }
    length.push((rest & 127) | 128)
  }
}
