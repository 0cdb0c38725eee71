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

/** Decompressed bytes that are set aside for one byte of a compressed body, before it is known how many there are. */
const EXPECTED_RATIO = 64

/** A body, and its share of the memory until `release`. */
export interface HeldBody {
  body: Buffer
  release: () => void
}

/** Reads a whole body, decompressed. @throws Refusal 413 (too large), 415 (encoding), 400 (broken), 503 (no memory left) */
export async function readBody(request: IncomingMessage, budget: BodyBudget): Promise<HeldBody> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  const inflater = Object.hasOwn(INFLATE, encoding) ? INFLATE[encoding]! : null
  if (inflater === null && encoding !== 'identity' && encoding !== '')
    throw new Refusal(415, `expected the content encoding gzip, deflate or none, got '${encoding}'`)
  if (Number(request.headers['content-length'] ?? 0) > MAX_SENT_BYTES) throw tooLarge('the body', MAX_SENT_BYTES)
  let held = 0
  const hold = (bytes: number): void => {
    if (!budget.take(bytes)) throw new Refusal(503, 'too much is being received at this moment; come again')
    held += bytes
  }
  try {
    const body = await wholeBody(request, hold)
    if (inflater === null) return { body, release: () => budget.giveBack(held) }
    hold(Math.min(MAX_BYTES, body.length * EXPECTED_RATIO))
    return { body: await decompressed(body, inflater, encoding), release: () => budget.giveBack(held) }
  } catch (error) {
    budget.giveBack(held)
    throw error
  }
}

async function wholeBody(request: IncomingMessage, hold: (bytes: number) => void): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Without a length (chunked) only what comes can be counted.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hold(chunk.length)
    bytes += chunk.length
    if (bytes > MAX_SENT_BYTES) throw tooLarge('the body', MAX_SENT_BYTES)
    chunks.push(chunk)
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
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
