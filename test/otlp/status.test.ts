import { describe, expect, it } from 'vitest'
import { encodePartialSuccess, encodeStatus, encodeSuccess, readPartialSuccess } from '../../src/otlp/status.ts'
import { WireError } from '../../src/otlp/wire.ts'
import { decode, LogsResponse, TraceResponse } from './oracle.ts'

const PROTOBUF = 'application/x-protobuf'
const JSON_TYPE = 'application/json; charset=utf-8'
const json = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString())

describe('the answer', () => {
  it('to a request that was taken whole is empty', () => {
    expect(decode(TraceResponse, encodeSuccess('protobuf'))).toEqual({})
    expect(json(encodeSuccess('json'))).toEqual({})
    expect(readPartialSuccess(encodeSuccess('protobuf'), PROTOBUF)).toBe(null)
    expect(readPartialSuccess(encodeSuccess('json'), JSON_TYPE)).toBe(null)
  })

  it('to one that was taken in part tells how many were not, and why', () => {
    const partial = { rejected: 300, message: 'ids of the wrong length: ü' }
    expect(decode(TraceResponse, encodePartialSuccess('traces', partial, 'protobuf'))).toEqual({
      partialSuccess: { rejectedSpans: '300', errorMessage: partial.message },
    })
    expect(decode(LogsResponse, encodePartialSuccess('logs', partial, 'protobuf'))).toEqual({
      partialSuccess: { rejectedLogRecords: '300', errorMessage: partial.message },
    })
    expect(json(encodePartialSuccess('logs', partial, 'json'))).toEqual({
      partialSuccess: { rejectedLogRecords: '300', errorMessage: partial.message },
    })
    for (const signal of ['traces', 'logs'] as const) {
      expect(readPartialSuccess(encodePartialSuccess(signal, partial, 'protobuf'), PROTOBUF)).toEqual(partial)
      expect(readPartialSuccess(encodePartialSuccess(signal, partial, 'json'), JSON_TYPE)).toEqual(partial)
    }
  })

  it('to one that was refused is a google.rpc.Status', () => {
    expect(json(encodeStatus(3, 'no', 'json'))).toEqual({ code: 3, message: 'no' })
    expect([...encodeStatus(3, 'no', 'protobuf')]).toEqual([0x08, 3, 0x12, 2, 0x6e, 0x6f])
  })

  it('of a server that cannot be read is an error, not a success', () => {
    expect(() => readPartialSuccess(Buffer.from('<html>'), JSON_TYPE)).toThrow(WireError)
    expect(() => readPartialSuccess(Buffer.from('<html>'), PROTOBUF)).toThrow(WireError)
    const text = JSON.stringify({ partialSuccess: { rejectedSpans: '-1' } })
    expect(() => readPartialSuccess(Buffer.from(text), JSON_TYPE)).toThrow(WireError)
    expect(() => readPartialSuccess(Buffer.from('0a0b08ffffffffffffffffff01', 'hex'), PROTOBUF)).toThrow(WireError)
  })
})
