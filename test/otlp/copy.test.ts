import { describe, expect, it } from 'vitest'
import { withResource } from '../../src/otlp/copy.ts'
import { wrapTraces } from '../../src/otlp/rewrap.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { tracesFromJson } from '../../src/otlp/json.ts'
import { recordings, requestsOf } from '../support/otlp.ts'
import { decode, flat, TraceRequest, type Json } from './oracle.ts'

const bodies = recordings
  .flatMap(requestsOf)
  .filter(({ path }) => path === '/v1/traces')
  .map(({ body, contentType }) => (contentType.startsWith('application/json') ? tracesFromJson(body.toString()) : body))

const copied = (body: Uint8Array, isCopied: (name: string) => boolean): Json[] =>
  flat(decode(TraceRequest, wrapTraces(readTraces(body).map((span) => withResource(span, isCopied)))))

describe('attributes of the Resource on its spans', () => {
  it('stand behind those of the span, with their own values, and nothing else is changed', () => {
    for (const body of bodies) {
      const before = flat(decode(TraceRequest, body))
      const after = copied(body, () => true)
      expect(after.length).toBe(before.length)
      for (const [i, { span, resource }] of after.entries()) {
        const own = before[i]!.span.attributes ?? []
        const names = new Set(own.map(({ key }: Json) => key))
        const added = (resource.resource?.attributes ?? []).filter(({ key }: Json) => !names.has(key))
        expect(span).toEqual({ ...before[i]!.span, attributes: [...own, ...added] })
      }
    }
  })

  it('are those that are named', () => {
    for (const body of bodies)
      for (const { span } of copied(body, (name) => name === 'service.name'))
        expect(span.attributes.filter(({ key }: Json) => key === 'telemetry.sdk.name')).toEqual([])
  })
})
