/** Work that takes much memory, one after the other. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Does `work` once all that came before is done, whether that went well or not. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => {}) // whoever has asked for it hears of it
    return mine
  }
}
