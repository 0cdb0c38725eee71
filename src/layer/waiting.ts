import type { WaitingRow } from '../channel/messages.ts'

/** Numbers without a step wait this long for the spans around them, ... */
const WAIT_MS = 10 * 60_000
/** ... and no more spans and records than this wait at a time. */
const MAX_WAITING = 100_000

/** What makes a waiting thing anew after a crash. */
export type Origin = Pick<WaitingRow, 'span' | 'part' | 'body'>

/** Something whose step is not known yet; `again` makes it anew, with what is known by then. */
export interface Waiting<T> {
  readonly id: number
  readonly since: number
  readonly numbers: number
  readonly again: () => T
  /** Of the run that it belongs to. */
  readonly ledger: WaitingLedger
}

/** Hears what the journal has to keep of the waiting, and what not any more. */
export interface WaitingKeeper {
  waiting(rows: readonly WaitingRow[]): void
  settled(ids: readonly number[]): void
}

/** What waits of one run, as its journal has to know it. */
export class WaitingLedger {
  readonly #keeper: WaitingKeeper
  #lastId = 0
  #rows = new Map<number, WaitingRow>()
  #settled: number[] = []

  constructor(keeper: WaitingKeeper) {
    this.#keeper = keeper
  }

  /** Something begins to wait. @returns its id */
  enter(since: number, numbers: number, origin: Origin): number {
    this.#lastId += 1
    this.#rows.set(this.#lastId, { id: this.#lastId, since, numbers, ...origin })
    return this.#lastId
  }

  /** Something waits that an earlier process has entered. */
  know(id: number): void {
    this.#lastId = Math.max(this.#lastId, id)
  }

  leave(id: number): void {
    if (!this.#rows.delete(id)) this.#settled.push(id)
  }

  /** Tells the keeper what has changed since it was last told. */
  tell(): void {
    if (this.#rows.size > 0) this.#keeper.waiting([...this.#rows.values()])
    if (this.#settled.length > 0) this.#keeper.settled(this.#settled)
    this.#rows = new Map()
    this.#settled = []
  }
}

/** Where things wait for the spans around them, by the one that is missing. */
export class WaitingRoom<T> {
  readonly #waiting = new Map<string, Waiting<T>[]>()
  #count = 0

  get isEmpty(): boolean {
    return this.#count === 0
  }

  get isOverfull(): boolean {
    return this.#count > MAX_WAITING
  }

  add(missing: string, item: Waiting<T>): void {
    this.#count += 1
    const others = this.#waiting.get(missing)
    if (others === undefined) this.#waiting.set(missing, [item])
    else others.push(item)
  }

  /** Takes out all that waits for a span that has come. */
  waitingFor(id: string): readonly Waiting<T>[] {
    const items = this.#waiting.get(id)
    if (items === undefined) return []
    this.#waiting.delete(id)
    this.#count -= items.length
    return items
  }

  /** Takes out what has waited too long. */
  due(now: number): readonly Waiting<T>[] {
    return this.#takeOut(({ since }) => now - since >= WAIT_MS)
  }

  /** Takes out all of one run. */
  allOf(ledger: WaitingLedger): readonly Waiting<T>[] {
    return this.#takeOut((item) => item.ledger === ledger)
  }

  /** Takes out one of those that have waited longest. */
  oldest(): Waiting<T> {
    const [key, items] = this.#waiting.entries().next().value!
    const oldest = items.shift()!
    if (items.length === 0) this.#waiting.delete(key)
    this.#count -= 1
    return oldest
  }

  #takeOut(isMeant: (item: Waiting<T>) => boolean): Waiting<T>[] {
    const out: Waiting<T>[] = []
    for (const [key, items] of this.#waiting) {
      const rest = items.filter((item) => !isMeant(item))
      if (rest.length === items.length) continue
      out.push(...items.filter(isMeant))
      if (rest.length === 0) this.#waiting.delete(key)
      else this.#waiting.set(key, rest)
    }
    this.#count -= out.length
    return out
  }
}
