import type { Bridge } from '../bridge.ts'
import type { EndStatus, Outcome } from '../channel/messages.ts'

/** What is left of the time once a signal has come and the input has ended. */
const AFTER_SIGNAL_MS = 8000
/** What of files may be read then, before that. */
const REST_MS = 4000

/**
 * The end of a run under signals. While there is input no signal ends the reading; once it is over, a signal that came
 * leaves 8 seconds in all, and another one ends at once. What is not delivered then is in the journal.
 */
export class Ending {
  readonly #bridge: Bridge
  #signalled = false
  #inputOver = false
  #faulty = false

  constructor(bridge: Bridge) {
    this.#bridge = bridge
  }

  signal(): void {
    if (this.#inputOver && this.#signalled) this.#bridge.stop()
    else if (this.#inputOver) void this.#bridge.finish(null, AFTER_SIGNAL_MS)
    this.#signalled = true
  }

  /** What the rest of the input may take to be read; null: as long as it takes. */
  get restMs(): number | null {
    return this.#signalled ? REST_MS : null
  }

  /** Something of ours has failed on the way: the end is not complete, whatever is delivered. */
  fault(): void {
    this.#faulty = true
  }

  async finish(status: EndStatus): Promise<Outcome> {
    this.#inputOver = true
    const outcome = await this.#bridge.finish({ status, time: Date.now() }, this.#signalled ? AFTER_SIGNAL_MS : null)
    return { ...outcome, complete: outcome.complete && !this.#faulty }
  }
}
