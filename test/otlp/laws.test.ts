import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readLogs } from '../../src/otlp/logs.ts'
import { wrapTraces } from '../../src/otlp/rewrap.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { WireError } from '../../src/otlp/wire.ts'
import { anyLogs, anyTraces } from './arbitrary.ts'
import { recorded } from './bodies.ts'
import {
  decode,
  encode,
  expectedLogs,
  expectedSpans,
  flat,
  LogsRequest,
  TraceRequest,
  withoutBytes,
  type Json,
} from './oracle.ts'
import { reversed } from './reversed.ts'

const spansOf = (body: Uint8Array): Json[] => readTraces(body).map(withoutBytes)
const logsOf = (body: Uint8Array): Json[] => readLogs(body).map(withoutBytes)

describe('any request', () => {
  it('reads as the oracle wrote it: traces', () => {
    fc.assert(
      fc.property(anyTraces, (request) => {
        const body = encode(TraceRequest, request)
        expect(spansOf(body)).toEqual(expectedSpans(decode(TraceRequest, body)))
      }),
      { numRuns: 500 },
    )
  })

  it('reads as the oracle wrote it: logs', () => {
    fc.assert(
      fc.property(anyLogs, (request) => {
        const body = encode(LogsRequest, request)
        expect(logsOf(body)).toEqual(expectedLogs(decode(LogsRequest, body)))
      }),
      { numRuns: 500 },
    )
  })

  it('reads the same with its fields in the opposite order', () => {
    fc.assert(
      fc.property(anyTraces, anyLogs, (traces, logs) => {
        const [a, b] = [encode(TraceRequest, traces), encode(LogsRequest, logs)]
        expect(spansOf(reversed(a, 'traces'))).toEqual(spansOf(a))
        expect(logsOf(reversed(b, 'logs'))).toEqual(logsOf(b))
      }),
    )
  })

  it('is the same when its spans are wrapped again, whatever the order of its fields', () => {
    fc.assert(
      fc.property(anyTraces, fc.boolean(), (request, turned) => {
        const plain = encode(TraceRequest, request)
        const body = turned ? reversed(plain, 'traces') : plain
        const again = wrapTraces(readTraces(body))
        expect(flat(decode(TraceRequest, again))).toEqual(flat(decode(TraceRequest, body)))
        expect(spansOf(again)).toEqual(spansOf(body))
      }),
    )
  })

  it('that is cut off is refused, or reads as its beginning', () => {
    fc.assert(
      fc.property(anyTraces, (request) => {
        const body = encode(TraceRequest, request)
        const whole = spansOf(body)
        for (let length = 0; length < body.length; length += 1) {
          const cut = refusedOr(() => spansOf(body.subarray(0, length)))
          if (cut !== null) expect(cut).toEqual(whole.slice(0, cut.length))
        }
      }),
      { numRuns: 30 },
    )
  })
})

/** What `read` gives, or null when it throws a WireError; anything else that it throws is thrown on. */
function refusedOr<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) return null
    throw error
  }
}

describe('a recorded request', () => {
  it('that is cut off anywhere is refused, or reads as its beginning', () => {
    for (const { signal, body } of recorded.filter(({ body }) => body.length < 12_000)) {
      const read = signal === 'traces' ? readTraces : readLogs
      const count = read(body).length
      for (let length = 0; length < body.length; length += 1) {
        const cut = refusedOr(() => read(body.subarray(0, length)))
        expect(cut === null || cut.length <= count).toBe(true)
      }
    }
  })
})
