/** Work that stands still now and then, so that whoever does it may let others go first. It returns what came of it. */
export type Pieces<T> = Generator<undefined, T, undefined>

/** Does all of it at once. */
export function whole<T>(pieces: Pieces<T>): T {
  for (;;) {
    const { done, value } = pieces.next()
    if (done === true) return value
  }
}
