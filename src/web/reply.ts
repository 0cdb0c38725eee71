import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

const gzipped = promisify(gzip)

/** Shorter answers gain nothing by compression. */
const WORTH_BYTES = 2048
/** Most of what there is to gain, at a fifth of the time. */
const LEVEL = 2

/** On every answer. Nothing is loaded from elsewhere, nobody puts the page into a frame, and nothing is guessed. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
}

/** Whether a client takes an encoding. */
export const accepts = (request: IncomingMessage, encoding: string): boolean =>
  (request.headers['accept-encoding'] ?? '')
    .split(',')
    .map((each) => each.trim().toLowerCase())
    .some((each) => each.split(';')[0]!.trim() === encoding && !/;\s*q=0(?:\.0*)?$/.test(each))

/** Answers with JSON, compressed where that is worth it. */
export const sendJson = (response: ServerResponse, status: number, body: unknown): Promise<void> =>
  sendText(response, status, 'application/json; charset=utf-8', JSON.stringify(body))

export async function sendText(response: ServerResponse, status: number, type: string, text: string): Promise<void> {
  const { req: request } = response
  const plain = Buffer.from(text)
  const isPacked = plain.length >= WORTH_BYTES && accepts(request, 'gzip')
  const body = isPacked ? await gzipped(plain, { level: LEVEL }) : plain
  if (response.destroyed) return
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    vary: 'accept-encoding',
    'content-length': body.length,
    ...(isPacked ? { 'content-encoding': 'gzip' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}
