import type { Flags } from '../config/flags.ts'

/** Reads the flags of a verb's own; what is wrong stands in `problems`. */
export class OwnFlags {
  readonly #flags: Flags
  readonly problems: string[] = []

  constructor(flags: Flags) {
    this.#flags = flags
  }

  has(flag: string): boolean {
    return this.#flags.own.has(flag)
  }

  all(flag: string): readonly string[] {
    return this.#flags.own.get(flag) ?? []
  }

  /** The last one that was given. */
  text(flag: string): string | null {
    return this.all(flag).at(-1) ?? null
  }

  oneOf<T extends string>(flag: string, choices: readonly T[], fallback: T): T {
    const given = this.text(flag)
    if (given === null) return fallback
    const choice = choices.find((each) => each === given)
    if (choice === undefined) this.problems.push(`${flag}: expected one of ${choices.join(', ')}, got '${given}'`)
    return choice ?? fallback
  }

  /** A number from `min` to `max`, both included. */
  number(flag: string, { min, max, whole = false }: { min: number; max: number; whole?: boolean }): number | null {
    const given = this.text(flag)
    if (given === null) return null
    const n = given.trim() === '' ? Number.NaN : Number(given)
    if (n >= min && n <= max && (!whole || Number.isInteger(n))) return n
    this.problems.push(`${flag}: expected a ${whole ? 'whole ' : ''}number from ${min} to ${max}, got '${given}'`)
    return null
  }

  /** What `read` makes of a value; `expected` says which it takes. */
  value<T>(flag: string, expected: string, read: (text: string) => T | null): T | null {
    const given = this.text(flag)
    const value = given === null ? null : read(given)
    if (given !== null && value === null) this.problems.push(`${flag}: expected ${expected}, got '${given}'`)
    return value
  }
}
