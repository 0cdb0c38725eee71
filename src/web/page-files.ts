import { readdirSync, readFileSync, statSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { accepts } from './reply.ts'
import { PageRefusal } from './refusal.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
}

/** Encodings of files that are compressed beforehand, the shortest first. */
const PACKED = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const

/** Vite's names of what it makes: with a hash of the content in them. */
const HASHED = /-[\w-]{8,}\.\w+$/
const FOREVER = 'public, max-age=31536000, immutable'

/** The built page. Only what lies in its folder has an address: no path of a request is ever opened. */
export class PageFiles {
  readonly #directory: string
  #names: ReadonlySet<string> = new Set()
  #builtAt = Number.NaN

  constructor(directory: string) {
    this.#directory = directory
  }

  /** @throws PageRefusal when there is no such file, or the page is not built */
  send(response: ServerResponse, path: string): void {
    const isRoot = path === '/'
    if (isRoot) this.#look()
    const name = isRoot ? 'index.html' : path.slice(1)
    if (!this.#names.has(name) && Number.isNaN(this.#builtAt)) this.#look()
    if (!this.#names.has(name)) {
      if (!isRoot) throw new PageRefusal(404, `there is nothing at '${path}'`)
      throw new PageRefusal(503, "the page is not built: run 'npm run build:page' in the folder of Spanbridge")
    }
    const packed = PACKED.find(([encoding, end]) => this.#names.has(name + end) && accepts(response.req, encoding))
    const body = readFileSync(join(this.#directory, name + (packed?.[1] ?? '')))
    response.writeHead(200, {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'cache-control': HASHED.test(name) ? FOREVER : 'no-cache',
      'content-length': body.length,
      vary: 'accept-encoding',
      ...(packed === undefined ? {} : { 'content-encoding': packed[0] }),
    })
    response.end(response.req.method === 'HEAD' ? undefined : body)
  }

  /** Lists the folder, again when it was built again. */
  #look(): void {
    const index = statSync(join(this.#directory, 'index.html'), { throwIfNoEntry: false })
    if (index?.mtimeMs === this.#builtAt) return
    this.#builtAt = index?.mtimeMs ?? Number.NaN
    const entries = index === undefined ? [] : readdirSync(this.#directory, { recursive: true, withFileTypes: true })
    this.#names = new Set(
      entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(this.#directory.length + 1)),
    )
  }
}
