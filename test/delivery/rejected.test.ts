import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { accountOf } from '../../src/delivery/account.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import { retryRejected } from '../../src/delivery/rejected.ts'
import type { Batch, BatchKind, RunToOpen, SendResult } from '../../src/exporters/exporter.ts'
import { readStatus } from '../../src/journal/status.ts'
import { inMemory } from '../support/filled-journal.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { stopTime } from '../support/turn.ts'

const refusal: SendResult = { kind: 'drop', error: new Error('refused') }

class Tracker extends MemoryExporter {
  readonly asked: RunToOpen[] = []
  readonly batches: { runId: string; batch: Batch }[] = []

  override async openRun(run: RunToOpen, abort: AbortSignal) {
    this.asked.push(run)
    return super.openRun(run, abort)
  }

  override async send(runId: string, batch: Batch, abort: AbortSignal): Promise<SendResult> {
    this.batches.push({ runId, batch })
    return super.send(runId, batch, abort)
  }
}

/** Lets time pass until `result` is there. */
async function over<T>(result: Promise<T>): Promise<T> {
  const state = { isOver: false }
  void result.finally(() => (state.isOver = true)).catch(() => {})
  for (let seconds = 0; !state.isOver; seconds += 1) {
    if (seconds > 200) throw new Error('it does not end')
    await vi.advanceTimersByTimeAsync(1000)
  }
  return result
}

/** A journal whose destination is known, with ways to let it have refused what is in it. */
function refusing({ isOpened = true, accepts = { points: 1000, params: 100, tags: 100, spans: 100 } } = {}) {
  const filled = inMemory({ tags: [['team', 'rl']], command: ['train', '-x'] })
  const exporter = new Tracker()
  exporter.accepts = accepts
  const account = accountOf(filled.journal, exporter)
  if (isOpened) account.opened('r7', true, null, new Map())
  const cut = new AbortController()
  const refused = (
    kind: BatchKind,
    rows: readonly { sequence: number; name: string; value: number | string }[],
  ): void =>
    account.moved(
      kind,
      { position: 1000, delivered: 0, rejected: rows.length, evicted: 0, sending: 0, resent: 0 },
      rows.map((row) => ({ reason: 'too long', step: 10 * row.sequence, time: row.sequence + 0.5, ...row })),
      new Map(),
    )
  return {
    ...filled,
    filled,
    exporter,
    account,
    cut,
    refused,
    retry: () => over(retryRejected({ journal: filled.journal, exporter, clock: systemClock, cut: cut.signal })),
    left: () => filled.journal.all('SELECT sequence FROM rejected ORDER BY sequence').map((row) => row['sequence']),
    status: () => readStatus(filled.journal.database, '', true).destinations[0]!,
  }
}

const rows = (count: number, from = 1) =>
  Array.from({ length: count }, (_, i) => ({ sequence: from + i, name: `k${(from + i) % 2}`, value: from + i }))

const stepsOf = ({ batch }: { batch: Batch }): number[] => (batch.kind === 'points' ? [...batch.step] : [])

beforeEach(() => stopTime())
afterEach(() => void vi.useRealTimers())

describe('what was refused', () => {
  it('is sent once more as it was, and counts as delivered when it is taken', async () => {
    const { refused, retry, left, status, exporter } = refusing()
    refused('points', [
      { sequence: 4, name: 'loss', value: 0.25 },
      { sequence: 6, name: 'kl', value: 'NaN' },
      { sequence: 9, name: 'loss', value: '-Infinity' },
    ])
    expect(await retry()).toEqual({ taken: 3, refused: 0, error: null })
    const [{ runId, batch } = expect.unreachable()] = exporter.batches
    if (batch.kind !== 'points') expect.unreachable()
    expect([runId, batch.first, batch.count, exporter.batches.length]).toEqual(['r1', 4, 3, 1])
    expect([[...batch.value], [...batch.step], [...batch.time], [...batch.sequences!]]).toEqual([
      [0.25, Number.NaN, -Infinity],
      [40, 60, 90],
      [4.5, 6.5, 9.5],
      [4, 6, 9],
    ])
    expect(Array.from(batch.series, batch.keyOf)).toEqual(['loss', 'kl', 'loss'])
    expect(left()).toEqual([])
    expect(status().points).toMatchObject({ delivered: 3, rejected: 0 })
  })

  it('is sent to the run that the tracker knows, which is not reopened', async () => {
    const { refused, retry, exporter } = refusing()
    refused('points', rows(1))
    await retry()
    expect(exporter.asked).toEqual([
      {
        run: '01TEST',
        identity: null,
        trackerRun: null,
        name: 'ppo',
        source: 'stdin',
        command: ['train', '-x'],
        directory: '/',
        startedAt: 5,
        tags: [['team', 'rl']],
        knownId: 'r7',
        knownMade: true,
        mayExist: true,
        isMoved: false,
        reopen: false,
        making: expect.any(Function),
        makingSince: null,
        peer: { runId: 'r7', group: null },
        target: {},
      },
    ])
  })

  it('of params, tags and spans is sent as such, each span alone from the journal', async () => {
    const { refused, retry, exporter, filled, left } = refusing()
    filled.spans(3)
    refused('params', [{ sequence: 1, name: 'lr', value: '1e-3' }])
    refused('tags', [{ sequence: 1, name: 'team', value: 'rl' }])
    refused('spans', [
      { sequence: 1, name: 'a', value: '' },
      { sequence: 3, name: 'c', value: '' },
    ])
    expect(await retry()).toEqual({ taken: 4, refused: 0, error: null })
    expect([exporter.texts, exporter.spans.map(({ bytes }) => [...bytes])]).toEqual([
      ['lr=1e-3', 'team=rl'],
      [[1], [3]],
    ])
    expect(exporter.batches.map(({ batch: { kind, first, count } }) => [kind, first, count])).toEqual([
      ['params', 1, 1],
      ['tags', 1, 1],
      ['spans', 1, 2],
    ])
    expect(left()).toEqual([])
  })

  it('goes in requests of fifty, in its order', async () => {
    const { refused, retry, exporter } = refusing()
    refused('points', rows(100).toReversed())
    expect(await retry()).toEqual({ taken: 100, refused: 0, error: null })
    expect(exporter.sizes).toEqual([50, 50])
    expect(exporter.batches.flatMap(stepsOf)).toEqual(rows(100).map(({ sequence }) => 10 * sequence))
  })

  it('together is sent alone then, so that only those stay refused that still are', async () => {
    const { refused, retry, exporter, left, status } = refusing()
    refused('points', rows(60))
    exporter.onSend = (batch) =>
      batch.kind === 'points' && batch.step.some((step) => step === 20 || step === 550) ? refusal : { kind: 'ok' }
    expect(await retry()).toEqual({ taken: 58, refused: 2, error: null })
    expect(exporter.sizes).toEqual([50, ...Array<number>(50).fill(1), 10, ...Array<number>(10).fill(1)])
    expect(left()).toEqual([2, 55])
    expect(status().points).toMatchObject({ delivered: 58, rejected: 2 })
  })

  it('is tried three times where the tracker fails, and the rest is left as it was', async () => {
    const { refused, retry, exporter, left } = refusing()
    vi.spyOn(Math, 'random').mockReturnValue(0)
    refused('points', rows(120))
    refused('params', [{ sequence: 1, name: 'lr', value: '1' }])
    const error = new Error('503')
    exporter.onSend = (batch) =>
      batch.kind === 'points' && batch.first > 50 ? { kind: 'retry', error } : { kind: 'ok' }
    expect(await retry()).toEqual({ taken: 50, refused: 0, error })
    expect([exporter.sizes, exporter.texts]).toEqual([[50, 50, 50, 50], []])
    expect(left()).toHaveLength(71)
    vi.restoreAllMocks()
  })

  it('alone is given up as well when the tracker fails', async () => {
    const { refused, retry, exporter, left } = refusing()
    refused('points', rows(10))
    const error = new Error('lost')
    exporter.onSend = (batch) => {
      if (batch.count > 1 || batch.kind !== 'points') return refusal
      return batch.first === 3 ? { kind: 'unanswered', error } : { kind: 'ok' }
    }
    expect(await retry()).toEqual({ taken: 2, refused: 0, error })
    expect(exporter.sizes).toEqual([10, 1, 1, 1, 1, 1])
    expect(left()).toEqual([3, 4, 5, 6, 7, 8, 9, 10])
  })

  it('has thirty seconds for a request', async () => {
    const { refused, retry, exporter } = refusing()
    refused('points', rows(1))
    const abortedAt: number[] = []
    exporter.onSend = (_batch, abort) =>
      new Promise((resolve) =>
        abort.addEventListener('abort', () => {
          abortedAt.push(performance.now())
          resolve(refusal)
        }),
      )
    const from = performance.now()
    expect(await retry()).toEqual({ taken: 0, refused: 1, error: null })
    expect(abortedAt.map((at) => Math.floor((at - from) / 1000))).toEqual([30])
  })

  it('stays where it is when the run cannot be opened', async () => {
    const { refused, retry, exporter, left } = refusing()
    refused('points', rows(2))
    const error = new Error('there is no run r7')
    exporter.onOpen = () => ({ kind: 'drop', error })
    expect(await retry()).toEqual({ taken: 0, refused: 0, error })
    expect([exporter.sizes, left()]).toEqual([[], [1, 2]])
  })

  it('and is still ahead of the cursor is left alone: it is on its way', async () => {
    const { retry, exporter, account } = refusing()
    const cursor = { position: 3, delivered: 2, rejected: 1, evicted: 0, sending: 0, resent: 0 }
    const row = (sequence: number) => ({ sequence, name: 'loss', value: 0, step: sequence, time: 0, reason: 'x' })
    account.moved('points', cursor, [3, 4].map(row), new Map())
    expect(await retry()).toEqual({ taken: 1, refused: 0, error: null })
    expect(exporter.batches.map(stepsOf)).toEqual([[3]])
  })
})

describe('a tracker is not called', () => {
  it('where nothing was refused, or only what others have refused or it does not take', async () => {
    const { retry, exporter, refused, journal } = refusing({
      accepts: { points: 1000, params: 100, tags: 100 } as never,
    })
    refused('spans', rows(1))
    journal.reject({ destination: null, kind: 'params', sequence: 1, name: 'lr', value: '2', reason: 'another' })
    expect(await retry()).toEqual({ taken: 0, refused: 0, error: null })
    expect(exporter.opens).toBe(0)
  })

  it('where no run was ever made there', async () => {
    const { retry, exporter, refused } = refusing({ isOpened: false })
    refused('points', rows(1))
    expect(await retry()).toEqual({ taken: 0, refused: 0, error: null })
    expect(exporter.opens).toBe(0)
  })
})
