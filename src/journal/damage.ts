/** A journal holds what none of ours writes: what was read of it would be made up. */
export class DamagedJournal extends Error {
  constructor(path: string, what: string) {
    super(`${path} is damaged: ${what}`)
  }
}

/** A count of things. @throws DamagedJournal when it is none */
export function countIn(path: string, name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new DamagedJournal(path, `expected a count as ${name}, got ${String(value)}`)
}

/** Bytes. @throws DamagedJournal when they are none */
export function bytesIn(path: string, name: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw new DamagedJournal(path, `expected bytes as ${name}, got ${value === null ? 'nothing' : typeof value}`)
}

/** A text. @throws DamagedJournal when it is none */
export function textIn(path: string, name: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new DamagedJournal(path, `expected a text as ${name}, got ${value === null ? 'nothing' : typeof value}`)
}

/** The command of a run, kept as JSON. @throws DamagedJournal when it is none */
export function commandIn(path: string, json: string): string[] {
  const command = parsed(json)
  if (Array.isArray(command) && command.every((word) => typeof word === 'string')) return command
  throw new DamagedJournal(path, 'expected a list of words as its command')
}

/** Where a destination's run was to go, kept as JSON. @throws DamagedJournal when it is no object of texts */
export function targetIn(path: string, json: unknown): Record<string, string | null> {
  const target = typeof json === 'string' ? parsed(json) : null
  if (typeof target === 'object' && target !== null && Object.values(target).every(isTextOrNull))
    return target as Record<string, string | null>
  throw new DamagedJournal(path, 'expected names with texts as the target of a destination')
}

const isTextOrNull = (value: unknown): boolean => value === null || typeof value === 'string'

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
