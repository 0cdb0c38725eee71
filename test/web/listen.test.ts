import { createServer, type AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { listenForPage } from '../../src/web/listen.ts'

/** A port that somebody else has. */
async function takenPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

const at = async (port: number, isNamed: boolean) => {
  const listener = await listenForPage({ host: '127.0.0.1', port, isNamed, take: (socket) => socket.destroy() })
  onTestFinished(() => listener.close())
  return listener
}

it('a default port that is taken is given up for a free one behind it, and that for another', async () => {
  const port = await takenPort()
  const [one, other] = [await at(port, false), await at(port, false)]
  expect(one.port).not.toBe(port)
  expect(other.port).not.toBe(one.port)
  expect(one.address).toBe(`127.0.0.1:${one.port}`)
})

it('a port that was named is that one or none', async () => {
  await expect(at(await takenPort(), true)).rejects.toThrow('EADDRINUSE')
})

it('an address that is not of this machine is none, whoever asked for it', async () => {
  for (const isNamed of [true, false])
    await expect(listenForPage({ host: '203.0.113.1', port: 4400, isNamed, take: () => {} })).rejects.toThrow(
      'EADDRNOTAVAIL',
    )
})

it('port 0 is a free one', async () => {
  expect((await at(0, true)).port).toBeGreaterThan(0)
})
