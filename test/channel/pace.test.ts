import { expect, it, vi } from 'vitest'
import { Channel } from '../../src/channel/channel.ts'
import { CHUNK_POINTS } from '../../src/channel/chunk.ts'
import { Pace } from '../../src/channel/pace.ts'

const CHUNKS = 10

/** A channel with a pool of ten buffers, and what reads into it. */
function paced() {
  const channel = new Channel({ postMessage: () => {} }, CHUNKS * CHUNK_POINTS, 'drop-newest')
  const clock = { now: 1000 }
  const pace = new Pace(channel, () => clock.now)
  const taken: ArrayBuffer[] = []
  const take = (count: number): void => {
    for (let i = 0; i < count; i += 1) taken.push(channel.buffer()!)
  }
  return { channel, clock, pace, take, giveBack: (count: number) => channel.recycle(taken.splice(0, count)) }
}

it('input is read as fast as it comes while less than half of the pool is in use', () => {
  const { channel, pace, take } = paced()
  take(4)
  pace.read(1e9)
  expect([channel.used, pace.wait]).toEqual([0.4, 0])
})

it('from then on 16 MB a second are read, which is more than a trainer writes', () => {
  const { channel, clock, pace, take } = paced()
  take(5)
  expect(channel.used).toBe(0.5)
  pace.read(64_000)
  expect(pace.wait).toBe(4)
  pace.read(64_000)
  expect(pace.wait).toBe(8)
  clock.now += 8
  expect(pace.wait).toBe(0)
  // 10,000 lines of 300 bytes, one each 0.1 ms.
  for (let i = 0; i < 10_000; i += 1) {
    clock.now += 0.1
    pace.read(300)
    expect(pace.wait).toBeLessThan(0.1)
  }
})

it('nobody waits any more once there is room, or nothing is taken', () => {
  const { channel, pace, take, giveBack } = paced()
  take(6)
  pace.read(1e6)
  expect(pace.wait).toBeGreaterThan(60)
  giveBack(2)
  pace.read(1)
  expect(pace.wait).toBe(0)
  take(2)
  pace.read(1e6)
  channel.close()
  expect(pace.wait).toBe(0)
})

it('whoever waits is called once, however often he asks', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const { pace, take } = paced()
    take(5)
    expect(pace.isFree).toBe(true)
    pace.read(160_000)
    expect([pace.wait, pace.isFree]).toEqual([10, false])
    const then = vi.fn()
    for (let i = 0; i < 3; i += 1) pace.whenFree(then)
    vi.advanceTimersByTime(9)
    expect(then).toHaveBeenCalledTimes(0)
    vi.advanceTimersByTime(1)
    expect(then).toHaveBeenCalledTimes(1)
    pace.whenFree(then)
    vi.advanceTimersByTime(10)
    expect(then).toHaveBeenCalledTimes(2)
  } finally {
    vi.useRealTimers()
  }
})
