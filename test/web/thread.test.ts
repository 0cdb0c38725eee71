import { connect, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { listenForPage } from '../../src/web/listen.ts'
import { WebThread } from '../../src/web/thread.ts'
import type { WebWorkerData } from '../../src/web/worker.ts'
import { until } from '../support/served.ts'

const FAULTY = new URL('../fixtures/faulty-web-thread.mjs', import.meta.url)

async function served(how: string) {
  const said: string[] = []
  const thread = new WebThread({
    data: { how } as unknown as WebWorkerData,
    say: (text) => said.push(text),
    file: FAULTY,
    maxHeapMb: 32,
  })
  const listener = await listenForPage({
    host: '127.0.0.1',
    port: 0,
    isNamed: true,
    take: (socket) => thread.take(socket),
  })
  onTestFinished(() => {
    listener.close()
    void thread.close()
  })
  const ask = (word: string): Promise<string> =>
    new Promise((resolve) => {
      let text = ''
      const socket = connect(listener.port, '127.0.0.1', () => socket.write(`GET /${word} HTTP/1.1\r\n\r\n`))
      socket.on('data', (chunk) => (text += String(chunk)))
      socket.on('error', () => {})
      socket.on('close', () => resolve(text))
    })
  return { ask, said, thread, port: listener.port }
}

it.each(['throw', 'exit', 'memory'])(
  'a thread that dies (%s) is said once, and the next request starts another',
  async (how) => {
    const { ask, said } = await served(how)
    expect(await ask('live')).toContain('ok')
    expect(await ask('die')).toBe('')
    await expect.poll(() => ask('live'), { timeout: 20_000 }).toContain('ok')
    expect(await ask('die')).toBe('')
    await expect.poll(() => ask('live'), { timeout: 20_000 }).toContain('ok')
    const expected = how === 'throw' ? 'a fault of the test' : how === 'exit' ? 'exit code 3' : 'memory'
    expect(said).toEqual([expect.stringContaining(expected)])
    expect(said[0]).toMatch(/^page: a fault of ours, the next request starts it anew: /)
  },
)

it('a thread that does not answer at the end is waited for no longer than it was given', async () => {
  const { ask, thread } = await served('throw')
  expect(await ask('live')).toContain('ok')
  const from = performance.now()
  await thread.close(50)
  expect(performance.now() - from).toBeLessThan(5000)
})

it('a closed thread lets all connections go at once, takes no more, and says nothing', async () => {
  const { ask, said, thread, port } = await served('throw')
  expect(await ask('live')).toContain('ok')
  const open: Socket[] = []
  let gone = 0
  for (let i = 0; i < 5; i += 1) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => (gone += 1))
    open.push(socket)
  }
  await until(() => open.every((socket) => !socket.connecting))
  void thread.close()
  await until(() => gone === 5)
  expect(await ask('live')).toBe('')
  expect(said).toEqual([])
})
