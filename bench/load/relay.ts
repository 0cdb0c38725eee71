/**
 * The least that spans can cost on their way through Node.js: each request is taken by `node:http` and sent on by undici as it
 * came, and answered when that is. Nothing is read, counted or kept. Tells its address.
 *
 *     node bench/load/relay.ts SINK_URL
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent, request as send } from 'undici'

const sink = process.argv[2]!
const dispatcher = new Agent()

async function relay(request: IncomingMessage): Promise<number> {
  const body = Buffer.allocUnsafeSlow(Number(request.headers['content-length']))
  let at = 0
  for await (const chunk of request as AsyncIterable<Buffer>) at += chunk.copy(body, at)
  const headers = { 'content-type': 'application/x-protobuf' }
  const answer = await send(`${sink}${request.url!}`, { method: 'POST', headers, body, dispatcher })
  await answer.body.arrayBuffer()
  return answer.statusCode
}

const server = createServer((request, response) => {
  void relay(request).then((status) => response.writeHead(status, { 'content-length': 0 }).end())
})
server.listen(0, '127.0.0.1', () => {
  process.send!({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
})
