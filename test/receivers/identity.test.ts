import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Fields } from '../../src/layer/event.ts'
import { ownerOf } from '../../src/receivers/otlp-http/identity.ts'

const OURS = '01OURS'
const rules = {
  attributes: ['service.name', 'service.instance.id'],
  acceptIds: false,
  isOurs: (ulid: string) => ulid === OURS,
}
const identityOf = (resource: Fields): string | null => {
  const owner = ownerOf(resource, rules)
  return owner.kind === 'identity' ? owner.identity : null
}

describe('what a sender says of itself', () => {
  it('names a run of this process by its id; any other id says nothing', () => {
    expect(ownerOf({ 'spanbridge.run': OURS }, rules)).toEqual({ kind: 'run', ulid: OURS })
    const stranger = { 'service.name': 'ppo', 'service.instance.id': 'a' }
    expect(identityOf({ ...stranger, 'spanbridge.run': '01ELSE', 'mlflow.run_id': 'abc' })).toBe(identityOf(stranger))
    expect(ownerOf({ 'mlflow.run_id': 'abc' }, { ...rules, acceptIds: true })).toEqual({
      kind: 'tracker',
      runId: 'abc',
    })
  })

  it('is the attributes of runs.identity where all are there, whatever stands beside them', () => {
    const a = identityOf({ 'service.name': 'ppo', 'service.instance.id': 'a', 'process.pid': 1 })
    expect(identityOf({ 'process.pid': 2, 'service.instance.id': 'a', 'service.name': 'ppo' })).toBe(a)
    expect(identityOf({ 'service.name': 'ppo', 'service.instance.id': 'b' })).not.toBe(a)
  })

  it('is else the name with host and process, and without a name the whole resource', () => {
    const pid = (n: number): Fields => ({ 'service.name': 'ppo', 'host.name': 'h', 'process.pid': n, other: n })
    expect(identityOf(pid(1))).not.toBe(identityOf(pid(2)))
    expect(identityOf({ ...pid(1), other: 5 })).toBe(identityOf(pid(1)))
    expect(identityOf({ 'service.name': 'ppo' })).toBe(identityOf({ 'service.name': 'ppo', other: 1 }))
    expect(identityOf({ rank: 1 })).not.toBe(identityOf({ rank: 2 }))
    expect(identityOf({})).toBe('network')
  })

  it('does not matter where runs.identity is empty', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (resource) => {
        expect(ownerOf(resource as Fields, { ...rules, attributes: [] })).toMatchObject({ identity: 'network' })
      }),
    )
  })

  it('is one identity in any order of the attributes, and never longer than 500 characters', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ minLength: 1 }), fc.string({ maxLength: 900 }), { minKeys: 1 }),
        (resource) => {
          const turned = Object.fromEntries(Object.entries(resource).toReversed())
          expect(identityOf(turned)).toBe(identityOf(resource))
          expect((identityOf(resource) ?? '').length).toBeLessThanOrEqual(500)
        },
      ),
    )
  })
})
