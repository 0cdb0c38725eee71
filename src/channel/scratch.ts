/** More than this is not kept: what needs many megabytes is rare, and must not hold its memory for ever. */
const KEPT_BYTES = 4 << 20

/**
 * Memory that is written into, copied from, and written into again: by one commit after the other, since SQLite copies the rows
 * it is given, and by the numbers of one request after the other. New memory each time, which is no part of V8's heap, has the
 * whole of that looked through for every few megabytes: 0.95 of the processor time of a million spans without it.
 */
export class Scratch {
  #buffer = new ArrayBuffer(0)

  /** At least so many bytes, with whatever was in them; those that were taken before are used again. */
  take(bytes: number): ArrayBuffer {
    if (bytes <= this.#buffer.byteLength) return this.#buffer
    const buffer = new ArrayBuffer(bytes)
    if (bytes <= KEPT_BYTES) this.#buffer = buffer
    return buffer
  }
}
