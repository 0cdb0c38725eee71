/**
 * Sends spans by OTLP: `{ is: 'send', url, spans, perSecond, connections, instances }` as fast as the answers come, or at a
 * rate. Each answer must be 200.
 */
import { Agent, request as post } from 'node:http'
import { SPANS_A_REQUEST, SpanRequests } from './spans.ts'

/** What to send. `instances`: how many runs the spans belong to in turn; 0: they name none. */
export interface SpansToSend {
  url: string
  spans: number
  perSecond?: number
  connections?: number
  instances?: number
}

export interface SpansSent {
  sent: number
  refused: number
  seconds: number
}

/** Streams of requests whose ids never meet: one for each connection at least, and for each run. */
const made = new Map<string, SpanRequests[]>()
let streamsMade = 0

function streamsOf(instances: number, connections: number): SpanRequests[] {
  const key = `${instances} ${connections}`
  const known = made.get(key)
  if (known !== undefined) return known
  const streams = Array.from({ length: Math.max(instances, connections) }, (_, i) => {
    streamsMade += 1
    return new SpanRequests(streamsMade, instances === 0 ? undefined : `worker-${i % instances}`)
  })
  made.set(key, streams)
  return streams
}

const send = (agent: Agent, url: string, body: Buffer): Promise<number> =>
  new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-protobuf', 'content-length': body.length }
    const request = post(`${url}/v1/traces`, { method: 'POST', agent, headers }, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode!))
    })
    request.on('error', reject)
    request.end(body)
  })

async function sendAll({ url, spans, perSecond, connections = 4, instances = 0 }: SpansToSend): Promise<SpansSent> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const requests = Math.ceil(spans / SPANS_A_REQUEST)
  const from = performance.now()
  let next = 0
  let refused = 0
  const streams = streamsOf(instances, connections)
  const lane = async (own: readonly SpanRequests[]): Promise<void> => {
    for (let turn = 0; next < requests; turn += 1) {
      const number = next++
      if (perSecond !== undefined) {
        const due = from + (number * SPANS_A_REQUEST * 1000) / perSecond
        const wait = due - performance.now()
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
      }
      // A copy: what is written to a socket may be read later.
      const body = Buffer.from(own[turn % own.length]!.next())
      for (let tries = 0; (await send(agent, url, body)) !== 200; tries += 1) {
        refused += 1
        if (tries === 500) throw new Error('the receiver takes nothing')
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }
  await Promise.all(
    Array.from({ length: connections }, (_, i) => lane(streams.filter((_stream, k) => k % connections === i))),
  )
  agent.destroy()
  return { sent: requests * SPANS_A_REQUEST, refused, seconds: (performance.now() - from) / 1000 }
}

process.send!({})
process.on('message', (message: SpansToSend) => {
  void sendAll(message).then(
    (sent) => process.send!(sent),
    (error: Error) => process.send!({ error: error.message }),
  )
})
process.once('disconnect', () => process.exit())
