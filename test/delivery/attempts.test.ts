import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { attempt, attempts, pause } from '../../src/delivery/attempts.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import type { SendResult } from '../../src/exporters/exporter.ts'
import { turn, useStillTime } from '../support/turn.ts'

const clock = systemClock
const failure = new Error('503')
const retry: SendResult = { kind: 'retry', error: failure }
const refusal: SendResult = { kind: 'drop', error: new Error('refused') }

type Answer = SendResult | { kind: 'unanswered' }

/** Attempts that answer one after the other with `answers`, the last one again and again, with the moments of each. */
function tried(answers: readonly (Answer | (() => never))[], tries = 3, cut = new AbortController()) {
  const from = clock.now()
  const at: number[] = []
  const failed: unknown[] = []
  const once = async (): Promise<Answer> => {
    at.push(Math.round(clock.now() - from))
    const answer = answers[Math.min(at.length, answers.length) - 1]!
    return typeof answer === 'function' ? answer() : answer
  }
  const seen = { result: null as unknown, endedAt: Number.NaN, at, failed, cut }
  const all = async (): Promise<void> => {
    seen.result = await attempts(once, { tries, clock, cut: cut.signal, onFailed: (outcome) => failed.push(outcome) })
    seen.endedAt = Math.round(clock.now() - from)
  }
  void all()
  return seen
}

const listeners = ({ signal }: AbortController): number => getEventListeners(signal, 'abort').length

useStillTime()

describe('attempts', () => {
  it('end with the first one that is answered, well or with a refusal', async () => {
    const ok: SendResult = { kind: 'ok' }
    for (const answer of [ok, refusal]) {
      const seen = tried([answer])
      await turn(0)
      expect([seen.result, seen.at, seen.failed]).toEqual([answer, [0], []])
      expect(seen.result).toBe(answer)
    }
    const later = tried([retry, ok])
    await turn(1000)
    expect([later.result, later.at, later.failed]).toEqual([ok, [0, 200], [retry]])
  })

  it('are three with pauses of 200 and 400 ms, and end with the last answer at once', async () => {
    const last: SendResult = { kind: 'unanswered', error: new Error('lost') }
    const seen = tried([retry, retry, last])
    await turn(2000)
    expect([seen.at, seen.endedAt, seen.failed]).toEqual([[0, 200, 600], 600, [retry, retry, last]])
    expect(seen.result).toBe(last)
  })

  it('are repeated also where no error tells why', async () => {
    const unanswered = { kind: 'unanswered' } as const
    const seen = tried([unanswered])
    await turn(2000)
    expect([seen.at, seen.result]).toEqual([[0, 200, 600], unanswered])
  })

  it('are as many as wanted', async () => {
    const seen = tried([retry], 1)
    await turn(0)
    expect([seen.at, seen.result]).toEqual([[0], retry])
  })

  it('come after pauses that jitter makes up to twice as long', async () => {
    vi.mocked(Math.random).mockReturnValue(0.5)
    const seen = tried([retry])
    await turn(2000)
    expect(seen.at).toEqual([0, 300, 900])
  })

  it('wait as long as Retry-After asks, where that is longer than the pause, and not behind the last one', async () => {
    const seen = tried([
      { ...retry, afterMs: 100 },
      { ...retry, afterMs: 1000 },
      { ...retry, afterMs: 5000 },
    ])
    await turn(10_000)
    expect([seen.at, seen.endedAt]).toEqual([[0, 200, 1200], 1200])
  })

  it('wait a minute where that is asked for, and leave what asks for more to those who suspend', async () => {
    const patient = tried([{ ...retry, afterMs: 60_000 }], 2)
    const longer: SendResult = { ...retry, afterMs: 60_001 }
    const impatient = tried([longer])
    await turn(0)
    expect([impatient.at, impatient.failed]).toEqual([[0], [longer]])
    expect(impatient.result).toBe(longer)
    await vi.advanceTimersByTimeAsync(59_900)
    expect(patient.at).toEqual([0])
    await turn(100)
    expect(patient.at).toEqual([0, 60_000])
  })

  it('count a throw as one that failed, which is not repeated', async () => {
    const bug = new Error('a bug')
    const seen = tried([
      () => {
        throw bug
      },
    ])
    await turn(2000)
    expect([seen.at, seen.result, seen.failed]).toEqual([[0], { kind: 'retry', error: bug }, []])
  })

  it('end at once when they are cut, in a pause of ours and in one that Retry-After asks for', async () => {
    for (const answer of [retry, { ...retry, afterMs: 30_000 }]) {
      const seen = tried([answer])
      await turn(100)
      expect(seen.result).toBeNull()
      seen.cut.abort(new Error('we end'))
      await turn(0)
      expect([seen.result, seen.at]).toEqual([{ kind: 'retry', error: new Error('we end') }, [0]])
      expect([listeners(seen.cut), vi.getTimerCount()]).toEqual([0, 0])
    }
  })

  it('that are cut for a reason that is no error say it all the same', async () => {
    const seen = tried([retry])
    seen.cut.abort('the end')
    await turn(0)
    expect(seen.result).toEqual({ kind: 'retry', error: new Error('the end') })
  })
})

describe('an attempt', () => {
  /** A call that answers with how long it took until it was aborted. */
  const hanging = (abort: AbortSignal): Promise<{ kind: 'retry'; error: Error }> => {
    const from = clock.now()
    const { promise, resolve } = Promise.withResolvers<{ kind: 'retry'; error: Error }>()
    const end = (): void => resolve({ kind: 'retry', error: new Error(`aborted after ${clock.now() - from} ms`) })
    if (abort.aborted) end()
    else abort.addEventListener('abort', end)
    return promise
  }

  it('is aborted when its time is up, and not before', async () => {
    const cut = new AbortController()
    const result = attempt(hanging, 3000, clock, cut.signal)
    await turn(4000)
    expect(await result).toEqual({ kind: 'retry', error: new Error('aborted after 3000 ms') })
  })

  it('takes an answer that has come in while its time ran out', async () => {
    const { signal } = new AbortController()
    const answered = (abort: AbortSignal): Promise<{ kind: string }> =>
      new Promise((resolve) => {
        clock.after(3000, () => resolve({ kind: abort.aborted ? 'aborted' : 'ok' }))
      })
    const result = attempt(answered, 3000, clock, signal)
    vi.advanceTimersByTime(3000)
    expect(await result).toEqual({ kind: 'ok' })
  })

  it('is aborted when all is cut, also when that was before', async () => {
    const cut = new AbortController()
    const result = attempt(hanging, 3000, clock, cut.signal)
    await turn(500)
    cut.abort()
    const wanted = (ms: number) => ({ kind: 'retry', error: new Error(`aborted after ${ms} ms`) })
    expect(await result).toEqual(wanted(500))
    expect(await attempt(hanging, 3000, clock, cut.signal)).toEqual(wanted(0))
  })

  it('gives what came, and leaves neither a timer nor a listener behind', async () => {
    const cut = new AbortController()
    let signal: AbortSignal | null = null
    const call = async (abort: AbortSignal): Promise<{ kind: string }> => {
      signal = abort
      expect([listeners(cut), vi.getTimerCount()]).toEqual([1, 1])
      return { kind: 'ok' }
    }
    expect(await attempt(call, 3000, clock, cut.signal)).toEqual({ kind: 'ok' })
    expect([listeners(cut), vi.getTimerCount()]).toEqual([0, 0])
    await turn(4000)
    expect(signal!.aborted).toBe(false)
  })

  it('that throws is a fault in the exporter, with what was thrown as its cause', async () => {
    const cut = new AbortController()
    const bug = new TypeError('x is not a function')
    const result = await attempt(() => Promise.reject(bug), 3000, clock, cut.signal)
    expect(result).toEqual({
      kind: 'retry',
      error: new Error('a fault in the exporter: x is not a function', { cause: bug }),
    })
    expect((result as { error: Error }).error.cause).toBe(bug)
  })
})

describe('a pause', () => {
  it('ends when its time is over, or all is cut, and leaves nothing behind', async () => {
    const cut = new AbortController()
    let ended = 0
    const one = (): void => void pause(1000, clock, cut.signal).then(() => (ended += 1))
    one()
    await turn(950)
    expect([ended, listeners(cut)]).toEqual([0, 1])
    await turn(50)
    expect([ended, listeners(cut)]).toEqual([1, 0])
    one()
    await turn(0)
    cut.abort()
    await turn(0)
    expect([ended, vi.getTimerCount()]).toEqual([2, 0])
    one()
    await turn(0)
    expect([ended, vi.getTimerCount(), listeners(cut)]).toEqual([3, 0, 0])
  })
})
