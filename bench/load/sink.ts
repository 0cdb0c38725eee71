/**
 * Whoever is delivered to: answers as MLflow or as an OTLP collector would and keeps nothing but counts. A process of its
 * own, told by messages what to do: `{ is: 'account' }`, `{ is: 'clear' }`, `{ is: 'down' }`, `{ is: 'up' }`.
 *
 *     node bench/load/sink.ts ANSWER_AFTER_MS    0: at once
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { countOf } from './otlp-count.ts'

/** What the sink has taken; times are of one clock for all processes, in milliseconds. */
export interface SinkAccount {
  points: number
  spans: number
  logs: number
  requests: number
  /** Arrival of the first request with data, and the last answer to one. */
  firstAt: number | null
  lastAt: number | null
  /** Milliseconds from the timestamp of a point to its arrival; of two points of each request. */
  ages: number[]
}

export const now = (): number => performance.timeOrigin + performance.now()

const empty = (): SinkAccount => ({ points: 0, spans: 0, logs: 0, requests: 0, firstAt: null, lastAt: null, ages: [] })

const METRICS = Buffer.from('"metrics":[')
/** The shortest metric that there is; keys hold no braces. */
const METRIC_BYTES = '{"key":"k","value":0,"timestamp":0,"step":0}'.length
const CLOSING = '}'.charCodeAt(0)
const TIMESTAMP = Buffer.from('"timestamp":')
const RUN = JSON.stringify({ run: { info: { run_id: 'r', experiment_id: '0', status: 'RUNNING' }, data: {} } })
/** An older server is sent NaNs alone. */
const VERSION = '3.17.0'
const UPDATED = JSON.stringify({ run_info: { run_id: 'r', experiment_id: '0', status: 'FINISHED' } })

let account = empty()
const delayMs = Number(process.argv[2] ?? 0)

/** The metrics of a body, by their closing braces: what counting takes here, the bridge lacks on a machine of two cores. */
function pointsOf(body: Buffer): number {
  let at = body.indexOf(METRICS)
  if (at < 0) return 0
  let count = 0
  at += METRICS.length + METRIC_BYTES - 1
  for (; at < body.length - 1; at += 1) {
    if (body[at] !== CLOSING) continue
    count += 1
    at += METRIC_BYTES - 1
  }
  return count
}

function noteAges(body: Buffer, arrived: number): void {
  for (const at of [body.indexOf(TIMESTAMP), body.lastIndexOf(TIMESTAMP)])
    account.ages.push(
      arrived - Number.parseInt(body.toString('latin1', at + TIMESTAMP.length, at + TIMESTAMP.length + 20), 10),
    )
}

/** Takes a request; returns the answer's body. */
function take(path: string, body: Buffer, arrived: number): string {
  const { points, spans, logs } = account
  if (path.endsWith('/runs/log-batch')) {
    const count = pointsOf(body)
    account.points += count
    if (count > 0) noteAges(body, arrived)
  } else if (path.endsWith('/v1/traces')) account.spans += countOf(body)
  else if (path.endsWith('/v1/logs')) account.logs += countOf(body)
  if (account.points + account.spans + account.logs > points + spans + logs) {
    account.requests += 1
    account.firstAt ??= arrived
    account.lastAt = now() + delayMs
  }
  if (path === '/version') return VERSION
  if (path.endsWith('/runs/create')) return RUN
  return path.endsWith('/runs/update') ? UPDATED : '{}'
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const path = (request.url ?? '').split('?', 1)[0]!
    const isOtlp = path.startsWith('/v1/')
    const text = take(path, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks), now())
    const answer = isOtlp ? '' : text
    const headers = {
      'content-type': isOtlp ? 'application/x-protobuf' : 'application/json',
      'content-length': answer.length,
    }
    const send = (): void => void response.writeHead(200, headers).end(answer)
    if (delayMs > 0) setTimeout(send, delayMs)
    else send()
  })
}

const server = createServer({ keepAliveTimeout: 600_000 }, serve)
let port = 0

async function up(): Promise<void> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
}

async function down(): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}

async function serveMessages(): Promise<void> {
  await up()
  process.send!({ url: `http://127.0.0.1:${port}` })
  process.on('message', ({ is }: { is: string }) => {
    const act = async (): Promise<void> => {
      if (is === 'clear') account = empty()
      if (is === 'down') await down()
      if (is === 'up') await up()
      process.send!(account)
    }
    void act()
  })
  process.once('disconnect', () => process.exit())
}

if (process.argv[1] === import.meta.filename) await serveMessages()
