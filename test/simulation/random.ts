/** Random numbers that one seed decides (sfc32, Chris Doty-Humphrey's PractRand). */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#a = 0x9e3779b9
    this.#b = seed | 0
    this.#c = Math.floor(seed / 2 ** 32) | 0
    for (let i = 0; i < 12; i += 1) this.next()
  }

  /** From 0 up to but without 1. */
  next = (): number => {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }

  /** A whole number from `from` to `to`, both of them among it. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1))
  }

  /** True that often, of 1. */
  chance(share: number): boolean {
    return this.next() < share
  }

  of<T>(values: readonly T[]): T {
    return values[Math.floor(this.next() * values.length)]!
  }

  /** Short ones often, long ones now and then: log-uniform from `from` to `to` (more than 0). */
  long(from: number, to: number): number {
    return Math.round(from * (to / from) ** this.next())
  }
}
