import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { addSpan, AwayExporter, fillCursors, NotingExporter, startThread } from '../support/delivery-thread.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { chunkOf, countsOf, pointsFrom } from '../support/points.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

const COMPLETE = { complete: true, inMemory: false }
const INCOMPLETE = { complete: false, inMemory: false }

/** A destination that takes a batch of 50 points each `ms`, and fails in between. */
class SlowExporter extends MemoryExporter {
  constructor(ms: number) {
    super()
    this.accepts = { points: 50, params: 100, tags: 100 }
    let next = performance.now() + ms
    this.onSend = ({ kind }) => {
      if (kind !== 'points') return { kind: 'ok' }
      if (performance.now() < next) return { kind: 'retry', error: new Error('slow'), absent: true }
      next = performance.now() + ms
      return { kind: 'ok' }
    }
  }
}

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
    await turn(7000)
    expect([outcome(), slow.taken.length]).toEqual([null, 100])
    await turn(3000)
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

  it('is not complete while one of several runs is not delivered', async () => {
    const exporters = [new MemoryExporter(), new AwayExporter(), new MemoryExporter()]
    const left = [...exporters]
    const { begin, add, end, finish, outcome, stateDir } = startThread({
      exporters: () => left.splice(0, 1),
      settings: { 'shutdown.deadline': 1000 },
    })
    for (const run of [0, 1, 2]) {
      begin(run, runStart({ run: `01${run}` }))
      add(run, 1, 50)
      end(run)
    }
    finish()
    await turn(950)
    expect(outcome()).toBeNull()
    await turn(100)
    expect(outcome()).toEqual(INCOMPLETE)
    for (const run of [0, 1, 2])
      expect(readJournal(join(stateDir, `01${run}.sqlite`)), `run ${run}`).toMatchObject({ isHeld: false, points: 50 })
  })

  it('is not complete where the journal has dropped points before they were delivered', async () => {
    const exporter = new AwayExporter()
    const other = Object.assign(new MemoryExporter(), { name: 'other' })
    const left: MemoryExporter[][] = [[exporter, other], [new MemoryExporter()]]
    const { begin, add, tell, end, finish, outcome, said } = startThread({
      exporters: () => left.splice(0, 1).flat(),
      settings: { 'journal.maxRunBytes': 400_000 },
    })
    begin(0, runStart())
    begin(1, runStart({ run: '01OTHER' }))
    add(0, 1, 50)
    await turn(50)
    // It is looked at once a second, so that one of two destinations has them by then.
    for (let i = 0; i < 10; i += 1) add(0, 51 + i * 1000, 1000)
    await turn(1100)
    tell(0, { kind: 'params', params: [['seed', '7']] })
    await turn(100)
    exporter.isThere = true
    for (const run of [0, 1]) end(run)
    finish()
    await turn(15_000)
    expect(said().at(-1)).toContain('journal ')
    expect(outcome()).toEqual(INCOMPLETE)
    expect([exporter.taken.length < 10_050, other.taken.length]).toEqual([true, 10_050])
    expect(exporter.closedWith).toBe('FINISHED')
  })

  it('is not complete where the journal has been deleted, though all is delivered', async () => {
    const { begin, add, end, finish, outcome, said, stateDir } = startThread({
      exporters: () => [new MemoryExporter()],
    })
    begin(0, runStart())
    begin(1, runStart({ run: '01OTHER' }))
    for (const run of [0, 1]) add(run, 1, 50)
    await turn(100)
    const path = join(stateDir, '01TEST.sqlite')
    rmSync(path)
    for (const run of [0, 1]) end(run)
    finish()
    await turn(200)
    expect(said()).toContain(
      `the journal ${path} lacks points that are delivered: the disk was full, or it has been deleted`,
    )
    expect(outcome()).toEqual(INCOMPLETE)
  })

  it('is not complete where somebody has written into the journal', async () => {
    const { begin, add, end, finish, outcome, said, stateDir } = startThread({
      exporters: () => [new MemoryExporter()],
    })
    begin(0, runStart())
    add(0, 1, 3)
    await turn(1200)
    const path = join(stateDir, '01TEST.sqlite')
    const shell = new DatabaseSync(path)
    shell.exec("UPDATE meta SET value = '{' WHERE key = 'command'")
    shell.close()
    end(0)
    finish()
    await turn(200)
    expect(said().slice(-2)).toEqual([
      `the account of the run in ${path} cannot be read (${path} is damaged: expected a list of words as its command)`,
      `the journal ${path} is damaged (${path} is damaged: expected a list of words as its command): what is not delivered of the run is lost`,
    ])
    expect(outcome()).toEqual(INCOMPLETE)
  })

  it.each([true, false])(
    'with a disk that is full keeps the end of a run on it, if it is delivered: %s',
    async (isThere) => {
      const exporter = new AwayExporter()
      exporter.isThere = isThere
      const { begin, add, end, finish, outcome, said, stateDir } = startThread({
        exporters: () => [exporter],
        settings: { 'shutdown.deadline': 500 },
      })
      begin(0, runStart())
      const path = join(stateDir, '01TEST.sqlite')
      const shell = new DatabaseSync(path)
      shell.exec(
        `CREATE TRIGGER full BEFORE INSERT ON blocks BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`,
      )
      shell.close()
      add(0, 1, 3)
      end(0)
      finish()
      await turn(1000)
      expect(readJournal(path)).toMatchObject({ status: isThere ? 'finished' : 'interrupted', isHeld: false })
      expect(said().at(-1)).toBe(
        isThere
          ? `the journal ${path} lacks points that are delivered: the disk was full, or it has been deleted`
          : `3 points kept in memory only: lost, for there is no journal of them in ${path}`,
      )
      expect(outcome()).toEqual(INCOMPLETE)
    },
  )
})

describe('a stop', () => {
  it('commits, tells the account and ends at once, and once', async () => {
    const { thread, begin, add, end, said, kinds, outcome, stateDir } = startThread({
      exporters: () => [new AwayExporter()],
    })
    begin(0, runStart())
    thread.take({ kind: 'begin' })
    add(0, 1, 3)
    end(0)
    thread.take({ kind: 'stop' })
    const path = join(stateDir, '01TEST.sqlite')
    expect(readJournal(path)).toMatchObject({ points: 3, status: 'finished' })
    thread.take({ kind: 'stop' })
    await turn(0)
    expect(outcome()).toEqual(INCOMPLETE)
    expect(readJournal(path).isHeld).toBe(false)
    await turn(30_000)
    expect(kinds().filter((kind) => kind === 'finished')).toHaveLength(1)
    expect(said().filter((text) => text.startsWith('run '))).toEqual([
      'run ppo (01TEST) finished: 3 numbers in 0 events = 3 points',
    ])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('during the end of the input cuts it short', async () => {
    const { thread, begin, add, finish, kinds } = startThread({
      exporters: () => [new AwayExporter()],
      settings: { wait: true },
    })
    begin(0, runStart())
    add(0, 1, 3)
    finish()
    await turn(1000)
    thread.take({ kind: 'stop' })
    await turn(1000)
    expect(kinds().filter((kind) => kind === 'finished')).toHaveLength(1)
  })

  it('tells the account of a run that was being let go once', async () => {
    const { thread, begin, add, tell, said } = startThread({ exporters: () => [new AwayExporter()] })
    begin(0, runStart())
    add(0, 1, 3)
    tell(0, { kind: 'leave' })
    await turn(500)
    thread.take({ kind: 'stop' })
    await turn(30_000)
    expect(said().filter((text) => text.startsWith('run '))).toHaveLength(1)
  })
})

describe('a journal that is taken up to be delivered', () => {
  const make = (end: boolean): string => {
    const path = join(temporaryDirectory(), '01OLD.sqlite')
    const journal = RunJournal.create(path, runStart({ run: '01OLD', name: 'old' }))
    journal.addSeries(0, 'loss')
    journal.addPoints(chunkOf(pointsFrom(1, 3)), 3, countsOf(3))
    if (end) journal.setEnd('FAILED', 77)
    journal.commit()
    journal.close()
    return path
  }

  it.each([
    [false, 'KILLED', 'take-over', 10_003],
    [true, 'FAILED', null, 77],
  ])('has its own end, or that of a run that was killed (ended: %s)', async (ended, status, closedBy, endedAt) => {
    const path = make(ended)
    const exporter = new NotingExporter()
    const { thread, finish, outcome, posts } = startThread({ exporters: () => [exporter] })
    await thread.open(path)
    expect(posts[0]).toEqual({ kind: 'opened', run: 0, ulid: '01OLD', spans: [], waiting: [] })
    finish()
    await turn(100)
    expect([outcome(), exporter.taken, exporter.closedWith, exporter.reopened]).toEqual([
      COMPLETE,
      ['loss@1', 'loss@2', 'loss@3'],
      status,
      [false],
    ])
    expect(readJournal(path)).toMatchObject({ status: status.toLowerCase(), closedBy, endedAt, isHeld: false })
  })

  it('is refused, and nobody holds it, where it is none or cannot be read', async () => {
    const text = join(temporaryDirectory(), 'x.sqlite')
    writeFileSync(text, 'no database')
    const { thread } = startThread({ exporters: () => [new MemoryExporter()] })
    await expect(thread.open(text)).rejects.toThrow('file is not a database')
    const damaged = make(true)
    const database = new DatabaseSync(damaged)
    database.exec("INSERT INTO destinations (exporter, address, target) VALUES ('memory', 'memory:', '[1]')")
    const { thread: another } = startThread({ exporters: () => [new MemoryExporter()] })
    await expect(another.open(damaged)).rejects.toThrow(
      `${damaged} is damaged: expected names with texts as the target of a destination`,
    )
    new JournalLock(lockOf(damaged), 0).release()
    // Nor is the file open: another one can have it for itself.
    database.exec('PRAGMA journal_mode = DELETE')
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' })
    database.close()
  })
})
