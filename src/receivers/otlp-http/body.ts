import type { IncomingMessage } from 'node:http'
import type { Transform } from 'node:stream'
import { createGunzip, createInflate } from 'node:zlib'
import { letGo } from '../../channel/memory.ts'

/** Longest body, as it is sent and after decompression; the specification recommends this. */
const MAX_BYTES = 64 << 20

/** A request that cannot be taken, with its HTTP status and words for who sent it. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const INFLATE: Readonly<Record<string, (options: { chunkSize: number }) => Transform>> = {
  gzip: createGunzip,
  deflate: createInflate,
}

/** Most memory that is set aside before the bytes have come that are to fill it. */
const MOST_BEFOREHAND = 1 << 20
/** How much larger a body usually is than it was sent. */
const USUAL_RATIO = 4

/** Bytes that come out of a decompression at a time. */
const CHUNK_BYTES = 128 << 10

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
  if (Number(request.headers['content-length'] ?? 0) > MAX_BYTES) throw tooLarge('the body', MAX_BYTES)
  let held = 0
  const hold = (bytes: number): void => {
    if (!budget.take(bytes)) throw new Refusal(503, 'too much is being received at this moment; come again')
    held += bytes
  }
  try {
    // Without a length (chunked) only what comes can be counted.
    const length = Number(request.headers['content-length'] ?? 0)
    const sent = await whole(request as AsyncIterable<Buffer>, {
      hold,
      done: letGoWhole,
      expected: length,
      over: () => tooLarge('the body', MAX_BYTES),
    })
    const body = inflater === null ? sent : await decompressed(sent, inflater, encoding, hold)
    if (inflater !== null) letGo(sent)
    return { body, release: () => budget.giveBack(held) }
  } catch (error) {
    budget.giveBack(held)
    throw error
  }
}

interface Receiving {
  hold: (bytes: number) => void
  /** A piece has been copied. */
  done?: (piece: Buffer) => void
  /** As many bytes are announced. */
  expected: number
  over: () => Refusal
}

/**
 * What is announced has its room beforehand, within limits, so that it is copied once and its memory can be given on as it is:
 * memory of many pieces is what calls the garbage collector.
 */
async function whole(stream: AsyncIterable<Buffer>, { hold, done, expected, over }: Receiving): Promise<Buffer> {
  let body: Buffer = Buffer.allocUnsafeSlow(Math.min(expected, MOST_BEFOREHAND))
  let bytes = 0
  for await (const chunk of stream) {
    if (bytes + chunk.length > MAX_BYTES) throw over()
    hold(chunk.length)
    if (bytes + chunk.length > body.length) body = grown(body, bytes, bytes + chunk.length)
    body.set(chunk, bytes)
    bytes += chunk.length
    done?.(chunk)
  }
  return body.subarray(0, bytes)
}

function grown(body: Buffer, bytes: number, needed: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(body.length * 2, MAX_BYTES)))
  larger.set(body.subarray(0, bytes))
  letGo(body)
  return larger
}

async function decompressed(
  body: Buffer,
  inflater: (typeof INFLATE)[string],
  encoding: string,
  hold: (bytes: number) => void,
): Promise<Buffer> {
  const stream = inflater({ chunkSize: CHUNK_BYTES })
  stream.end(body)
  try {
    const over = (): Refusal => tooLarge('the body, decompressed,', MAX_BYTES)
    return await whole(stream, { hold, expected: body.length * USUAL_RATIO, over })
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(400, `the body is no ${encoding}: ${(error as Error).message}`)
  }
}

/** Pieces of a body are copies that `node:http` has made; one that is only a part of some memory may not be alone in it. */
const letGoWhole = (piece: Buffer): void => void (piece.length === piece.buffer.byteLength && letGo(piece))

const tooLarge = (what: string, limit: number): Refusal =>
  new Refusal(413, `${what} is larger than ${limit >> 20} MiB; send it in pieces`)
