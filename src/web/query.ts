import { expected } from './refusal.ts'

/** The query of a request. Every name has to be asked for: one that is not is a mistake of the sender's. */
export class Query {
  readonly #params: URLSearchParams
  readonly #known: string[] = []

  constructor(text: string) {
    this.#params = new URLSearchParams(text)
  }

  /** @throws PageRefusal when it is there more than once */
  text(name: string): string | undefined {
    const all = this.texts(name)
    if (all.length > 1) throw expected(`${name} once`, `it ${all.length} times`)
    return all[0]
  }

  texts(name: string): string[] {
    this.#known.push(name)
    return this.#params.getAll(name)
  }

  required(name: string): string {
    return this.text(name) ?? fail(name, 'a value', undefined)
  }

  oneOf<const T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    return choices.find((choice) => choice === text) ?? fail(name, `one of ${choices.join(', ')}`, text)
  }

  integer(name: string, min: number, max: number): number | undefined {
    return integerOf(name, this.text(name), min, max)
  }

  integers(name: string, min: number, max: number): number[] {
    return this.texts(name).map((text) => integerOf(name, text, min, max)!)
  }

  number(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = text.trim() === '' ? Number.NaN : Number(text)
    return Number.isFinite(value) ? value : fail(name, 'a number', text)
  }

  /** @throws PageRefusal when there is a name that nobody has asked for */
  done(): void {
    for (const name of this.#params.keys()) {
      if (this.#known.includes(name)) continue
      const takes = this.#known.length === 0 ? 'no query' : `a query of ${this.#known.join(', ')}`
      throw expected(takes, `'${name}'`)
    }
  }
}

function integerOf(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  return value >= min && value <= max ? value : fail(name, `a whole number from ${min} to ${max}`, text)
}

const fail = (name: string, what: string, got: string | undefined): never => {
  throw expected(`${name} to be ${what}`, got === undefined ? 'nothing' : `'${got}'`)
}
