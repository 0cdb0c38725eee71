import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHUNK_POINTS, columnsOf } from '../../src/channel/chunk.ts'
import type { EventRow, ToDelivery } from '../../src/channel/messages.ts'
import { Channel, type WhenFull } from '../../src/channel/channel.ts'
import {
  COUNTERS,
  Counters,
  dropped,
  EVENTS_CHANNEL_FULL,
  EVENTS_OF,
  NUMBERS,
  POINTS,
  skipped,
} from '../../src/telemetry/counters.ts'

const NO_STEP = skipped('no_step')
const CHANNEL_FULL = dropped('channel_full')

/** A port that keeps what it is sent; `giveBack` returns buffers as the journal does. */
function channel(capacity: number, whenFull: WhenFull) {
  const sent: ToDelivery[] = []
  const counters = new Counters()
  const shared = new Channel({ postMessage: (message) => void sent.push(message) }, capacity, whenFull)
  const producer = shared.producer(0, counters)
  const offered = { next: 0 }
  return {
    sent,
    shared,
    producer,
    counters,
    offer: () => {
      counters.add(POINTS, 1)
      const n = (offered.next += 1)
      return producer.offer(n % 7, n, n * 1000, n / 4)
    },
    offered,
    giveBack: (count: number) =>
      shared.recycle(Array.from({ length: count }, () => new ArrayBuffer(CHUNK_POINTS * 28))),
  }
}

/** Steps of all points sent, in order, and the sum of the counts sent beside them. */
function received(sent: readonly ToDelivery[]) {
  const steps: number[] = []
  const counts = new Float64Array(COUNTERS.length)
  for (const message of sent) {
    if (message.kind === 'points') {
      const { step, time, value, series } = columnsOf(message.buffer, CHUNK_POINTS)
      for (let i = 0; i < message.count; i += 1) {
        expect([time[i], value[i], series[i]]).toEqual([step[i]! * 1000, step[i]! / 4, step[i]! % 7])
        steps.push(step[i]!)
      }
    }
    if ((message.kind === 'points' || message.kind === 'counts') && message.counts !== null)
      message.counts.forEach((n, i) => (counts[i]! += n))
  }
  return { steps, points: counts[POINTS]!, dropped: counts[dropped('channel_full')]! }
}

describe('the channel', () => {
  it('sends or counts every point, in order, for any mixture of offers, returns and messages', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('offer' as const), n: fc.integer({ min: 1, max: 2500 }) }),
      fc.record({ kind: fc.constant('return' as const), n: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ kind: fc.constant('post' as const), n: fc.constant(0) }),
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 2000, max: 6000 }),
        fc.constantFrom<WhenFull>('drop-newest', 'block'),
        fc.array(action, { maxLength: 25 }),
        (capacity, whenFull, actions) => {
          const { sent, producer, offer, offered, giveBack } = channel(capacity, whenFull)
          let away = 0
          let sentChunks = 0
          for (const { kind, n } of actions) {
            if (kind === 'offer') for (let i = 0; i < n; i += 1) offer()
            else if (kind === 'post') producer.post({ kind: 'params', params: [] })
            const chunks = sent.filter((message) => message.kind === 'points').length
            away += chunks - sentChunks
            sentChunks = chunks
            if (kind === 'return') {
              const count = Math.min(n, away)
              away -= count
              giveBack(count)
            }
          }
          producer.post({ kind: 'end', status: 'FINISHED', time: 0 })
          const got = received(sent)
          expect(got.points).toBe(offered.next)
          expect(got.steps.length + got.dropped).toBe(offered.next)
          expect(got.steps).toEqual([...got.steps].sort((a, b) => a - b))
          if (whenFull === 'block') expect(got.dropped).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('sends counts that add up with each chunk, though it is full in the middle of an event that is counted behind it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1500 }), { maxLength: 20 }), fc.boolean(), (events, isFlushed) => {
        const { sent, producer, counters } = channel(3000, 'drop-newest')
        for (const points of events) {
          for (let i = 0; i < points; i += 1) producer.offer(0, i, i, i)
          counters.add(NUMBERS, points + 1)
          counters.add(POINTS, points)
          counters.add(NO_STEP, 1)
          if (isFlushed) producer.flush()
        }
        producer.flush()
        const sums = new Float64Array(COUNTERS.length)
        for (const message of sent) {
          if (message.kind !== 'points' && message.kind !== 'counts') continue
          const { counts } = message
          expect(counts![POINTS]).toBe((message.kind === 'points' ? message.count : 0) + counts![CHANNEL_FULL]!)
          expect(counts![NUMBERS]).toBe(counts![POINTS]! + counts![NO_STEP]!)
          counts!.forEach((n, i) => (sums[i]! += n))
        }
        const all = events.reduce((sum, points) => sum + points, 0)
        expect([sums[POINTS], sums[NUMBERS], sums[NO_STEP]]).toEqual([all, all + events.length, events.length])
      }),
      { numRuns: 60 },
    )
  })

  it('says full when its pool is used up, and takes points again when a buffer has come back', () => {
    const { shared, offer, giveBack } = channel(2000, 'drop-newest')
    for (let i = 0; i < 2000; i += 1) expect(offer()).toBe('ok')
    expect(shared.isFull).toBe(true)
    expect(offer()).toBe('full')
    let called = 0
    shared.whenRoom(() => (called += 1))
    giveBack(1)
    expect(called).toBe(1)
    expect(offer()).toBe('ok')
  })

  it('lets a partly filled chunk leave by itself', async () => {
    const { producer, sent, offer } = channel(2000, 'drop-newest')
    offer()
    producer.touch()
    await expect.poll(() => received(sent).steps).toEqual([1])
  })

  it('says closed, and counts, once it is closed', () => {
    const { shared, producer, offer, sent, counters } = channel(2000, 'drop-newest')
    offer()
    shared.close()
    expect(offer()).toBe('closed')
    producer.post({ kind: 'end', status: 'FINISHED', time: 0 })
    expect(sent).toEqual([])
    expect(counters.values[dropped('channel_full')]).toBe(1)
  })
})

const MB = 1 << 20

/** An event of some 2 MB; `put` gives as many to a producer, and `made` how many of them were made. */
function events(producer: ReturnType<typeof channel>['producer']) {
  const row: EventRow = { time: 1, level: 'ERROR', target: '', message: 'x'.repeat(MB), step: null, fields: '{}' }
  const found = {
    made: 0,
    put: (count: number): void => {
      for (let i = 0; i < count; i += 1)
        producer.event('ERROR', () => {
          found.made += 1
          return row
        })
    },
  }
  return found
}

const eventsOf = (sent: readonly ToDelivery[]): number =>
  sent.reduce((sum, message) => sum + (message.kind === 'events' ? message.events.length : 0), 0)

const barrierOf = (sent: readonly ToDelivery[]): number =>
  sent.findLast((message) => message.kind === 'barrier')?.id ?? 0

describe('events in the channel', () => {
  it('take 8 MB until they are committed; beyond that they are counted, and not even made', async () => {
    const { sent, shared, producer, counters } = channel(2000, 'drop-newest')
    const found = events(producer)
    const { put } = found
    put(5)
    expect([shared.isFull, shared.takesEvents, found.made]).toEqual([true, false, 4])
    expect([counters.values[EVENTS_OF.ERROR], counters.values[EVENTS_CHANNEL_FULL]]).toEqual([1, 1])
    producer.flush()
    expect(eventsOf(sent)).toBe(4)
    const room = Promise.withResolvers<void>()
    shared.whenRoom(room.resolve)
    shared.committed(barrierOf(sent), true)
    await room.promise
    expect([shared.isFull, shared.takesEvents]).toEqual([false, true])
    put(1)
    producer.flush()
    expect(eventsOf(sent)).toBe(5)
  })

  it.each<[string, WhenFull]>([
    ['a file, which is read later', 'block'],
    ['a request, which is taken whole', 'drop-newest'],
  ])('of %s are never dropped, and nothing more is read meanwhile', (_, whenFull) => {
    const { sent, shared, producer, counters } = channel(2000, whenFull)
    const { put } = events(producer)
    if (whenFull === 'block') put(6)
    else shared.whole(() => put(6))
    producer.flush()
    expect([eventsOf(sent), counters.values[EVENTS_CHANNEL_FULL], shared.isFull]).toEqual([6, 0, true])
  })

  it('leave by themselves, without a chunk before it is full', async () => {
    const { sent, producer } = channel(2000, 'drop-newest')
    events(producer).put(1)
    producer.touch()
    await expect.poll(() => eventsOf(sent)).toBe(1)
    expect(sent.map(({ kind }) => kind)).toEqual(['events', 'barrier'])
  })

  it('of a closed channel are counted', () => {
    const { sent, shared, producer, counters } = channel(2000, 'drop-newest')
    events(producer).put(1)
    shared.close()
    events(producer).put(1)
    producer.flush()
    expect([sent, counters.values[EVENTS_CHANNEL_FULL]]).toEqual([[], 1])
  })
})
