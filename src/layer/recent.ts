/**
 * The newest entries of a map that never ends: at least `size` of them, at most twice as many. Two generations, for a Map
 * whose oldest entry is taken out with each new one passes over all that were taken out before: with 100,000 entries that
 * is ten times the cost of everything else that is done for a span.
 */
export class Recent<K, V> {
  readonly #size: number
  #young = new Map<K, V>()
  #old = new Map<K, V>()

  constructor(size: number) {
    this.#size = size
  }

  get(key: K): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key)
  }

  has(key: K): boolean {
    return this.#young.has(key) || this.#old.has(key)
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#size) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
