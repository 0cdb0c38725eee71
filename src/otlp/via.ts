/** A request header of ours: who spans have come through, so that a circle of destinations has an end. */
export const VIA_HEADER = 'spanbridge-via'

/** Most that one knows of. */
const MAX_KNOWN = 16

/**
 * Who our spans come through: ourselves, and every Spanbridge that has sent to us. Whoever finds itself named in a request
 * refuses it: its spans have come back.
 */
export class Via {
  readonly own: string
  readonly #others = new Set<string>()

  /** `own` tells this process from all others. */
  constructor(own: string) {
    this.own = own
  }

  /** The value of the header. */
  get header(): string {
    return [this.own, ...this.#others].join(',')
  }

  /** Takes a header that came. @returns whether it named anybody new */
  learn(header: string): boolean {
    const before = this.#others.size
    for (const each of namesIn(header)) if (each !== this.own && this.#others.size < MAX_KNOWN) this.#others.add(each)
    return this.#others.size > before
  }

  /** Whether a header names us. */
  isIn(header: string): boolean {
    return namesIn(header).includes(this.own)
  }
}

const namesIn = (header: string): string[] =>
  header
    .split(',')
    .map((name) => name.trim())
    .filter((name) => /^[\w-]{1,64}$/.test(name))
