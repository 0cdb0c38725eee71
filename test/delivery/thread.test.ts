import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { accountOf } from '../../src/delivery/account.ts'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { isLocked } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { leaveBehind, NotingExporter, opened, startThread, stepsOf } from '../support/delivery-thread.ts'
import { steps } from '../support/journal.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

describe('the delivery thread', () => {
  beforeEach(stopTime)
  afterEach(() => void vi.useRealTimers())

  it('opens the journal of a run that begins, says so, and is ready from the first one on', () => {
    const { begin, posts, stateDir } = startThread()
    begin(0, runStart())
    const path = join(stateDir, '01TEST.sqlite')
    expect(posts).toEqual([opened(0, '01TEST'), { kind: 'ready' }])
    expect([readJournal(path).name, isLocked(lockOf(path))]).toEqual(['ppo', true])
    begin(1, runStart({ run: '01OTHER' }))
    expect(posts.slice(2)).toEqual([opened(1, '01OTHER')])
  })

  it('is ready before any run has begun when it is told that many may come', () => {
    const { thread, begin, posts } = startThread()
    thread.take({ kind: 'open' })
    expect(posts).toEqual([{ kind: 'ready' }])
    thread.take({ kind: 'open' })
    begin(0, runStart())
    expect(posts).toEqual([{ kind: 'ready' }, opened(0, '01TEST')])
  })

  it('commits what comes of each run to its own journal, gives the buffers back, and delivers it', async () => {
    const exporters: NotingExporter[] = []
    const named: (string | null)[] = []
    const { thread, begin, add, tell, posts, transfers, vias } = startThread({
      exporters: (trackerRun) => {
        named.push(trackerRun)
        const exporter = new NotingExporter()
        exporters.push(exporter)
        return [exporter]
      },
    })
    begin(0, runStart())
    begin(1, runStart({ run: '01OTHER', trackerRun: 'abc' }))
    posts.length = transfers.length = 0
    add(0, 1, 50)
    add(1, 1, 60)
    // Of a run that nobody has heard of.
    tell(7, { kind: 'params', params: [['a', 'b']] })
    thread.take({ kind: 'barrier', id: 3, runs: [0, 1] })
    thread.take({ kind: 'via', via: 'another' })
    await turn(50)
    const empty = { kind: 'empty', buffers: [expect.any(ArrayBuffer)] }
    expect(posts.filter(({ kind }) => kind !== 'say')).toEqual([
      empty,
      empty,
      { kind: 'committed', id: 3, durable: true },
    ])
    expect(transfers.filter((each) => each !== undefined)).toHaveLength(2)
    expect([named.slice(0, 2), vias]).toEqual([[null, 'abc'], ['another']])
    await turn(0)
    expect([stepsOf(exporters[0]!), stepsOf(exporters[1]!)]).toEqual([steps(1, 50), steps(1, 60)])
    expect(exporters[0]!.reopened).toEqual([false])
  })

  it('commits together what comes between begin and complete', async () => {
    const { thread, begin, add, kinds } = startThread()
    begin(0, runStart())
    thread.take({ kind: 'begin' })
    add(0, 1, 1)
    await turn(300)
    expect(kinds()).not.toContain('empty')
    thread.take({ kind: 'complete' })
    await turn(50)
    expect(kinds()).toContain('empty')
  })

  it('drops the oldest points of a run that has reached journal.maxRunBytes', async () => {
    const { begin, add, said, stateDir } = startThread({ settings: { 'journal.maxRunBytes': 100_000 } })
    begin(0, runStart())
    add(0, 1, 1000)
    await turn(1500)
    const path = join(stateDir, '01TEST.sqlite')
    expect(said()).toEqual([
      `the journal ${path} has reached journal.maxRunBytes (0.1 MB): its oldest points and spans are dropped from now on; those that are delivered are no loss`,
    ])
  })

  it('keeps a run in the journal, and says why, when a destination cannot be set up', async () => {
    const { begin, add, end, finish, said, outcome, stateDir } = startThread({
      exporters: () => {
        throw new Error('the file ca.pem cannot be read')
      },
    })
    begin(0, runStart())
    add(0, 1, 3)
    end(0)
    finish()
    await turn(200)
    expect(said()[0]).toBe(
      "nothing is delivered: the file ca.pem cannot be read. The run is kept in the journal; mend the setting and 'spanbridge sync' it.",
    )
    expect(outcome()).toEqual({ complete: true, inMemory: false })
    expect(readJournal(join(stateDir, '01TEST.sqlite'))).toMatchObject({ points: 3, destinations: [] })
  })

  it('keeps runs in memory, and says so, where no journal can be made, and delivers them', async () => {
    const stateDir = join(temporaryDirectory(), 'file')
    writeFileSync(stateDir, '')
    const exporters: MemoryExporter[] = []
    const { begin, add, end, finish, said, kinds, outcome, thread, posts } = startThread({
      stateDir,
      exporters: () => (exporters.push(new MemoryExporter()), exporters.slice(-1)),
    })
    begin(0, runStart())
    expect(kinds()).toEqual(['say', 'opened', 'ready'])
    add(0, 1, 50)
    thread.take({ kind: 'barrier', id: 1, runs: [0] })
    await turn(100)
    expect(posts).toContainEqual({ kind: 'committed', id: 1, durable: false })
    end(0)
    finish()
    await turn(200)
    expect(said()).toEqual([
      `no journal can be kept in ${stateDir} (${stateDir} is a file, not a directory); 64 MB of points are kept in memory instead and are gone when this process is. Set --state-dir to a directory that can be written.`,
      'memory: run r1 · memory:r1',
      'run ppo (01TEST) finished: 50 numbers in 0 events = 50 points',
      '    metric  last  min  max  at step',
      expect.stringContaining('Loss      25  0.5   25       50'),
      'memory memory:: 50 points delivered, 0 refused, 0 pending · memory:r1',
    ])
    expect(outcome()).toEqual({ complete: true, inMemory: true })
    // Nothing else is looked for in a directory that is none.
    expect([exporters.length, stepsOf(exporters[0]!)]).toEqual([1, steps(1, 50)])
  })

  it('holds no lock of a journal that could not be made', () => {
    const stateDir = temporaryDirectory()
    mkdirSync(join(stateDir, '01TEST.sqlite'))
    const { begin, said } = startThread({ stateDir })
    begin(0, runStart())
    expect(said()[0]).toContain(`no journal can be kept in ${stateDir} (unable to open database file); 64 MB`)
    expect(isLocked(join(stateDir, '01TEST.lock'))).toBe(false)
  })

  it('delivers beside its own what earlier processes have left, when it is ready', async () => {
    const stateDir = temporaryDirectory()
    const path = leaveBehind(stateDir, runStart({ run: '01OLD', name: 'old' }), 7, 9)
    const awaited = leaveBehind(stateDir, runStart({ run: '01SHARED', name: 'shared', identity: 'a', startedAt: 5 }), 8)
    for (const each of [path, awaited]) {
      const journal = RunJournal.open(each)
      accountOf(journal, new MemoryExporter())
      if (each === awaited) journal.run("UPDATE meta SET value = ? WHERE key = 'lastAt'", String(Date.now() - 50_000))
      journal.close()
    }
    const named: (string | null)[] = []
    const { thread, said } = startThread({
      stateDir,
      settings: { 'runs.idle': 60_000 },
      exporters: (trackerRun) => (named.push(trackerRun), [new MemoryExporter()]),
    })
    thread.take({ kind: 'open' })
    await turn(1000)
    expect(said()).toEqual([
      'taking up the run old (01OLD) that an earlier process left: 7 points to deliver',
      'the run old (01OLD) of the earlier process is delivered',
      'taking up the run shared (01SHARED) that an earlier process left: 8 points to deliver',
      'the run shared (01SHARED) of the earlier process is delivered',
    ])
    // Its senders may come again for a minute: until then it has not ended.
    expect([readJournal(awaited).endedAt, readJournal(path).destinations[0]!.ended]).toEqual([null, true])
    expect(named.every((each) => each === null)).toBe(true)
    await turn(21_000)
    expect(readJournal(awaited)).toMatchObject({ status: 'finished', closedBy: 'take-over' })
  })

  it('keeps the journals of its directory within journal.maxAge and journal.maxBytes', async () => {
    const stateDir = temporaryDirectory()
    const [old, young] = ['01OLD', '01YOUNG'].map((run) => leaveBehind(stateDir, runStart({ run, name: run }), 1000, 9))
    for (const each of [old!, young!]) {
      const journal = RunJournal.open(each)
      const account = accountOf(journal, new MemoryExporter())
      account.moved('points', { ...account.cursor('points'), position: 1000, delivered: 1000 }, [], new Map())
      for (const kind of ['params', 'tags'] as const) {
        const cursor = { ...account.cursor(kind), position: 1, delivered: 1 }
        account.moved(kind, cursor, [], new Map())
      }
      account.ended()
      journal.close()
    }
    utimesSync(old!, 1000, 1000)
    const settings = { 'journal.maxAge': 86_400_000, 'journal.maxBytes': 10_000 }
    const { thread, said } = startThread({ stateDir, settings })
    thread.take({ kind: 'open' })
    await turn(500)
    expect(said()).toEqual([
      'the run 01OLD (01OLD) is deleted: see journal.maxAge',
      'the journals have reached journal.maxBytes: the points and spans of the run 01YOUNG (01YOUNG) are dropped; all of them are delivered',
      `the journals in ${stateDir} take 0 MB, journal.maxBytes is 0 MB, and none is left that could be emptied`,
    ])
    expect(readdirSync(stateDir).filter((name) => name.startsWith('01OLD'))).toEqual([])
  })
})
