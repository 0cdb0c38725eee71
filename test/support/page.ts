import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Agent, request as ask, type Dispatcher } from 'undici'
import { onTestFinished } from 'vitest'
import { Store } from '../../src/store/store.ts'
import { listenForPage } from '../../src/web/listen.ts'
import { PageFiles } from '../../src/web/page-files.ts'
import { PageServer } from '../../src/web/server.ts'
import type { Place } from './served.ts'

export const TOKEN = 'a-token-of-the-tests-0123456789ab'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  /** The body, parsed. */
  json: any
}

/** A connection of its own for each answer, so that nothing is left open. */
export async function get(
  { base, token }: Place,
  path: string,
  options: {
    method?: Dispatcher.HttpMethod
    headers?: Record<string, string>
    body?: string | Buffer
    bare?: boolean
  } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body = null, bare = false } = options
  const dispatcher = new Agent({ pipelining: 0 })
  try {
    const sent = { ...(bare ? {} : { authorization: `Bearer ${token}` }), ...headers }
    const answer = await ask(base + path, { method, headers: sent, body, dispatcher })
    const bytes = Buffer.from(await answer.body.arrayBuffer())
    const isJson =
      String(answer.headers['content-type']).includes('json') && answer.headers['content-encoding'] === undefined
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: bytes,
      json: isJson && bytes.length > 0 ? (JSON.parse(bytes.toString()) as unknown) : undefined,
    }
  } finally {
    await dispatcher.close()
  }
}

/** What a client that follows no rules gets, as text. */
export const raw = (port: number, text: string): Promise<string> =>
  new Promise((resolve) => {
    let all = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => (all += chunk))
    socket.on('error', () => resolve(all))
    socket.on('close', () => resolve(all))
  })

/** One event of a stream. */
export interface Heard {
  name: string
  id: string | null
  data: any
  /** UTC ms. */
  at: number
}

/** Listens to `/api/v1/live`. */
export function listen({ base, token }: Place, query: string, headers: Record<string, string> = {}) {
  const heard: Heard[] = []
  let text = ''
  let bytes = 0
  const state = { isClosed: false }
  const asked = request(
    `${base}/api/v1/live${query}`,
    { headers: { authorization: `Bearer ${token}`, ...headers } },
    (answer) => {
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => {
        bytes += chunk.length
        text += chunk
        const blocks = text.split('\n\n')
        text = blocks.pop()!
        for (const block of blocks) {
          const fields = new Map(
            block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
          )
          if (!fields.has('event')) continue
          heard.push({
            name: fields.get('event')!,
            id: fields.get('id') ?? null,
            data: JSON.parse(fields.get('data')!),
            at: Date.now(),
          })
        }
      })
      answer.on('error', () => {})
      answer.on('close', () => (state.isClosed = true))
    },
  )
  asked.on('error', () => (state.isClosed = true))
  asked.end()
  onTestFinished(() => void asked.destroy())
  return {
    heard,
    state,
    bytes: () => bytes,
    of: (name: string): Heard[] => heard.filter((event) => event.name === name),
    close: () => asked.destroy(),
  }
}

/** The page's server inside this process, over the journals of a directory. */
export async function serve(
  stateDir: string,
  host = '127.0.0.1',
  pageDir = join(stateDir, 'page'),
  limits: { maxUnsentBytes?: number } = {},
) {
  const faults: unknown[] = []
  const store = new Store({ stateDir, labels: {} })
  let server: PageServer | null = null
  const listener = await listenForPage({
    host,
    port: 0,
    isNamed: true,
    take: (socket) => server!.take(socket.resume()),
  })
  server = new PageServer({
    guard: { token: TOKEN, host, port: listener.port },
    store,
    files: new PageFiles(pageDir),
    serving: {
      version: '1.2.3',
      stateDir,
      server: { kind: 'view', pid: process.pid, startedAt: 1, run: null, listeners: {}, files: [], testLine: null },
    },
    openapi: () => readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'),
    now: Date.now,
    onFault: (error) => faults.push(error),
    ...limits,
  })
  onTestFinished(() => {
    listener.close()
    server.close()
    store.close()
  })
  return { base: `http://127.0.0.1:${listener.port}`, port: listener.port, token: TOKEN, store, faults, server }
}
