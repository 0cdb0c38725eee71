import type { Random } from '../simulation/random.ts'

/** What became of an input: it was read, or refused in the way that the decoder documents. */
export type Outcome = 'read' | 'refused'

/** A decoder with the inputs that it is asked to read. */
export interface Target {
  readonly name: string
  /** Inputs of each round of about 10,000. */
  readonly share: number
  /** How often `read` has the decoder read the input, 1 where it is absent: what is bounded is the time of one reading. */
  readonly readings?: number
  /** An input, decided by `random` alone. */
  make(random: Random): Buffer
  /** Reads an input, the same way each time. Throws whatever is against the decoder's promise. */
  read(input: Buffer): Outcome | Promise<Outcome>
}

/** A law that does not hold. */
export class Broken extends Error {}

/** A law of a decoder. @throws Broken */
export function law(holds: boolean, words: string): void {
  if (!holds) throw new Broken(`against the law: ${words}`)
}

/** Whether `read` reads; a throw of `refusal` is one that the decoder documents, any other is passed on. */
export function outcomeOf(read: () => void, refusal: new (...args: never[]) => Error): Outcome {
  try {
    read()
    return 'read'
  } catch (error) {
    if (!(error instanceof refusal)) throw error
    return 'refused'
  }
}
