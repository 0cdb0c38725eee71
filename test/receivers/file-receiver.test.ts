import { appendFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Channel } from '../../src/channel/channel.ts'
import { CHUNK_POINTS } from '../../src/channel/chunk.ts'
import { nothingOpened, type ToDelivery } from '../../src/channel/messages.ts'
import { FileReceiver } from '../../src/receivers/file/index.ts'
import { LineRun, type BegunLines } from '../../src/receivers/lines/run.ts'
import { Counters } from '../../src/telemetry/counters.ts'
import { SETTINGS } from '../support/delivery-thread.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const line = (step: number): string => `{"step":${step},"loss":1}\n`
const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, i) => line(from + i)).join('')

/** A receiver whose delivery thread is this test: what it is sent, and what it gives back. */
class Scene {
  readonly sent: ToDelivery[] = []
  readonly faults: Error[] = []
  readonly path = join(temporaryDirectory(), 'a.jsonl')
  readonly channel: Channel
  readonly receiver: FileReceiver

  constructor(text: string, { capacity = 1_000_000, breaks = false, idleMs = null as number | null } = {}) {
    writeFileSync(this.path, text)
    const port = {
      postMessage: (message: ToDelivery): void => {
        this.sent.push(message)
        if (message.kind === 'barrier') queueMicrotask(() => this.channel.committed(message.id, true))
      },
    }
    this.channel = new Channel(port, capacity, 'drop-newest')
    this.receiver = new FileReceiver({
      patterns: [this.path],
      fromStart: true,
      begin: () => this.#begin(breaks),
      idleMs,
      screen: null,
      now: () => 5,
      say: () => {},
      onFault: (error) => void this.faults.push(error),
    })
    onTestFinished(() => this.receiver.stop(0))
    onTestFinished(() => this.channel.close())
  }

  #begin(breaks: boolean): BegunLines {
    const { channel } = this
    const counters = new Counters()
    const producer = channel.producer(0, counters)
    if (breaks)
      producer.offer = () => {
        throw new Error('broken')
      }
    const run = new LineRun({
      start: runStart(),
      channel,
      producer,
      counters,
      settings: SETTINGS,
      console: false,
      say: () => {},
    })
    return { run, channel, opened: Promise.resolve(nothingOpened(0)) }
  }

  /** The messages that are committed together, by their kinds. */
  get groups(): string[][] {
    const groups: string[][] = []
    let isOpen = false
    for (const { kind } of this.sent) {
      if (kind === 'begin') groups.push([])
      else if (isOpen) groups.at(-1)!.push(kind)
      isOpen = kind === 'begin' || (isOpen && kind !== 'complete')
    }
    return groups
  }

  get points(): number {
    return this.sent.reduce((sum, message) => sum + (message.kind === 'points' ? message.count : 0), 0)
  }
}

it('the points of a piece of a file and how far it has been read are committed together', async () => {
  const scene = new Scene(lines(0, 3000))
  await scene.receiver.ready
  await scene.receiver.stop(null)
  expect(scene.points).toBe(3000)
  // What there is at first is known before anything is read.
  expect(scene.groups[0]).toEqual(['marks', 'complete'])
  const pieces = scene.groups.filter((group) => group.includes('points'))
  expect(pieces.length).toBeGreaterThan(0)
  for (const group of pieces) expect([group.at(-2), group.at(-1)]).toEqual(['marks', 'complete'])
  // Nothing of the points stands outside of such a group.
  let isOpen = false
  for (const { kind } of scene.sent) {
    if (kind === 'begin') isOpen = true
    if (kind === 'complete') isOpen = false
    if (kind === 'points' || kind === 'marks') expect(isOpen).toBe(true)
  }
})

it('a file is read no further while the journal does not get on, and further when it does', async () => {
  const scene = new Scene(lines(0, 100_000), { capacity: 20_000 })
  const points = (): number => scene.points
  await expect.poll(points).toBeGreaterThan(5000)
  // Much more could have been read meanwhile.
  for (let i = 0; i < 100; i += 1) await readFile(scene.path)
  const before = scene.points
  expect(before).toBeLessThan(40_000)
  expect(scene.channel.used).toBeGreaterThanOrEqual(0.5)
  for (let given = 0; scene.points < 100_000;) {
    const messages = scene.sent.filter((message) => message.kind === 'points')
    scene.channel.recycle(messages.slice(given).map(({ buffer }) => buffer))
    given = messages.length
    await expect
      .poll(() => scene.sent.filter(({ kind }) => kind === 'points').length > given || scene.points === 100_000)
      .toBe(true)
  }
  expect(scene.points).toBe(100_000)
  expect(CHUNK_POINTS).toBeLessThan(before)
})

it('a fault of ours ends the following, and is told', async () => {
  const scene = new Scene(lines(0, 3), { breaks: true })
  await expect(scene.receiver.ready).rejects.toThrow('broken')
  appendFileSync(scene.path, line(3))
  await scene.receiver.stop(null)
  expect(scene.faults.map(({ message }) => message)).toEqual(['broken'])
  // The lines that were not taken do not count as read.
  expect(scene.sent.filter(({ kind }) => kind === 'marks')).toHaveLength(1)
})

it('nothing is read any more when the channel is closed', async () => {
  const scene = new Scene(lines(0, 3))
  await scene.receiver.ready
  scene.channel.close()
  appendFileSync(scene.path, lines(3, 6))
  await scene.receiver.stop(null)
  expect([scene.points, scene.faults]).toEqual([3, []])
})

it('a run that is idle as soon as it has begun ends, and the following is ready all the same', async () => {
  const scene = new Scene('', { idleMs: 0 })
  await scene.receiver.ready
  await expect
    .poll(() => scene.sent.map(({ kind }) => kind).filter((kind) => kind === 'end' || kind === 'leave'))
    .toEqual(['end', 'leave'])
})
