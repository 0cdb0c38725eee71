/** A request that is not answered as it wants, with its HTTP status and words for who sent it. */
export class PageRefusal extends Error {
  readonly status: number
  /** Headers that belong to the status. */
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

/** The words of an answer that says no: expected, got, and the way out. */
export const expected = (what: string, got: string): PageRefusal => new PageRefusal(400, `expected ${what}, got ${got}`)
