import { createServer, type AddressInfo, type Socket } from 'node:net'
import { Agent, request } from 'undici'
import { expect, it, onTestFinished } from 'vitest'
import { BodyMemory } from '../../src/exporters/body-memory.ts'

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'
const BYTES = 5_000_000

/** A server that does with each connection as it is told, and one client of it. */
async function serverOf(onConnection: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const dispatcher = new Agent()
  onTestFinished(async () => {
    await dispatcher.destroy()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return async (body: Buffer): Promise<void> => {
    const answer = await request(url, { method: 'POST', body, dispatcher })
    await answer.body.text()
  }
}

/** Sends so many bytes of one value, and gives the memory back once that is answered. */
async function send(memory: BodyMemory, post: (body: Buffer) => Promise<void>, value: number): Promise<Buffer> {
  const body = memory.take(BYTES).fill(value)
  memory.lend(body)
  await post(body)
  memory.giveBack(body)
  return body
}

it('is used again once a server has read the body', async () => {
  const post = await serverOf((socket) => {
    let left = BYTES
    socket.on('data', (chunk) => {
      const head = chunk.indexOf('\r\n\r\n')
      left -= chunk.length - (head < 0 ? 0 : head + 4)
      if (left > 0) return
      left = BYTES
      socket.write(ANSWER)
    })
  })
  const memory = new BodyMemory(1)
  const first = await send(memory, post, 1)
  const second = await send(memory, post, 2)
  expect(second.buffer).toBe(first.buffer)
})

it('is left alone while a server that has answered still reads the body, which arrives as it was', async () => {
  const arrived = Promise.withResolvers<Buffer>()
  let goOn: (() => void) | null = null
  const post = await serverOf((socket) => {
    const chunks: Buffer[] = []
    let bytes = 0
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (goOn === null) {
        socket.pause()
        socket.write(ANSWER)
        goOn = () => socket.resume()
      }
      const all = (): Buffer => Buffer.concat(chunks)
      if (bytes > BYTES) {
        const from = all().indexOf('\r\n\r\n') + 4
        if (bytes >= from + BYTES) arrived.resolve(all().subarray(from, from + BYTES))
      }
    })
  })
  const memory = new BodyMemory(1)
  await send(memory, post, 1)
  memory.take(BYTES).fill(2)
  goOn!()
  expect((await arrived.promise).equals(Buffer.alloc(BYTES, 1))).toBe(true)
})

it('is not kept of a request that came to nothing, or of a body that nobody lent', async () => {
  const memory = new BodyMemory(1)
  const body = memory.take(BYTES)
  memory.giveBack(body)
  expect(memory.take(BYTES).buffer).not.toBe(body.buffer)
  memory.lend(body)
  memory.giveBack(body)
  expect(memory.take(BYTES).buffer).not.toBe(body.buffer)
})

it('is kept of as many bodies as are wanted, the largest of them', async () => {
  const post = await serverOf((socket) => {
    let left = -1
    let text = ''
    socket.on('data', (chunk) => {
      if (left < 0) {
        text += chunk.toString('latin1')
        const end = text.indexOf('\r\n\r\n')
        if (end < 0) return
        left = Number(/content-length: (\d+)/i.exec(text)![1]) - (text.length - end - 4)
      } else left -= chunk.length
      if (left > 0) return
      left = -1
      text = ''
      socket.write(ANSWER)
    })
  })
  const memory = new BodyMemory(2)
  const bodies = [100_000, 300_000, 200_000].map((bytes) => memory.take(bytes))
  for (const body of bodies) {
    memory.lend(body)
    await post(body)
  }
  for (const body of bodies) memory.giveBack(body)
  const [, large, middle] = bodies.map(({ buffer }) => buffer)
  const taken = new Set([memory.take(150_000).buffer, memory.take(150_000).buffer])
  expect([taken.has(large!), taken.has(middle!)]).toEqual([true, true])
  expect(memory.take(50_000).length).toBe(50_000)
})
