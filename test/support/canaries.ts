import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Secrets that are told apart by where they were put, and found again wherever they turn up. */
export class Canaries {
  readonly #places = new Map<string, string>()

  /** A secret for one place; the same again for the same place. Long enough for an API key, and with nothing to escape. */
  at(place: string): string {
    const known = this.#places.get(place) ?? `cnry${randomUUID().replaceAll('-', '')}`
    this.#places.set(place, known)
    return known
  }

  /** Places whose secrets stand in some bytes: as they are, or as the password of Basic authentication by `user`. */
  in(bytes: Buffer | string, user = 'me'): string[] {
    const text = Buffer.isBuffer(bytes) ? bytes.toString('latin1') : bytes
    return [...this.#places]
      .filter(([, secret]) => text.includes(secret) || text.includes(btoa(`${user}:${secret}`)))
      .map(([place]) => place)
  }
}

/** Every file below a directory, with its bytes. */
export const filesOf = (directory: string): [path: string, bytes: Buffer][] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .map((path) => [path, readFileSync(path)])
