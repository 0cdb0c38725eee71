import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { RunStart } from '../../src/channel/messages.ts'
import { readJournal } from '../../src/journal/status.ts'
import {
  addSpan,
  fillCursors,
  opened,
  AwayExporter,
  leaveBehind,
  startThread,
  stepsOf,
} from '../support/delivery-thread.ts'
import { steps } from '../support/journal.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

describe('a run that is left while others go on', () => {
  beforeEach(stopTime)
  afterEach(() => void vi.useRealTimers())

  it('is delivered at once, told of, and let go; what comes of it later is no matter any more', async () => {
    const exporters: MemoryExporter[] = []
    const { begin, add, end, tell, said, posts, stateDir, finish, outcome } = startThread({
      exporters: () => (exporters.push(new MemoryExporter()), exporters.slice(-1)),
    })
    begin(0, runStart())
    begin(1, runStart({ run: '01OTHER', name: 'other' }))
    add(0, 1, 3)
    end(0)
    tell(0, { kind: 'leave' })
    const path = join(stateDir, '01TEST.sqlite')
    expect(readJournal(path)).toMatchObject({ status: 'finished', points: 3, isHeld: true })
    await turn(100)
    expect(said().filter((text) => !text.startsWith(' '))).toEqual([
      'memory: run r1 · memory:r1',
      'memory: run r1 · memory:r1',
      'run ppo (01TEST) finished: 3 numbers in 0 events = 3 points',
      'memory memory:: 3 points delivered, 0 refused, 0 pending · memory:r1',
      `journal ${path}`,
    ])
    expect([stepsOf(exporters[0]!), exporters[0]!.closedWith, readJournal(path).isHeld]).toEqual([
      steps(1, 3),
      'FINISHED',
      false,
    ])
    posts.length = 0
    add(0, 4, 1)
    tell(0, { kind: 'leave' })
    add(1, 1, 1)
    await turn(100)
    expect(posts.map(({ kind }) => kind)).toEqual(['empty'])
    end(1)
    finish()
    await turn(200)
    expect(said().filter((text) => text.startsWith('run '))).toEqual([
      'run other (01OTHER) finished: 1 number in 0 events = 1 point',
    ])
    expect(outcome()).toEqual({ complete: true, inMemory: false })
  })

  it('is let go when its delivery has not got on for 20 s, and waits in its journal', async () => {
    const exporter = new AwayExporter()
    const { begin, add, end, tell, said, stateDir } = startThread({ exporters: () => [exporter] })
    begin(0, runStart())
    add(0, 1, 3)
    end(0)
    await turn(5000)
    tell(0, { kind: 'leave' })
    const path = join(stateDir, '01TEST.sqlite')
    await turn(19_950)
    expect(readJournal(path).isHeld).toBe(true)
    await turn(50)
    expect(readJournal(path).isHeld).toBe(false)
    expect(said().at(-1)).toBe(`3 points wait in ${path}; to deliver them later: spanbridge sync ${path}`)
  })

  it('is kept for as long as its delivery gets on', async () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { points: 50, params: 100, tags: 100 }
    const { begin, add, end, tell, said, stateDir } = startThread({ exporters: () => [exporter] })
    // A batch in 15 s.
    let passedAt = performance.now() + 15_000
    exporter.onSend = (batch) => {
      if (batch.kind !== 'points') return { kind: 'ok' }
      if (performance.now() < passedAt) return { kind: 'retry', error: new Error('slow'), absent: true }
      passedAt = performance.now() + 15_000
      return { kind: 'ok' }
    }
    begin(0, runStart())
    add(0, 1, 150)
    end(0)
    tell(0, { kind: 'leave' })
    const path = join(stateDir, '01TEST.sqlite')
    await turn(35_000)
    expect([readJournal(path).isHeld, exporter.taken.length]).toEqual([true, 100])
    await turn(15_000)
    expect([readJournal(path).isHeld, exporter.taken.length]).toEqual([false, 150])
    expect(said().some((text) => text.includes('to deliver them later'))).toBe(false)
  })

  it('goes on in the same journal when its senders come again before it is let go', async () => {
    const exporters: AwayExporter[] = []
    const { begin, add, tell, said, stateDir, posts } = startThread({
      exporters: () => (exporters.push(new AwayExporter()), exporters.slice(-1)),
    })
    const shared = (run: string, identity: string): RunStart => runStart({ run, identity, startedAt: Date.now() })
    begin(0, shared('01A', 'a'))
    begin(1, shared('01B', 'b'))
    begin(2, shared('01C', 'a'))
    add(0, 1, 3)
    for (const run of [0, 1]) tell(run, { kind: 'leave' })
    await turn(1000)
    posts.length = 0
    begin(3, shared('01D', 'b'))
    add(3, 1, 2)
    await turn(100)
    const path = join(stateDir, '01B.sqlite')
    expect(said().filter((text) => !/^ |^nobody answers/.test(text))).toEqual([
      'run ppo (01B) running: 0 numbers in 0 events = 0 points',
      'memory memory:: 0 points delivered, 0 refused, 0 pending',
      `params, tags or the end wait in ${path}; to deliver them later: spanbridge sync ${path}`,
      'going on with the run ppo (01B): 0 points are in its journal',
    ])
    expect([readJournal(path).points, existsSync(join(stateDir, '01D.sqlite'))]).toEqual([2, false])
    // What was on its way to let go finds another one in its place.
    await turn(25_000)
    expect(readJournal(path).isHeld).toBe(true)
    expect(said().filter((text) => text.startsWith('run ppo (01B)'))).toHaveLength(1)
  })

  it('is not one that has not been left: another one of the same identity is a run of its own, and takes nothing from it', async () => {
    const { begin, add, posts, stateDir } = startThread()
    const shared = (run: string): RunStart => runStart({ run, identity: 'a', startedAt: Date.now() })
    begin(0, shared('01A'))
    await turn(100)
    begin(1, shared('01B'))
    add(0, 1, 3)
    add(1, 1, 2)
    await turn(7000)
    expect(posts).toContainEqual(opened(1, '01B'))
    const pointsOf = (run: string): number => readJournal(join(stateDir, `${run}.sqlite`)).points
    expect([pointsOf('01A'), pointsOf('01B')]).toEqual([3, 2])
  })

  it('that nobody else can mean is not taken for the next one', async () => {
    const { begin, tell, said, posts } = startThread({ exporters: () => [new AwayExporter()] })
    begin(0, runStart())
    tell(0, { kind: 'leave' })
    begin(1, runStart({ run: '01NEW' }))
    await turn(100)
    expect(posts).toContainEqual(opened(1, '01NEW'))
    expect(said().filter((text) => /^(going on|run)/.test(text))).toEqual([])
  })

  it('is left as soon as it is open, where it was left before', async () => {
    const stateDir = temporaryDirectory()
    const path = leaveBehind(stateDir, runStart(), 3)
    const exporter = new MemoryExporter()
    const { begin, tell, end } = startThread({ stateDir, exporters: () => [exporter] })
    begin(0, runStart(), path)
    end(0)
    tell(0, { kind: 'leave' })
    await turn(100)
    expect([stepsOf(exporter), readJournal(path).isHeld]).toEqual([steps(1, 3), false])
  })

  it('has its spans delivered, too, where their first rows found no room on the disk at once', async () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { spans: 100 }
    const { begin, tell, stateDir } = startThread({ exporters: () => [exporter] })
    begin(0, runStart())
    const path = join(stateDir, '01TEST.sqlite')
    const mend = fillCursors(path)
    addSpan(tell)
    tell(0, { kind: 'leave' })
    await turn(1000)
    expect(exporter.spans).toEqual([])
    mend()
    await turn(100)
    expect([exporter.spans.length, readJournal(path).isHeld]).toEqual([1, false])
  })
})
