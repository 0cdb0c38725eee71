import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { addSpan, AwayExporter, fillCursors, SlowExporter, startThread } from '../support/delivery-thread.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

const COMPLETE = { complete: true, inMemory: false }
const INCOMPLETE = { complete: false, inMemory: false }

beforeEach(stopTime)
afterEach(() => void vi.useRealTimers())

describe('the end of the input', () => {
  it('commits and delivers what waits, ends the run there, tells the account, and lets go of the journal', async () => {
    const exporter = new MemoryExporter()
    const { begin, add, end, finish, said, posts, outcome, stateDir } = startThread({ exporters: () => [exporter] })
    const path = join(stateDir, '01TEST.sqlite')
    begin(0, runStart())
    add(0, 1, 3)
    end(0)
    expect(readJournal(path).points).toBe(0)
    finish()
    expect(readJournal(path)).toMatchObject({ points: 3, status: 'finished' })
    await turn(100)
    expect(said()).toEqual([
      'memory: run r1 · memory:r1',
      'run ppo (01TEST) finished: 3 numbers in 0 events = 3 points',
      '    metric  last  min  max  at step',
      '    Loss     1.5  0.5  1.5        3  ▁▅█',
      'memory memory:: 3 points delivered, 0 refused, 0 pending · memory:r1',
      `journal ${path}`,
    ])
    expect([outcome(), exporter.closedWith, readJournal(path).isHeld]).toEqual([COMPLETE, 'FINISHED', false])
    await turn(20_000)
    expect(posts.at(-1)).toEqual({ kind: 'finished', outcome: COMPLETE })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is reached at once where there is no run', async () => {
    const { finish, outcome } = startThread()
    finish()
    await turn(0)
    expect(outcome()).toEqual(COMPLETE)
  })

  it('comes after shutdown.deadline without progress, and says how to deliver the rest', async () => {
    const exporter = new AwayExporter()
    const { begin, add, finish, said, outcome, stateDir } = startThread({
      exporters: () => [exporter],
      settings: { 'shutdown.deadline': 3000 },
    })
    begin(0, runStart())
    add(0, 1, 3)
    await turn(5000)
    finish()
    await turn(2950)
    expect(outcome()).toBeNull()
    await turn(50)
    expect(outcome()).toEqual(INCOMPLETE)
    const path = join(stateDir, '01TEST.sqlite')
    expect(said().slice(-2)).toEqual([
      'memory memory:: 0 points delivered, 0 refused, 3 pending · nobody answers',
      `3 points wait in ${path}; to deliver them later: spanbridge sync ${path}`,
    ])
  })

  it('waits longer than shutdown.deadline for a delivery that gets on', async () => {
    const slow = new SlowExporter(2500)
    const left = [slow, new MemoryExporter()]
    const { begin, add, end, finish, outcome } = startThread({
      exporters: () => left.splice(0, 1),
      settings: { 'shutdown.deadline': 4500 },
    })
    begin(0, runStart())
    begin(1, runStart({ run: '01OTHER' }))
    add(0, 1, 150)
    for (const run of [0, 1]) end(run)
    finish()
    await turn(7400)
    expect([outcome(), slow.taken.length]).toEqual([null, 100])
    await turn(4600)
    expect([outcome(), slow.taken.length]).toEqual([COMPLETE, 150])
  })

  it('is waited for without a limit where that is wanted', async () => {
    const exporter = new AwayExporter()
    const { begin, add, end, finish, outcome } = startThread({
      exporters: () => [exporter],
      settings: { wait: true, 'shutdown.deadline': 1000 },
    })
    begin(0, runStart())
    add(0, 1, 3)
    end(0)
    finish()
    await turn(15_000)
    expect(outcome()).toBeNull()
    exporter.isThere = true
    await turn(3000)
    expect([outcome(), exporter.taken.length]).toEqual([COMPLETE, 3])
  })

  it('comes when its limit is over, whatever the settings say, and a later limit counts from the first', async () => {
    const limited = (settings: object): ReturnType<typeof startThread> => {
      const thread = startThread({ exporters: () => [new AwayExporter()], settings })
      thread.begin(0, runStart())
      thread.add(0, 1, 3)
      return thread
    }
    const patient = limited({ wait: true })
    const hasty = limited({ 'shutdown.deadline': 100 })
    const shortened = limited({ wait: true })
    await turn(3000)
    patient.finish(2000)
    hasty.finish(2000)
    shortened.finish()
    await turn(1000)
    shortened.finish(1500)
    await turn(450)
    expect(shortened.outcome()).toBeNull()
    await turn(50)
    expect(shortened.outcome()).toEqual(INCOMPLETE)
    await turn(450)
    expect([patient.outcome(), hasty.outcome()]).toEqual([null, null])
    await turn(50)
    expect([patient.outcome(), hasty.outcome()]).toEqual([INCOMPLETE, INCOMPLETE])
  })

  it('waits for a run that is still being opened, and delivers it', async () => {
    const stateDir = temporaryDirectory()
    const path = join(stateDir, '01OLD.sqlite')
    RunJournal.create(path, runStart({ run: '01OLD' })).close()
    const lock = new JournalLock(lockOf(path))
    const exporters: MemoryExporter[] = []
    const { begin, add, end, finish, outcome } = startThread({
      stateDir,
      exporters: () => (exporters.push(new MemoryExporter()), exporters.slice(-1)),
    })
    begin(0, runStart({ run: '01A' }))
    begin(1, runStart(), path)
    add(1, 1, 3)
    end(1)
    finish()
    await turn(1000)
    expect(outcome()).toBeNull()
    lock.release()
    await turn(250)
    // 3 points would wait a second for others.
    expect([outcome(), exporters[1]!.taken.length, exporters[1]!.closedWith]).toEqual([COMPLETE, 3, 'FINISHED'])
  })

  it('that comes while nothing can be opened is over after shutdown.deadline, too', async () => {
    const stateDir = temporaryDirectory()
    const path = join(stateDir, '01OLD.sqlite')
    RunJournal.create(path, runStart({ run: '01OLD' })).close()
    const lock = new JournalLock(lockOf(path))
    onTestFinished(() => lock.release())
    const { begin, finish, outcome } = startThread({ stateDir, settings: { 'shutdown.deadline': 1000 } })
    begin(0, runStart(), path)
    finish()
    await turn(950)
    expect(outcome()).toBeNull()
    await turn(50)
    expect(outcome()).toEqual(INCOMPLETE)
  })

  it('waits for spans whose first rows found no room on the disk at once', async () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { spans: 100 }
    const { begin, tell, finish, outcome, stateDir } = startThread({ exporters: () => [exporter] })
    begin(0, runStart())
    const mend = fillCursors(join(stateDir, '01TEST.sqlite'))
    addSpan(tell)
    finish()
    await turn(1000)
    expect([exporter.spans, outcome()]).toEqual([[], null])
    mend()
    await turn(100)
    expect([exporter.spans.length, outcome()]).toEqual([1, COMPLETE])
  })
})
