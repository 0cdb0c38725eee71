import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { FromDelivery, RunStart } from '../../src/channel/messages.ts'
import { accountOf } from '../../src/delivery/account.ts'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { isLocked, JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { AwayExporter, startThread } from '../support/delivery-thread.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { chunkOf, countsOf, pointsFrom } from '../support/points.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

const opened = (run: number, ulid: string): FromDelivery => ({ kind: 'opened', run, ulid, spans: [], waiting: [] })

/** What an earlier process has left: a run with points, one span and one that waits; ended where `end` says so. */
function leave(stateDir: string, start: RunStart, points: number, end: number | null = null): string {
  const path = join(stateDir, `${start.run}.sqlite`)
  const journal = RunJournal.create(path, start)
  journal.addSeries(0, 'loss')
  journal.addPoints(chunkOf(pointsFrom(1, points)), points, countsOf(points))
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  journal.addSpans({ bytes: new Uint8Array([0x2a, 1, 0x61]), ends: Uint32Array.of(3), heads: Uint32Array.of(0) })
  journal.addWaiting([{ id: 4, since: 5, numbers: 1, span: 'ab', part: -1, body: null }])
  if (end !== null) journal.setEnd('FINISHED', end)
  journal.commit(end)
  journal.close()
  return path
}

const stepsOf = ({ taken }: MemoryExporter): number[] => taken.map((each) => Number(each.split('@')[1]))
const steps = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)

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
    const exporters: MemoryExporter[] = []
    const named: (string | null)[] = []
    const { thread, begin, add, tell, posts, transfers, vias } = startThread({
      exporters: (trackerRun) => {
        named.push(trackerRun)
        const exporter = new MemoryExporter()
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
    const path = leave(stateDir, runStart({ run: '01OLD', name: 'old' }), 7, 9)
    const awaited = leave(stateDir, runStart({ run: '01SHARED', name: 'shared', identity: 'a', startedAt: 5 }), 8)
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
    const [old, young] = ['01OLD', '01YOUNG'].map((run) => leave(stateDir, runStart({ run, name: run }), 1000, 9))
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

describe('a run that goes on', () => {
  beforeEach(stopTime)
  afterEach(() => void vi.useRealTimers())

  it('is opened with its newest spans and what waits, takes back its end, and adds new params', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, runStart(), 1000, 9)
    const exporter = new MemoryExporter()
    const { begin, add, tell, posts, transfers, said } = startThread({ stateDir, exporters: () => [exporter] })
    begin(0, runStart({ run: '01NEW', params: [['seed', '7']] }), path)
    add(0, 1001, 5)
    await turn(0)
    expect(said()[0]).toBe('going on with the run ppo (01TEST): 1,000 points are in its journal')
    expect(posts.slice(1, 3)).toEqual([
      {
        kind: 'opened',
        run: 0,
        ulid: '01TEST',
        spans: [expect.any(Uint8Array)],
        waiting: [{ id: 4, since: 5, numbers: 1, span: 'ab', part: -1, body: null }],
      },
      { kind: 'ready' },
    ])
    const told = posts[1] as Extract<FromDelivery, { kind: 'opened' }>
    expect(transfers[1]).toEqual([told.spans[0]!.buffer])
    expect([...told.spans[0]!].slice(-3)).toEqual([0x2a, 1, 0x61])
    tell(0, { kind: 'settled', ids: [4] })
    await turn(1200)
    expect(stepsOf(exporter)).toEqual(steps(1, 1005))
    expect(exporter.texts).toEqual(['lr=1', 'team=rl', 'seed=7'])
    expect(readJournal(path)).toMatchObject({ status: 'running', endedAt: null, isHeld: true, points: 1005 })
    expect(existsSync(join(stateDir, '01NEW.sqlite'))).toBe(false)
  })

  it('begins anew, and says why, where another process holds it, and loses nothing that came meanwhile', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, runStart({ run: '01OLD' }), 3)
    const lock = new JournalLock(lockOf(path))
    onTestFinished(() => lock.release())
    const { thread, begin, add, said, kinds, posts } = startThread({ stateDir })
    begin(0, runStart(), path)
    add(0, 1, 5)
    thread.take({ kind: 'barrier', id: 1, runs: [0] })
    await turn(4750)
    expect(posts).toEqual([])
    await turn(50)
    expect(said()).toEqual([`${path} cannot be resumed (another spanbridge is running it); a new run begins instead`])
    expect(posts.slice(1, 3)).toEqual([opened(0, '01TEST'), { kind: 'ready' }])
    await turn(50)
    expect(kinds().slice(3)).toEqual(['empty', 'committed'])
    expect(readJournal(join(stateDir, '01TEST.sqlite')).points).toBe(5)
  })

  it('begins anew where there is no journal of it', async () => {
    const { begin, said, posts, stateDir } = startThread()
    const path = join(stateDir, 'no.sqlite')
    writeFileSync(path, 'no database')
    begin(0, runStart(), path)
    await turn(0)
    expect(said()).toEqual([`${path} cannot be resumed (file is not a database); a new run begins instead`])
    expect(posts[1]).toEqual(opened(0, '01TEST'))
  })

  it('keeps its first rows of the destinations in memory while they do not fit on the disk', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, runStart(), 50)
    const journal = RunJournal.open(path)
    journal.run(
      `CREATE TRIGGER full BEFORE INSERT ON destinations BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`,
    )
    journal.close()
    const named: (string | null)[] = []
    const exporter = new MemoryExporter()
    const { begin, said } = startThread({ stateDir, exporters: (run) => (named.push(run), [exporter]) })
    begin(0, runStart(), path)
    await turn(100)
    expect(said()).toContain(
      `the journal ${path} cannot be written (database or disk is full); up to 64 MB of points are kept in memory meanwhile, and senders of OTLP are told to come again. Is the disk full? It is tried again each second.`,
    )
    expect([stepsOf(exporter), named.slice(0, 2)]).toEqual([steps(1, 50), [null, null]])
  })

  it('is the newest one of its identity that has not ended, or heard of something lately', async () => {
    const now = Date.now()
    const shared = { identity: 'trainer', startedAt: now - 120_000 }
    const newest = (at: number, ended: boolean, identity: string | null = 'trainer'): string => {
      const stateDir = temporaryDirectory()
      leave(stateDir, runStart({ ...shared, run: '01B' }), 2, ended ? at : null)
      leave(stateDir, runStart({ ...shared, identity: 'another', run: '01C' }), 3, null)
      const { begin, posts } = startThread({ stateDir, settings: { 'runs.idle': 60_000 } })
      begin(0, runStart({ ...shared, identity, run: '01D' }))
      return (posts.find(({ kind }) => kind === 'opened') as { ulid?: string } | undefined)?.ulid ?? 'waits'
    }
    expect([
      newest(now - 59_999, true),
      newest(now - 60_000, true),
      newest(0, false),
      newest(now, true, 'nobody'),
      newest(now, true, null),
    ]).toEqual(['waits', '01D', 'waits', '01D', '01D'])
    const stateDir = temporaryDirectory()
    leave(stateDir, runStart({ ...shared, run: '01B' }), 2, now)
    const { begin, said } = startThread({ stateDir })
    begin(0, runStart({ ...shared, run: '01D' }))
    await turn(0)
    expect(said()).toEqual(['going on with the run ppo (01B): 2 points are in its journal'])
  })
})

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
    const { begin, add, end, tell, stateDir } = startThread({ exporters: () => [exporter] })
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

  it('is left as soon as it is open, where it was left before', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, runStart(), 3)
    const exporter = new MemoryExporter()
    const { begin, tell, end } = startThread({ stateDir, exporters: () => [exporter] })
    begin(0, runStart(), path)
    end(0)
    tell(0, { kind: 'leave' })
    await turn(100)
    expect([stepsOf(exporter), readJournal(path).isHeld]).toEqual([steps(1, 3), false])
  })
})
