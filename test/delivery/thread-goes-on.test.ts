import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { FromDelivery } from '../../src/channel/messages.ts'
import { accountOf } from '../../src/delivery/account.ts'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { leaveBehind, NotingExporter, opened, startThread, stepsOf } from '../support/delivery-thread.ts'
import { steps } from '../support/journal.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

describe('a run that goes on', () => {
  beforeEach(stopTime)
  afterEach(() => void vi.useRealTimers())

  it('is opened with its newest spans and what waits, takes back its end, and adds new params', async () => {
    const stateDir = temporaryDirectory()
    const path = leaveBehind(stateDir, runStart(), 1000, 9)
    const exporter = new NotingExporter()
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
        marks: [],
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
    // It has not come to its end: a few points wait for others.
    add(0, 1006, 3)
    await turn(500)
    expect(exporter.taken).toHaveLength(1005)
    await turn(1000)
    expect(exporter.taken).toHaveLength(1008)
    expect(readJournal(path)).toMatchObject({ status: 'running', endedAt: null, isHeld: true, points: 1008 })
    expect([exporter.reopened, existsSync(join(stateDir, '01NEW.sqlite'))]).toEqual([[true], false])
  })

  it.each([
    ['that goes on', 'is told how far it has read its files', 'file', '01OLD', [['1:2', 'so far']]],
    [
      'that follows one which has ended long ago',
      'is told how far that has read the same files',
      'file',
      '01NEW',
      [['1:2', 'so far']],
    ],
    ['of the network', 'knows no files', 'network', '01NEW', []],
  ])('of files %s %s', async (which, _says, source, ulid, marks) => {
    const stateDir = temporaryDirectory()
    const start = runStart({ run: '01OLD', source, identity: 'file:["/a"]' })
    const journal = RunJournal.open(leaveBehind(stateDir, start, 3))
    journal.addMarks([['1:2', 'so far']])
    if (which !== 'that goes on') journal.setEnd('FINISHED', 8)
    journal.commit(1000)
    journal.close()
    const { begin, posts } = startThread({ stateDir })
    begin(0, { ...start, run: '01NEW' })
    await turn(0)
    expect(posts.find(({ kind }) => kind === 'opened')).toMatchObject({ ulid, marks })
  })

  it('goes to where the settings say now', async () => {
    const stateDir = temporaryDirectory()
    const path = leaveBehind(stateDir, runStart(), 3)
    const [before, now] = ['before', 'now'].map((run) => Object.assign(new NotingExporter(), { target: { run } }))
    const journal = RunJournal.open(path)
    accountOf(journal, before!)
    journal.close()
    const { begin } = startThread({ stateDir, exporters: () => [now!] })
    begin(0, runStart(), path)
    await turn(0)
    expect(now!.targets).toEqual([{ run: 'now' }])
  })

  it('begins anew, and says why, where another process holds it, and loses nothing that came meanwhile', async () => {
    const stateDir = temporaryDirectory()
    const path = leaveBehind(stateDir, runStart({ run: '01OLD' }), 3)
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
    const path = leaveBehind(stateDir, runStart(), 50)
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
      // A run that nobody else can mean is nobody's.
      leaveBehind(stateDir, runStart({ run: '01A' }), 1, null)
      leaveBehind(stateDir, runStart({ ...shared, run: '01B' }), 2, ended ? at : null)
      leaveBehind(stateDir, runStart({ ...shared, identity: 'another', run: '01C' }), 3, null)
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
    leaveBehind(stateDir, runStart({ ...shared, run: '01B' }), 2, now)
    const { begin, said } = startThread({ stateDir })
    begin(0, runStart({ ...shared, run: '01D' }))
    await turn(0)
    expect(said()).toEqual(['going on with the run ppo (01B): 2 points are in its journal'])
  })
})
