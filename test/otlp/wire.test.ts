import { describe, expect, it } from 'vitest'
import { readLogs } from '../../src/otlp/logs.ts'
import { wrapTraces } from '../../src/otlp/rewrap.ts'
import { readTraces, type OtlpSpan } from '../../src/otlp/traces.ts'
import { fieldSet, MAX_NESTING, WireError, WireReader } from '../../src/otlp/wire.ts'
import { WireWriter } from '../../src/otlp/writer.ts'

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(' ', ''), 'hex')

/** A length-delimited field. */
function field(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const out = new WireWriter()
  out.field((number << 3) | 2, Buffer.concat(parts))
  return out.bytes()
}

const requestOf = (...span: readonly Uint8Array[]): Uint8Array => field(1, field(2, field(2, ...span)))
const spanOf = (...span: readonly Uint8Array[]): OtlpSpan => readTraces(requestOf(...span))[0]!
const valueOf = (hex: string): unknown => spanOf(field(9, bytes('0a 01 61'), field(2, bytes(hex)))).attributes['a']

describe('unknown fields', () => {
  // Field 100 as varint, fixed64, text and fixed32; a group in a group that holds a text with the byte of its own end.
  const UNKNOWN = [
    'a006 ac02',
    'a106 0102030405060708',
    'a206 03 616263',
    'a506 01020304',
    'a306 ab06 1201a4 ac06 a406',
  ]

  it.each(UNKNOWN)('of every wire type are passed over, at every level: %s', (hex) => {
    const unknown = bytes(hex)
    const value = field(2, unknown, bytes('18 05'), unknown)
    const span = field(2, unknown, field(9, unknown, bytes('0a 01 61'), unknown, value), field(11, unknown), unknown)
    const body = Buffer.concat([unknown, field(1, unknown, field(2, unknown, span, unknown), unknown), unknown])
    expect(readTraces(body).map((read) => [read.attributes, read.events.length])).toEqual([[{ a: 5 }, 1]])
  })

  it('stay in the heads, in their order, and in the span', () => {
    const [first, second, third] = UNKNOWN.map(bytes) as [Uint8Array, Uint8Array, Uint8Array]
    const schemaUrl = field(3, Buffer.from('url'))
    const span = field(2, first, bytes('2a 01 73'))
    const body = field(1, first, field(1, third), field(2, second, span, schemaUrl), schemaUrl)
    const [read] = readTraces(body)
    expect(Buffer.from(read!.resourceHead)).toEqual(Buffer.concat([first, field(1, third), schemaUrl]))
    expect(Buffer.from(read!.scopeHead)).toEqual(Buffer.concat([second, schemaUrl]))
    expect(readTraces(wrapTraces([read!]))).toEqual([read])
  })
})

describe('the reader refuses', () => {
  const nested = `${'a306'.repeat(MAX_NESTING + 1)}${'a406'.repeat(MAX_NESTING + 1)}`
  it.each([
    ['a group that ends as another', 'a306 ac06'],
    ['groups that end in the wrong order', 'a306 ab06 a406 ac06'],
    ['a group without an end', 'a306 1201a4'],
    ['the end of a group that was not begun', 'a406'],
    ['groups that are nested too deep', nested],
    ['a varint beyond 64 bits', 'a006 ffffffffffffffffff02'],
    ['a varint of eleven bytes', 'a006 8080808080808080808000'],
    ['a varint without an end', 'a006 ffff'],
    ['field number 0', '0000'],
    ['field number 0 in two bytes', '800000'],
    ['a field number beyond 2^29', '82808080 1000'],
    ['wire type 6', 'a606 00'],
    ['wire type 7', 'a706 00'],
    ['a length beyond 2^53', 'a206 ffffffffffffffffff01'],
    ['a fixed64 that is cut', 'a106 01020304050607'],
    ['a fixed32 that is cut', 'a506 010203'],
  ])('%s', (_what, hex) => {
    expect(() => spanOf(bytes(hex))).toThrow(WireError)
    expect(() => readTraces(bytes(hex))).toThrow(WireError)
  })

  it.each([
    ['span name', '2801'],
    ['link', '6a02 0801'],
    ['link attributes', '6a02 2001'],
    ['status', '7a02 1001'],
    ['event', '5a02 0801'],
    ['event attribute', '5a04 1a02 0801'],
    ['attribute key', '4a02 0801'],
    ['attribute value', '4a02 1001'],
    ['text of a value', '4a04 1202 0801'],
    ['double of a value', '4a04 1202 2001'],
    ['item of a list', '4a06 1204 2a02 0801'],
  ])('a field that the schema knows in another wire type: %s', (_where, hex) => {
    expect(() => spanOf(bytes(hex))).toThrow(/^expected the wire type of field \d+, found wire type 0 at byte \d+$/)
  })

  it('the same in a resource, a scope, a record', () => {
    for (const group of ['0a02 0801', '1801', '1204 0a02 0801', '1202 1801', '1202 1001', '0801', '1001']) {
      expect(() => readTraces(field(1, bytes(group)))).toThrow(WireError)
    }
    for (const record of ['0801', '1200', '1a020801 1801', '2801', '3001', '4801', '5801', '6001']) {
      expect(() => readLogs(requestOf(bytes(record)))).toThrow(WireError)
    }
  })

  it('an id that is too long', () => {
    expect(() => spanOf(field(1, Buffer.alloc(17)))).toThrow('expected an id of at most 16 bytes, found 17 at byte')
    expect(() => spanOf(field(2, Buffer.alloc(9)))).toThrow(WireError)
  })
})

describe('a value', () => {
  it.each([
    ['18 05', 5],
    ['18 8001', 128],
    ['18 8000', 0],
    ['18 ffffffffffffff01', 2 ** 50 - 1],
    ['18 ffffffffffffffffff01', -1],
    ['18 05 10 01', true],
    ['10 01 18 05', 5],
    ['0a 01 78 18 05', 5],
    ['18 05 0a 00', ''],
    ['21 000000000000f03f', 1],
    ['21 000000000000f03f 18 02', 2],
    ['10 808001', true],
    ['10 8000', false],
    ['', null],
    ['32 00', {}],
    ['2a 00', []],
    ['3a 02 0102', Uint8Array.of(1, 2)],
  ])('in any form that protobuf allows is read: %s', (hex, value) => {
    expect(valueOf(hex)).toEqual(value)
  })

  it.each(['18', '18 80', '21 00', '0a 05 61', '18 05 05'])('that is cut is refused: %s', (hex) => {
    expect(() => valueOf(hex)).toThrow(WireError)
  })
})

describe('ids', () => {
  it('that differ in any one byte are told apart, the same again', () => {
    const base = Buffer.alloc(16, 7)
    const ids = Array.from({ length: 16 }, (_, i) => Buffer.from(base).fill(9, i, i + 1))
    const sent = ids.flatMap((id) => [base, id, id, base])
    const body = field(
      1,
      field(2, ...sent.map((id) => field(2, field(1, id), field(2, id.subarray(8)), field(4, id.subarray(8))))),
    )
    const read = readTraces(body).map(({ traceId, spanId, parentSpanId }) => [traceId, spanId, parentSpanId])
    expect(read).toEqual(sent.map((id) => [id, id.subarray(8), id.subarray(8)].map((part) => part.toString('hex'))))
  })
})

describe('WireReader', () => {
  it('stays in its range', () => {
    const r = new WireReader(bytes('0a 04 08 01 ff 0a 00'))
    r.tag()
    const outer = r.enter()
    expect([r.tag(), r.int64(), r.end, outer]).toEqual([8, 1, 6, 7])
    r.pos += 1
    r.tag()
    expect(() => r.length()).toThrow('expected a varint, found its end missing at byte 6')
  })

  it('knows which fields a message has', () => {
    const r = new WireReader(bytes('08 01'))
    expect(() => r.skip(r.tag(), fieldSet(1))).toThrow('expected the wire type of field 1, found wire type 0')
  })
})

describe('WireWriter', () => {
  it('writes nested messages of any length, whatever room there was', () => {
    for (const length of [0, 1, 125, 126, 127, 128, 16_383, 16_384, 300_000]) {
      const out = new WireWriter(1)
      const outer = out.begin(10)
      const inner = out.begin(10)
      out.raw(Buffer.alloc(length, 5))
      out.finish(inner)
      out.finish(outer)
      const r = new WireReader(out.bytes())
      for (let level = 0; level < 2; level += 1) {
        expect(r.tag()).toBe(10)
        r.enter()
      }
      expect(Buffer.from(r.viewOf(r.pos, r.end))).toEqual(Buffer.alloc(length, 5))
    }
  })
})
