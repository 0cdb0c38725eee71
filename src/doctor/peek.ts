import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { request, type Dispatcher } from 'undici'
import { oneLine, textOf } from '../exporters/http.ts'
import { patience } from './findings.ts'
import type { Server } from './hop.ts'

/** What a peer does with a connection and a request in plain HTTP. */
export type Peek = { kind: 'bytes'; text: string } | { kind: 'closed' } | { kind: 'silent' }

/** The first bytes that a peer sends, whatever it speaks. */
export function peek({ host, port }: Server['peer'], stop: AbortSignal): Promise<Peek> {
  const { promise, resolve } = Promise.withResolvers<Peek>()
  const socket = connect({ host, port }, () => socket.write(`GET / HTTP/1.0\r\nhost: ${host}\r\n\r\n`))
  socket.on('data', (bytes) => resolve({ kind: 'bytes', text: printable(bytes) }))
  socket.on('error', () => resolve({ kind: 'closed' }))
  socket.on('close', () => resolve({ kind: 'closed' }))
  patience(stop).addEventListener('abort', () => resolve({ kind: 'silent' }))
  return promise.finally(() => socket.destroy())
}

const printable = (bytes: Buffer): string =>
  oneLine(bytes.toString('latin1').replace(/[^\x20-\x7e\r\n]+/g, '.')).slice(0, 80)

/** Whether a peer greets in TLS. Its certificate is of no interest, and nothing is sent. */
export function speaksTls({ host, port }: Server['peer'], stop: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connectTls({ host, port, rejectUnauthorized: false }, () => resolve(true))
  socket.on('error', () => resolve(false))
  socket.on('close', () => resolve(false))
  patience(stop).addEventListener('abort', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

/** An answer of the server to a plain GET. */
export interface Page {
  status: number
  headers: Dispatcher.ResponseData['headers']
  text: string
}

/** Gets `url` of the server, with its credentials. Redirects are not followed. @throws when no answer comes */
export async function pageAt({ headers, dispatcher }: Server, url: string, abort: AbortSignal): Promise<Page> {
  const response = await request(url, { headers, dispatcher, signal: abort })
  return { status: response.statusCode, headers: response.headers, text: await textOf(response.body) }
}
