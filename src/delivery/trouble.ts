import { counted } from '../telemetry/words.ts'
import type { Clock } from './clock.ts'

/** While a destination fails, no more than one line in this long. */
const LINE_MS = 10_000

export interface TroubleOptions {
  /** The exporter's. */
  name: string
  /** Notes it in the journal. */
  state: (state: 'ok' | 'suspended', lastError: string | null) => void
  clock: Clock
  say: (text: string) => void
  /** From here on nothing is told any more: what fails then fails because we end. */
  cut: AbortSignal
  /** What is counted. */
  item: 'point' | 'span'
  /** Items that wait for the destination, and that it has got so far. */
  counts: () => { waiting: number; delivered: number }
}

/** What is wrong with a destination, from the first attempt that failed: in one line now and then, in `status`, and in one line when it is over. */
export class Trouble {
  readonly #options: TroubleOptions
  #since: { at: number; delivered: number } | null = null
  /** A line about it has been written: so its end is worth one. */
  #isSaid = false
  #saidAt = Number.NEGATIVE_INFINITY

  constructor(options: TroubleOptions) {
    this.#options = options
  }

  get isThere(): boolean {
    return this.#since !== null
  }

  /** Notes what is wrong, and says it: at once, and then no more often than every ten seconds. */
  tell({ message }: Error): void {
    const { clock, say, cut, counts, item } = this.#options
    if (cut.aborted) return
    const { waiting, delivered } = counts()
    this.#since ??= { at: clock.now(), delivered }
    this.#note(message)
    if (clock.now() - this.#saidAt < LINE_MS) return
    this.#saidAt = clock.now()
    this.#isSaid = true
    const what = waiting === 0 ? 'Metrics wait' : `${counted(waiting, item)} ${waiting === 1 ? 'waits' : 'wait'}`
    say(`${message}${/[.?!]$/.test(message) ? '' : '.'} ${what} in the journal; it is tried again by itself.`)
  }

  /** Everything that had waited is there. */
  isOver(): void {
    if (this.#since === null) return
    const { name, state, clock, say, counts, item } = this.#options
    const seconds = ((clock.now() - this.#since.at) / 1000).toFixed(1)
    const delivered = counts().delivered - this.#since.delivered
    this.#since = null
    state('ok', null)
    if (!this.#isSaid) return
    this.#isSaid = false
    const what =
      delivered === 0 ? '' : `; ${counted(delivered, item)} that had waited ${delivered === 1 ? 'is' : 'are'} delivered`
    say(`${name}: back after ${seconds} s${what}`)
  }

  #note(message: string): void {
    try {
      this.#options.state('suspended', message)
    } catch {
      // The journal itself fails, which is what the message says; the next commit tells more.
    }
  }
}
