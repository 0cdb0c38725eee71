import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { expect } from 'vitest'

/** `docs/openapi.json` */
export const openapi = JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8')) as Record<
  string,
  any
>

/** What is described is all that there is: a key that the description lacks is a mistake. */
function closed(schema: any): any {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]))
  return 'properties' in inner && inner['type'] === 'object' ? { additionalProperties: false, ...inner } : inner
}

const ajv = new Ajv2020({ strict: false, allErrors: true })
ajv.addSchema({ $id: 'api', components: closed(openapi['components']) })
const validators = new Map<string, ValidateFunction>()

/** A value is as the description says, no more and no less. */
export function expectFits(name: string, value: unknown): void {
  const validate = validators.get(name) ?? ajv.compile({ $ref: `api#/components/schemas/${name}` })
  validators.set(name, validate)
  expect(validate(value), `${name}: ${JSON.stringify(validate.errors?.slice(0, 3))}`).toBe(true)
}
