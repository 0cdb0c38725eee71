import { afterEach, beforeEach, vi } from 'vitest'

/** From here on time stands still until `turn` moves it; input and output go on. */
export const stopTime = (): void =>
  void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })

/** In each test of a file time stands still, and pauses are as long as they are without jitter: 200 and 400 ms. */
export function useStillTime(): void {
  beforeEach(() => {
    stopTime()
    vi.spyOn(Math, 'random').mockReturnValue(0)
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.useRealTimers()
  })
}

/** Lets `ms` pass in small steps, with what the timers set off running in between. */
export async function turn(ms: number): Promise<void> {
  for (let left = ms; ; left -= 50) {
    for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve))
    if (left <= 0) return
    await vi.advanceTimersByTimeAsync(Math.min(50, left))
  }
}
