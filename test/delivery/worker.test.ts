import { getPriority } from 'node:os'
import { MessageChannel } from 'node:worker_threads'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { FromDelivery, ToDelivery } from '../../src/channel/messages.ts'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { WorkerData } from '../../src/delivery/worker.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { chunkOf, countsOf, pointsFrom } from '../support/points.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

it('the thread gives way to others, takes what comes through its port, answers there, and delivers with what it has learned of others', async () => {
  const fake = await FakeMlflow.start()
  const flags = ['--mlflow-tracking-uri', fake.url, '--otlp-endpoint', fake.url]
  const { settings } = loadSettings(readFlags(flags, false), {})
  const { port1, port2 } = new MessageChannel()
  const data: WorkerData = { settings, stateDir: temporaryDirectory(), command: 'npx spanbridge', via: 'ourselves' }
  onTestFinished(() => {
    port1.close()
    port2.close()
  })
  // What Node gives to a thread when it starts it.
  vi.doMock('node:worker_threads', () => ({ parentPort: port2, workerData: data }))
  onTestFinished(() => {
    vi.doUnmock('node:worker_threads')
  })
  const posts: FromDelivery[] = []
  port1.on('message', (message: FromDelivery) => posts.push(message))
  const before = getPriority()
  await import('../../src/delivery/worker.ts')
  // It gives way to others from whatever it was started with; only Linux has that for a thread.
  expect(getPriority()).toBe(process.platform === 'linux' ? Math.min(19, before + 10) : before)

  const send = (message: ToDelivery): void => port1.postMessage(message)
  send({ kind: 'via', via: 'another' })
  send({ kind: 'run', run: 0, start: runStart({ trackerRun: 'given' }), resume: null })
  const span = { bytes: new Uint8Array([0x2a, 1, 0x61]), ends: Uint32Array.of(3), heads: Uint32Array.of(0) }
  send({ kind: 'head', run: 0, id: 0, resource: new Uint8Array(), scope: new Uint8Array() })
  send({ kind: 'spans', run: 0, spans: span })
  send({ kind: 'series', run: 0, id: 0, key: 'loss' })
  const buffer = chunkOf(pointsFrom(1, 3))
  port1.postMessage({ kind: 'points', run: 0, buffer, count: 3, counts: countsOf(3) } satisfies ToDelivery, [buffer])
  send({ kind: 'finish', limitMs: 20_000 })
  const sent = (): boolean => fake.of('/v1/traces').length > 0 && fake.of('runs/get').length > 0
  await expect.poll(sent, { timeout: 20_000 }).toBe(true)
  send({ kind: 'stop' })
  await expect.poll(() => posts.at(-1)?.kind, { timeout: 20_000 }).toBe('finished')

  expect(posts.slice(0, 2)).toEqual([
    { kind: 'opened', run: 0, ulid: '01TEST', spans: [], waiting: [], marks: [] },
    { kind: 'ready' },
  ])
  const [empty] = posts.filter((message) => message.kind === 'empty')
  expect(empty!.buffers.map(({ byteLength }) => byteLength)).toEqual([28_000])
  expect(fake.of('/v1/traces')[0]!.headers['spanbridge-via']).toBe('ourselves,another')
  expect(fake.of('runs/get').map(({ body }) => (body as { run_id: string }).run_id)).toContain('given')
  const said = posts.flatMap((message) => (message.kind === 'say' ? [message.text] : []))
  expect(said).toContain('run ppo (01TEST) running: 3 numbers in 0 events = 3 points')
  expect(said.at(-1)).toMatch(/to deliver them later: 'npx spanbridge' sync /)
})
