/** The trainer of the long tests writes one value per key and step, so that everybody knows what it must be. */
export const valueAt = (key: number, step: number): number => (Math.imul(step + 1, 0x9e3779b1 + 2 * key) >>> 0) / 1000

/** Its keys, as the tracker knows them. */
export const keysOf = (numbers: number): string[] => Array.from({ length: numbers }, (_, key) => `trainer/n${key}`)

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)

/** Tells sets of (step, value) apart, in whatever order they come; what comes twice counts twice. */
export class Checksum {
  count = 0
  sum = 0

  add(step: number, value: number): void {
    double[0] = value
    let hash = Math.imul(step ^ words[0]!, 0x9e3779b1)
    hash = Math.imul(hash ^ (hash >>> 15) ^ words[1]!, 0x85ebca77)
    this.sum = (this.sum + (hash ^ (hash >>> 13))) >>> 0
    this.count += 1
  }

  toJSON(): string {
    return `${this.count} ${this.sum.toString(16).padStart(8, '0')}`
  }
}
