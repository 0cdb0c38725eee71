import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { AwayExporter, NotingExporter, leaveBehind, startThread } from '../support/delivery-thread.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { chunkOf, countsOf, pointsFrom } from '../support/points.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

const COMPLETE = { complete: true, inMemory: false }
const INCOMPLETE = { complete: false, inMemory: false }

beforeEach(stopTime)
afterEach(() => void vi.useRealTimers())

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
    expect(vi.getTimerCount()).toBe(0)
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
    expect(posts[0]).toEqual({ kind: 'opened', run: 0, ulid: '01OLD', spans: [], waiting: [], marks: [] })
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

  it('is the only one: what others have left beside it stays there', async () => {
    const stateDir = temporaryDirectory()
    const [path, other] = ['01OLD', '01OTHER'].map((run) => leaveBehind(stateDir, runStart({ run }), 3, 9))
    const exporters: NotingExporter[] = []
    const { thread, finish } = startThread({
      stateDir,
      exporters: () => (exporters.push(new NotingExporter()), exporters.slice(-1)),
    })
    await thread.open(path!)
    await turn(60_000)
    finish()
    await turn(100)
    expect(exporters.map(({ taken }) => taken.length)).toEqual([3])
    expect(readJournal(other!)).toMatchObject({ destinations: [], isHeld: false })
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
