import { readFileSync } from 'node:fs'
import { nearest } from '../config/nearest.ts'
import { readYaml } from '../config/yaml.ts'
import { isFields, type Fields } from '../layer/event.ts'
import type { Rules } from '../layer/rules.ts'

/** `integer` takes 4.0 too; `number` takes NaN and infinities. */
export const FIELD_TYPES = ['number', 'integer', 'text', 'boolean', 'any'] as const
export type FieldType = (typeof FIELD_TYPES)[number]

const RHYTHMS = ['update', 'cadence', 'sometimes'] as const

/**
 * How often a category comes: in every update; at a regular distance of updates, at least once; or whenever it does. A
 * number is a distance that is known. An update is one step of the category that has most, of those that come in each.
 */
export type Rhythm = (typeof RHYTHMS)[number] | number

export interface CategoryContract {
  every: Rhythm
  /** What each step of it must have, in one event or in several. */
  fields: ReadonlyMap<string, FieldType>
  /** What it may have, of this type. */
  optional: ReadonlyMap<string, FieldType>
}

/** What a log must hold, by category in capitals. `docs/contracts.md` describes the file. */
export type Contract = ReadonlyMap<string, CategoryContract>

/** A contract that cannot be read: all that is wrong with it, at once. */
export class ContractError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/** Reads a contract file. @throws ContractError */
export function readContract(path: string): Contract {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ContractError([`${path}: cannot be read (${(error as Error).message})`])
  }
  return parseContract(text, path)
}

/** Reads the text of a contract; `path` is for the words of what is wrong. @throws ContractError */
export function parseContract(text: string, path: string): Contract {
  const problems: string[] = []
  const say = (place: string, words: string): void => void problems.push(`${path}: ${place}${words}`)
  const root = readYaml(text, (words) => say('', words))
  const contract = new Map<string, CategoryContract>()
  if (problems.length === 0) {
    if (!isFields(root) || !isFields(root['categories'])) {
      say('', "expected 'categories', each with 'every' and 'fields', got none")
    } else {
      onlyKnown(root, ['categories', 'description'], '', say)
      for (const [name, value] of Object.entries(root['categories'])) {
        const place = `categories.${name}`
        if (contract.has(name.toUpperCase())) say(`${place}: `, 'expected each category once, got it twice')
        contract.set(name.toUpperCase(), parseCategory(value, place, say))
      }
      problems.push(...contradictions(contract, path))
    }
  }
  if (problems.length > 0) throw new ContractError(problems)
  return contract
}

/** What the parts of a contract say against each other. */
function contradictions(contract: Contract, path: string): string[] {
  const rhythms = [...contract.values()].map(({ every }) => every)
  if (contract.size === 0) return [`${path}: categories: expected at least one, got none`]
  if (rhythms.includes('update') || rhythms.every((every) => every === 'sometimes')) return []
  return [`${path}: categories: expected one with 'every: update', for distances are counted in its steps, got none`]
}

/** What of a contract the settings do not fit: categories that are not in `categories`, or stand for the same. */
export function unknownCategories(contract: Contract, rules: Rules): string[] {
  const known = [...rules.categories, rules.prefixes[rules.defaultPrefix]!.toUpperCase()]
  const problems: string[] = []
  const names = new Map<number, string>()
  for (const name of contract.keys()) {
    const prefix = rules.prefixOf(name)
    const other = names.get(prefix)
    if (!known.includes(name))
      problems.push(
        `${name}: there is no such category${nearest(name, known)}; expected one of the setting 'categories'`,
      )
    else if (other !== undefined)
      problems.push(`${name}: expected each category once, got also ${other}, which is the same`)
    names.set(prefix, name)
  }
  return problems
}

type Say = (place: string, words: string) => void

function onlyKnown(fields: Fields, known: readonly string[], place: string, say: Say): void {
  for (const name of Object.keys(fields)) {
    if (!known.includes(name))
      say(place === '' ? '' : `${place}: `, `there is no '${name}' here${nearest(name, known)}`)
  }
}

function parseCategory(value: unknown, place: string, say: Say): CategoryContract {
  const category = isFields(value) ? value : {}
  if (!isFields(value)) say(`${place}: `, `expected 'every' and 'fields', got ${JSON.stringify(value)}`)
  onlyKnown(category, ['every', 'fields', 'optional'], place, say)
  const every = category['every'] ?? 'sometimes'
  const isRhythm = oneOf(RHYTHMS, every) || (Number.isInteger(every) && Number(every) > 0)
  if (!isRhythm) {
    const found = typeof every === 'string' ? nearest(every, RHYTHMS) : ''
    say(
      `${place}.every: `,
      `expected ${RHYTHMS.join(', ')} or a number of updates, got ${JSON.stringify(every)}${found}`,
    )
  }
  return {
    every: isRhythm ? (every as Rhythm) : 'sometimes',
    fields: parseFields(category['fields'], `${place}.fields`, say),
    optional: parseFields(category['optional'], `${place}.optional`, say),
  }
}

function parseFields(value: unknown, place: string, say: Say): Map<string, FieldType> {
  const fields = new Map<string, FieldType>()
  if (value === undefined || value === null) return fields
  if (!isFields(value)) {
    say(`${place}: `, `expected names with types, got ${JSON.stringify(value)}`)
    return fields
  }
  for (const [name, type] of Object.entries(value)) {
    if (oneOf(FIELD_TYPES, type)) fields.set(name, type)
    else {
      const found = typeof type === 'string' ? nearest(type, FIELD_TYPES) : ''
      say(`${place}.${name}: `, `expected one of ${FIELD_TYPES.join(', ')}, got ${JSON.stringify(type)}${found}`)
    }
  }
  return fields
}

const oneOf = <T extends string>(choices: readonly T[], value: unknown): value is T =>
  (choices as readonly unknown[]).includes(value)
