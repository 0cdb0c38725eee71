import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'

/** Longest body as it is sent, and after decompression; the specification recommends 64 MiB. */
const MAX_SENT_BYTES = 64 << 20
const MAX_BYTES = 64 << 20

/** A request that cannot be taken, with its HTTP status and words for who sent it. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const INFLATE: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
}

/** Memory that all bodies being received share; what does not fit is told to come again. */
export class BodyBudget {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#left += bytes
  }
}

/** Reads a whole body, decompressed. @throws Refusal 413 (too large), 415 (encoding), 400 (broken), 503 (no memory left) */
export async function readBody(request: IncomingMessage, budget: BodyBudget): Promise<Buffer> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  const inflater = Object.hasOwn(INFLATE, encoding) ? INFLATE[encoding]! : null
  if (inflater === null && encoding !== 'identity' && encoding !== '')
    throw new Refusal(415, `expected the content encoding gzip, deflate or none, got '${encoding}'`)
  if (Number(request.headers['content-length'] ?? 0) > MAX_SENT_BYTES) throw tooLarge('the body', MAX_SENT_BYTES)
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    // Without a length (chunked) only what comes can be counted.
    for await (const chunk of request as AsyncIterable<Buffer>) {
      if (!budget.take(chunk.length)) throw new Refusal(503, 'too much is being received at this moment; come again')
      bytes += chunk.length
      if (bytes > MAX_SENT_BYTES) throw tooLarge('the body', MAX_SENT_BYTES)
      chunks.push(chunk)
    }
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    return inflater === null ? body : await decompressed(body, inflater, encoding)
  } finally {
    budget.giveBack(bytes)
  }
}

async function decompressed(body: Buffer, inflater: (typeof INFLATE)[string], encoding: string): Promise<Buffer> {
  try {
    return await inflater(body, { maxOutputLength: MAX_BYTES })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge('the body, decompressed,', MAX_BYTES)
    throw new Refusal(400, `the body is no ${encoding}: ${(error as Error).message}`)
  }
}

const tooLarge = (what: string, limit: number): Refusal =>
  new Refusal(413, `${what} is larger than ${limit >> 20} MiB; send it in pieces`)
