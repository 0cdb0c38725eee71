import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { OpenResult, SendResult } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { expectConserved } from '../support/account.ts'
import { deliver, steps } from '../support/deliver.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { turn, useStillTime } from '../support/turn.ts'

const opened: OpenResult & { kind: 'ok' } = { kind: 'ok', runId: 'r1', made: true, page: null }
const away: SendResult = { kind: 'retry', error: new Error('the server is away'), absent: true }

useStillTime()

/** Resolves, as a failure, when it is cut; says when that is. */
const hang = (abort: AbortSignal, cutAt: number[]): Promise<Exclude<SendResult, { kind: 'ok' }>> =>
  new Promise((resolve) =>
    abort.addEventListener('abort', () => {
      cutAt.push(Math.round(performance.now()))
      resolve({ kind: 'unanswered', error: new Error('no answer') })
    }),
  )

describe('a run that is opened', () => {
  it('is told with all that is known of it, and its page is said once', async () => {
    const exporter = Object.assign(new MemoryExporter(), { target: { experiment: 'ppo' } })
    const { said, heard, journal, state } = deliver(exporter)
    expect([state.delivery.peer, state.delivery.isComplete]).toEqual([null, false])
    await turn(0)
    const { making, ...ask } = exporter.asks[0]!
    const { params: _params, ...start } = runStart()
    expect(ask).toEqual({
      ...start,
      reopen: false,
      knownId: null,
      knownMade: false,
      mayExist: false,
      isMoved: false,
      peer: null,
      makingSince: null,
      target: { experiment: 'ppo' },
    })
    expect(making).toBeTypeOf('function')
    expect([said, heard.opened, exporter.opens]).toEqual([['memory: run r1 · memory:r1'], 1, 1])
    expect(state.delivery.peer).toEqual({ runId: 'r1', group: null })
    expect(journal.get('SELECT run_id, page, made, state FROM destinations')).toEqual({
      run_id: 'r1',
      page: 'memory:r1',
      made: 1,
      state: 'ok',
    })
  })

  it('has no page that is said where there is none, and a group where the tracker keeps it in one', async () => {
    const exporter = new MemoryExporter()
    exporter.onOpen = () => ({ ...opened, group: '7' })
    const { said, state } = deliver(exporter)
    await turn(0)
    expect([said, state.delivery.peer]).toEqual([[], { runId: 'r1', group: '7' }])
  })

  it('is told to the next process as known, and may exist there', async () => {
    const exporter = new MemoryExporter()
    const { state, restart, end } = deliver(exporter)
    await turn(0)
    await state.delivery.stop()
    // Found, and not made by this process: it was made by us all the same.
    exporter.onOpen = () => ({ ...opened, made: false })
    state.delivery = restart()
    end()
    await turn(100)
    expect(exporter.asks[1]).toMatchObject({ knownId: 'r1', knownMade: true, isMoved: false })
    expect(exporter.ends).toEqual([{ runId: 'r1', status: 'FINISHED', time: 9, made: true }])
  })

  it('that others made is not ours to end', async () => {
    const exporter = new MemoryExporter()
    exporter.onOpen = () => ({ ...opened, made: false })
    const { end } = deliver(exporter)
    end()
    await turn(100)
    expect(exporter.ends).toEqual([{ runId: 'r1', status: 'FINISHED', time: 9, made: false }])
  })

  it('may exist when its journal is of an earlier process', async () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    RunJournal.create(path, runStart()).close()
    const exporter = new MemoryExporter()
    const journal = RunJournal.open(path)
    onTestFinished(() => journal.close())
    deliver(exporter, { journal })
    await turn(0)
    expect(exporter.asks[0]!.mayExist).toBe(true)
  })

  it('goes where the settings say now, unless it is an orphan or they say nothing: then where it was to go', async () => {
    const first = Object.assign(new MemoryExporter(), { target: { experiment: 'old', id: null } })
    first.onOpen = () => away
    const { state, restart } = deliver(first)
    await turn(0)
    const told = async (target: Record<string, string | null>, isOrphan: boolean) => {
      await state.delivery.stop()
      const exporter = Object.assign(new MemoryExporter(), { target })
      exporter.onOpen = () => away
      state.delivery = restart(exporter, { isOrphan })
      await turn(0)
      return exporter.asks[0]!.target
    }
    expect(await told({ experiment: 'new', id: null }, false)).toEqual({ experiment: 'new', id: null })
    expect(await told({ experiment: 'new', id: null }, true)).toEqual({ experiment: 'old', id: null })
    expect(await told({ experiment: null, id: null }, false)).toEqual({ experiment: 'old', id: null })
  })

  it('has the request to make it in the journal before that leaves, for whoever goes on', async () => {
    const exporter = new MemoryExporter()
    const noted: unknown[] = []
    const journal = RunJournal.create(':memory:', runStart(), 1 << 30)
    const making = () => journal.get('SELECT making_since FROM destinations')!['making_since']
    exporter.onOpen = (run) => {
      run.making(1234)
      noted.push(making())
      return away
    }
    const { state, restart } = deliver(exporter, { journal })
    await turn(0)
    await state.delivery.stop()
    state.delivery = restart()
    await turn(0)
    expect([noted, exporter.asks[0]!.makingSince, exporter.asks.at(-1)!.makingSince]).toEqual([
      [1234, 1234],
      null,
      1234,
    ])
  })

  it('is not asked for its heights again, which are those that it had before us', async () => {
    const exporter = new MemoryExporter()
    exporter.onOpen = () => ({ ...opened, heights: new Map([['trainer/loss', 40]]) })
    const { journal } = deliver(exporter)
    await turn(0)
    expect(journal.all('SELECT key, step FROM heights')).toEqual([{ key: 'trainer/loss', step: 40 }])
  })
})

describe('a run that cannot be opened', () => {
  it('is spoken of when it has not answered for three seconds, and its answer is told', async () => {
    const exporter = new MemoryExporter()
    const { promise, resolve } = Promise.withResolvers<OpenResult>()
    exporter.onOpen = () => promise
    const { said, status } = deliver(exporter)
    await turn(2950)
    expect(said).toEqual([])
    await turn(50)
    expect(said).toEqual([
      'memory at memory: has not answered yet. Metrics wait in the journal; it is tried again by itself.',
    ])
    expect(status().destinations[0]).toMatchObject({
      state: 'suspended',
      lastError: 'memory at memory: has not answered yet',
    })
    await turn(1000)
    resolve(opened)
    await turn(0)
    expect(said.slice(1)).toEqual(['memory: back after 1.0 s'])
    expect(status().destinations[0]).toMatchObject({ state: 'ok', lastError: null })
  })

  it('is not spoken of when it has answered before', async () => {
    const exporter = new MemoryExporter()
    exporter.onOpen = () => new Promise((resolve) => void setTimeout(() => resolve(opened), 2900))
    const { said } = deliver(exporter)
    await turn(10_000)
    expect(said).toEqual([])
  })

  it('has thirty seconds, for another request might make another run', async () => {
    const exporter = new MemoryExporter()
    const cutAt: number[] = []
    const from = Math.round(performance.now())
    exporter.onOpen = (_run, abort) => hang(abort, cutAt)
    deliver(exporter)
    await turn(29_950)
    expect([exporter.opens, cutAt]).toEqual([1, []])
    await turn(1100)
    expect([exporter.opens, cutAt]).toEqual([2, [from + 30_000]])
  })

  it('keeps the state that it had when it is opened again after trouble, until what waits is delivered', async () => {
    const exporter = new MemoryExporter()
    exporter.onOpen = () => away
    const { said, add, status } = deliver(exporter)
    add(1)
    await turn(500)
    exporter.onOpen = () => opened
    exporter.onSend = (batch, abort) => (batch.kind === 'points' ? hang(abort, []) : { kind: 'ok' })
    await turn(1000)
    expect(status().destinations[0]).toMatchObject({ state: 'suspended', lastError: 'the server is away' })
    expect(said).toEqual(['the server is away. 1 point waits in the journal; it is tried again by itself.'])
  })

  it('that an earlier process left suspended is fine once it is opened', async () => {
    const exporter = new MemoryExporter()
    exporter.onOpen = () => away
    const { state, restart, status, said } = deliver(exporter)
    await turn(0)
    await state.delivery.stop()
    expect(status().destinations[0]).toMatchObject({ state: 'suspended' })
    exporter.onOpen = () => opened
    state.delivery = restart()
    await turn(0)
    expect(status().destinations[0]).toMatchObject({ state: 'ok', lastError: null })
    expect(said).toHaveLength(1)
  })
})

describe('a run that was known at another address', () => {
  const noSuchRun: OpenResult = { kind: 'drop', error: new Error('there is no run r1'), noSuchRun: true }

  async function moved(answer: (knownId: string | null) => OpenResult, reopen = false) {
    const all = deliver(new MemoryExporter(), { reopen })
    all.add(60)
    await turn(100)
    await all.state.delivery.stop()
    all.said.length = 0
    const exporter = Object.assign(new MemoryExporter(), { address: 'memory:2', target: { experiment: 'new' } })
    exporter.onOpen = ({ knownId }) => answer(knownId)
    all.state.delivery = all.restart(exporter)
    all.add(60)
    await turn(1500)
    return { ...all, exporter }
  }

  it('goes on there when it leads to that run', async () => {
    const { exporter, status } = await moved(() => opened)
    expect(exporter.asks).toMatchObject([{ isMoved: true, knownId: 'r1' }])
    expect(exporter.taken).toEqual(steps(61, 120))
    expect(status().destinations).toMatchObject([{ address: 'memory:2', points: { delivered: 120 } }])
  })

  it('begins afresh there when the tracker is another one, which knows nothing of it', async () => {
    const { exporter, status, said, end } = await moved((knownId) =>
      knownId === null ? { ...opened, runId: 'r2' } : noSuchRun,
    )
    expect(exporter.asks).toMatchObject([
      { isMoved: true, knownId: 'r1', knownMade: true, target: { experiment: 'new' } },
      { isMoved: false, knownId: null, knownMade: false, target: { experiment: 'new' } },
    ])
    expect(exporter.texts).toEqual(['lr=1', 'team=rl'])
    expect(exporter.taken).toEqual(steps(1, 120))
    expect(status().destinations).toMatchObject([
      { address: 'memory:', state: 'disabled', points: { delivered: 60, pending: 60 } },
      { address: 'memory:2', state: 'ok', runId: 'r2', points: { delivered: 120, pending: 0 } },
    ])
    expect(said).toEqual([])
    end()
    await turn(100)
    expect(exporter.ends).toMatchObject([{ runId: 'r2', made: true }])
  })

  it('is suspended when the run is refused for another reason', async () => {
    const { exporter, said } = await moved(() => ({ kind: 'drop', error: new Error('not allowed') }))
    expect(exporter.asks.map(({ isMoved }) => isMoved)).toEqual([true, true])
    expect(said).toEqual(['not allowed. 60 points wait in the journal; it is tried again by itself.'])
  })

  it('is suspended when it has not moved, and the run is not there any more', async () => {
    const exporter = new MemoryExporter()
    const { state, restart, said, status } = deliver(exporter)
    await turn(0)
    await state.delivery.stop()
    said.length = 0
    exporter.onOpen = () => noSuchRun
    state.delivery = restart()
    await turn(0)
    expect(said).toEqual(['there is no run r1. Metrics wait in the journal; it is tried again by itself.'])
    expect(status().destinations).toHaveLength(1)
  })
})

describe('a destination that goes after another one', () => {
  it('waits for the run of that, and is told which one it is', async () => {
    const exporter = Object.assign(new MemoryExporter(), { after: 'other' })
    const other = { peer: null as { runId: string; group: string | null } | null }
    const asked: string[] = []
    const { state, said } = deliver(exporter, {
      peerOf: (name) => (asked.push(name), other as unknown as ReturnType<typeof deliver>['state']['delivery']),
    })
    await turn(5000)
    expect([exporter.opens, said]).toEqual([0, []])
    other.peer = { runId: 'r9', group: '3' }
    state.delivery.wake()
    await turn(0)
    expect(exporter.asks).toMatchObject([{ peer: { runId: 'r9', group: '3' } }])
    expect([...new Set(asked)]).toEqual(['other'])
  })

  it('goes alone where there is no such destination', async () => {
    const exporter = Object.assign(new MemoryExporter(), { after: 'other' })
    deliver(exporter)
    await turn(0)
    expect(exporter.asks).toMatchObject([{ peer: null }])
  })

  it('is the only one that asks for it', async () => {
    const exporter = new MemoryExporter()
    deliver(exporter, { peerOf: () => expect.unreachable() })
    await turn(0)
    expect(exporter.asks).toMatchObject([{ peer: null }])
  })
})

describe('the end of a run', () => {
  it('is set when all is delivered, once, and then everything is complete', async () => {
    const exporter = new MemoryExporter()
    const { add, end, state, journal, restart } = deliver(exporter)
    await turn(100)
    expect(state.delivery.isComplete).toBe(true)
    add(1)
    expect(state.delivery.isComplete).toBe(false)
    end()
    expect(state.delivery.isComplete).toBe(false)
    await turn(0)
    expect([exporter.taken, exporter.ends.length, state.delivery.isComplete]).toEqual([steps(1, 1), 1, true])
    expect(journal.get('SELECT ended FROM destinations')).toEqual({ ended: 1 })
    await state.delivery.stop()
    state.delivery = restart()
    end()
    await turn(100)
    expect([exporter.ends.length, state.delivery.isComplete]).toEqual([1, true])
  })

  it('is set again for a run that goes on after it', async () => {
    const exporter = new MemoryExporter()
    const { end, state, restart } = deliver(exporter, { reopen: true })
    end()
    await turn(100)
    await state.delivery.stop()
    state.delivery = restart()
    end()
    await turn(100)
    expect(exporter.ends).toHaveLength(2)
  })

  it('is not set for a run that only pauses', async () => {
    const exporter = new MemoryExporter()
    const { add, state } = deliver(exporter)
    await turn(100)
    add(1)
    state.delivery.drain(null)
    await turn(0)
    expect([exporter.taken, exporter.ends, state.delivery.isComplete]).toEqual([steps(1, 1), [], true])
  })

  it('is tried three times of three seconds, then the destination is suspended and it is tried once each time', async () => {
    const exporter = new MemoryExporter()
    const { end, said, state } = deliver(exporter)
    await turn(100)
    said.length = 0
    const cutAt: number[] = []
    exporter.onClose = (abort) => hang(abort, cutAt)
    const from = Math.round(performance.now())
    end()
    await turn(9700)
    expect(cutAt.map((at) => at - from)).toEqual([3000, 6200, 9600])
    await turn(8000)
    expect(cutAt.slice(3).map((at) => at - from)).toEqual([13_600])
    expect(said).toEqual([
      'no answer. Metrics wait in the journal; it is tried again by itself.',
      'no answer. Metrics wait in the journal; it is tried again by itself.',
    ])
    expect(state.delivery.isComplete).toBe(false)
    exporter.onClose = () => ({ kind: 'ok' })
    await turn(5000)
    expect([state.delivery.isComplete, said.slice(2)]).toEqual([true, ['memory: back after 19.6 s']])
  })

  it('that is refused leaves the destination suspended', async () => {
    const exporter = new MemoryExporter()
    const { end, said, status } = deliver(exporter)
    await turn(100)
    exporter.onClose = () => ({ kind: 'drop', error: new Error('the run is deleted') })
    end()
    await turn(100)
    expect(said.at(-1)).toBe('the run is deleted. Metrics wait in the journal; it is tried again by itself.')
    expect([exporter.ends.length, status().destinations[0]!.ended]).toEqual([1, false])
    expectConserved(status())
  })
})

it('a run of which there is nothing is complete once it is there', async () => {
  const journal = RunJournal.create(':memory:', runStart({ params: [], tags: [] }), 1 << 30)
  const exporter = new MemoryExporter()
  exporter.onOpen = () => away
  const { state } = deliver(exporter, { journal })
  await turn(0)
  expect(state.delivery.isComplete).toBe(false)
  exporter.onOpen = () => opened
  await turn(1000)
  expect(state.delivery.isComplete).toBe(true)
})

it('a journal of another process is delivered as what it holds', async () => {
  const journal = RunJournal.create(':memory:', runStart({ params: [], tags: [['a', 'b']] }), 1 << 30)
  const exporter = new MemoryExporter()
  const { state } = deliver(exporter, { journal })
  await turn(0)
  expect([exporter.texts, state.delivery.isComplete]).toEqual([['a=b'], true])
})
