import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CHUNK_POINTS, columnsOf } from '../../src/channel/chunk.ts'
import {
  DeliveredRun,
  lockOf,
  removeEmpty,
  setAside,
  takeJournal,
  wantJournal,
  type RunOptions,
} from '../../src/delivery/run.ts'
import type { OpenResult } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { isBusy, isLocked, JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, POINTS, SPANS } from '../../src/telemetry/counters.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { openFiles } from '../support/open-files.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const counted = (counter: number, n: number): Float64Array =>
  Float64Array.from(COUNTERS, (_, i) => (i === counter ? n : 0))

/** Commits `count` points. */
function addPoints(journal: RunJournal, count: number): void {
  const buffer = new ArrayBuffer(CHUNK_POINTS * 28)
  columnsOf(buffer, CHUNK_POINTS).step.forEach((_, i, step) => (step[i] = journal.points + i + 1))
  if (journal.keys.length === 0) journal.addSeries(0, 'loss')
  journal.addPoints(buffer, count, counted(POINTS, count))
  journal.commit()
}

function addSpan(journal: RunJournal): void {
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  journal.addSpans({ bytes: new Uint8Array([0x2a, 1, 0x61]), ends: Uint32Array.of(3), heads: Uint32Array.of(0) })
  journal.addCounts(counted(SPANS, 1))
  journal.commit()
}

const ofSpans = (rest: { name?: string; after?: string } = {}): MemoryExporter =>
  Object.assign(new MemoryExporter(), { accepts: { spans: 100 } }, rest as { name: 'memory' })

/** A run with these destinations. */
function deliver(exporters: readonly MemoryExporter[], rest: Partial<RunOptions> & { isInMemory?: boolean } = {}) {
  const path = rest.isInMemory ? ':memory:' : join(temporaryDirectory(), 'x.sqlite')
  const journal = RunJournal.create(path, runStart(), rest.isInMemory ? 1 << 20 : null)
  const clock = new ManualClock()
  const options = { journal, lock: null, exporters, isOrphan: false, reopen: false, clock, say: () => {} }
  const run = new DeliveredRun({ ...options, ...rest })
  onTestFinished(async () => {
    await run.stop()
    run.close()
  })
  return { path, journal, run, clock }
}

describe('a run', () => {
  it('is complete when every destination has all of it and its end', async () => {
    const [fast, slow] = [new MemoryExporter(), Object.assign(new MemoryExporter(), { name: 'slow' as 'memory' })]
    const { journal, run, clock } = deliver([fast, slow])
    let answer: (() => void) | null = null
    slow.onSend = (batch) =>
      batch.kind === 'points' ? new Promise((resolve) => (answer = () => resolve({ kind: 'ok' }))) : { kind: 'ok' }
    addPoints(journal, 60)
    journal.setEnd('FINISHED', 9)
    journal.commit()
    run.wake()
    run.drain()
    await clock.turn(0)
    expect([fast.taken.length, fast.closedWith, run.isComplete]).toEqual([60, 'FINISHED', false])
    answer!()
    await clock.turn(0)
    expect([slow.taken.length, slow.closedWith, run.isComplete]).toEqual([60, 'FINISHED', true])
    expect(run.deliveries.map(({ exporter }) => exporter)).toEqual([fast, slow])
  })

  it.each([true, false])('is opened as it began, and as one that goes on or not (%s)', async (reopen) => {
    const opened: unknown[] = []
    const open = (run: unknown): Promise<OpenResult> => {
      opened.push(run)
      return Promise.resolve({ kind: 'ok', runId: 'r', made: true, page: null })
    }
    const { clock } = deliver([Object.assign(new MemoryExporter(), { openRun: open })], { reopen })
    await clock.turn(0)
    const { run, name, tags, startedAt, source } = runStart()
    expect(opened).toMatchObject([{ run, name, tags, startedAt, source, reopen }])
  })

  it('waits a second for more where few points have come, and not at all once nothing more will come', async () => {
    const exporter = new MemoryExporter()
    const { journal, run, clock } = deliver([exporter])
    await clock.turn(0)
    addPoints(journal, 3)
    run.wake()
    await clock.turn(999)
    expect(exporter.sizes).toEqual([])
    await clock.turn(1)
    addPoints(journal, 2)
    run.drain()
    await clock.turn(0)
    expect(exporter.sizes).toEqual([3, 2])
  })

  it('in memory forgets what all destinations have, and nothing before', async () => {
    const [fast, slow] = [new MemoryExporter(), Object.assign(new MemoryExporter(), { name: 'slow' as 'memory' })]
    let isAway = true
    slow.onOpen = () =>
      isAway ? { kind: 'retry', error: new Error('away') } : { kind: 'ok', runId: 'r', made: true, page: null }
    const { journal, run, clock } = deliver([fast, slow, ofSpans({ name: 'spans' })], { isInMemory: true })
    addPoints(journal, 60)
    addSpan(journal)
    run.wake()
    await clock.turn(0)
    expect([fast.taken.length, journal.all('SELECT first FROM blocks')]).toEqual([60, [{ first: 1 }]])
    isAway = false
    await clock.turn(20_000)
    expect([slow.taken.length, journal.all('SELECT first FROM blocks')]).toEqual([60, []])
  })

  it('in memory with destinations of spans only keeps its points', async () => {
    const exporter = ofSpans()
    const { journal, run, clock } = deliver([exporter], { isInMemory: true })
    addPoints(journal, 60)
    addSpan(journal)
    run.drain()
    run.wake()
    await clock.turn(0)
    expect([exporter.spans.length, journal.all('SELECT first FROM blocks')]).toEqual([1, [{ first: 1 }]])
  })

  it('gives its journal and its lock back when it is closed', async () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'x.sqlite')
    const lock = new JournalLock(lockOf(path))
    const journal = RunJournal.create(path, runStart())
    const { run } = deliver([new MemoryExporter()], { journal, lock })
    await run.stop()
    expect(isLocked(join(directory, 'x.lock'))).toBe(true)
    run.close()
    expect([isLocked(join(directory, 'x.lock')), openFiles(directory)]).toEqual([false, []])
    run.close = () => {} // it is closed already
  })

  it('whose destinations cannot be noted stops those that have begun, and says why it cannot be', async () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    const journal = RunJournal.create(path, runStart())
    onTestFinished(() => journal.close())
    journal.run(`CREATE TRIGGER full BEFORE INSERT ON destinations WHEN NEW.exporter = 'second'
      BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    const [first, second, third] = [new MemoryExporter(), ofSpans({ name: 'second' }), ofSpans({ name: 'third' })]
    expect(() => deliver([first, second, third], { journal })).toThrow('disk is full')
    await new Promise((resolve) => setImmediate(resolve))
    expect([first, second, third].map(({ isClosed }) => isClosed)).toEqual([true, true, true])
  })

  it('is wanted while another process has put a file beside it', () => {
    const [path] = pathsOf('01A')
    const { run } = deliver([], { journal: RunJournal.create(path!, runStart()) })
    expect(run.isWanted).toBe(false)
    writeFileSync(path!.replace(/\.sqlite$/, '.want'), '')
    expect(run.isWanted).toBe(true)
  })
})

describe('a run with a destination of spans', () => {
  it('shows it once there is a span, which is pending there though the process dies at that moment', () => {
    const { path, journal } = deliver([ofSpans()])
    expect(readJournal(path).destinations).toEqual([])
    addSpan(journal)
    expect(readJournal(path).destinations).toMatchObject([{ exporter: 'memory', spans: { delivered: 0, pending: 1 } }])
  })

  it('begins nothing there while there is none, is complete without, and closes it at the end', async () => {
    const exporter = ofSpans()
    const { journal, run, clock } = deliver([exporter])
    addPoints(journal, 60)
    run.wake()
    await clock.turn(0)
    expect([exporter.opens, run.deliveries, run.isComplete]).toEqual([0, [], true])
    await run.stop()
    expect(exporter.isClosed).toBe(true)
  })

  it('begins there with the first span, and goes after the run that it belongs to', async () => {
    const points = Object.assign(new MemoryExporter(), { name: 'first' as 'memory' })
    const spans = ofSpans({ after: 'first' })
    let open: (() => void) | null = null
    points.onOpen = () =>
      new Promise((resolve) => (open = () => resolve({ kind: 'ok', runId: 'r', made: true, page: null })))
    const other = new MemoryExporter()
    const { journal, run, clock } = deliver([other, points, spans])
    addSpan(journal)
    run.wake()
    run.drain()
    await clock.turn(0)
    expect([other.opens, points.opens, spans.opens, run.deliveries.length]).toEqual([1, 1, 0, 3])
    open!()
    await clock.turn(0)
    expect([spans.opens, spans.spans.length]).toEqual([1, 1])
  })

  it('that goes on with spans begins there at once', async () => {
    const journal = RunJournal.create(join(temporaryDirectory(), 'x.sqlite'), runStart())
    addSpan(journal)
    const exporter = ofSpans()
    const { clock } = deliver([exporter], { journal })
    await clock.turn(0)
    expect(exporter.opens).toBe(1)
  })

  it('goes on when the disk fails at the moment when its delivery begins, and delivers later', async () => {
    const exporter = ofSpans()
    const { journal, run, clock } = deliver([exporter])
    journal.run(`CREATE TRIGGER full BEFORE INSERT ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    addSpan(journal)
    run.wake()
    expect([exporter.opens, run.isComplete]).toEqual([0, false])
    journal.setEnd('FINISHED', 9)
    journal.commit()
    run.drain()
    journal.run('DROP TRIGGER full')
    run.wake()
    await clock.turn(0)
    expect([exporter.spans.length, exporter.closedWith, run.isComplete]).toEqual([1, 'FINISHED', true])
  })
})

/** Paths of journals that may be ours, in a new directory that is called as a journal is. */
const pathsOf = (...names: string[]): string[] => {
  const directory = join(temporaryDirectory(), 'state.sqlite')
  mkdirSync(directory)
  return names.map((name) => join(directory, `${name.padEnd(26, '0')}.sqlite`))
}

describe('a journal whose process has died before anything was in it', () => {
  const makeEmpty = (path: string): void => {
    const database = new DatabaseSync(path)
    database.exec('PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL')
    database.close()
  }

  it('is removed, unless a process is making it, and nothing else is', () => {
    const [made, unmade, held, text, bare] = pathsOf('01A', '01B', '01C', '01D', '01E')
    writeFileSync(bare!, '')
    RunJournal.create(made!, runStart()).close()
    for (const path of [unmade!, held!]) makeEmpty(path)
    for (const suffix of ['-wal', '-shm']) writeFileSync(`${unmade}${suffix}`, '')
    writeFileSync(text!, 'no database, and somebody may want it')
    const lock = new JournalLock(lockOf(held!))
    onTestFinished(() => lock.release())
    for (const path of [made, unmade, held, text, bare]) removeEmpty(path!)
    expect([made, unmade, held, text].map((path) => existsSync(path!))).toEqual([true, false, true, true])
    expect(readdirSync(join(made!, '..')).filter((name) => /^01[BE]/.test(name))).toEqual([])
    expect([made, text].map((path) => isLocked(lockOf(path!)))).toEqual([false, false])
  })

  it.each(['notes', `0${'A'.repeat(26)}`, 'A'.repeat(25), `${'A'.repeat(25)}I`, `${'A'.repeat(26)}.sqlite`, '-', 'A'])(
    'is somebody else’s file when its name is %s',
    (name) => {
      const directory = temporaryDirectory()
      // A folder may be called as a journal is.
      const below = join(directory, `${'A'.repeat(26)}.sqlite`)
      mkdirSync(below)
      const path = join(below, `${name}.sqlite`)
      makeEmpty(path)
      removeEmpty(path)
      expect([readdirSync(below), setAside(path)]).toEqual([[`${name}.sqlite`], null])
      expect(readdirSync(below)).toEqual([`${name}.sqlite`])
    },
  )
})

describe('a damaged journal', () => {
  it('is set aside with its log and without its lock, so that it is met no more', () => {
    const [path] = pathsOf('01A')
    for (const suffix of ['', '-wal', '-shm']) writeFileSync(path + suffix, `text${suffix}`)
    expect(setAside(path!)).toBe(`${path}.damaged`)
    const name = `01A${'0'.repeat(23)}.sqlite.damaged`
    expect(readdirSync(join(path!, '..')).sort()).toEqual([name, `${name}-shm`, `${name}-wal`])
    expect(['', '-wal', '-shm'].map((suffix) => readFileSync(`${path}.damaged${suffix}`, 'utf8'))).toEqual([
      'text',
      'text-wal',
      'text-shm',
    ])
    expect(openFiles(join(path!, '..'))).toEqual([])
  })

  it('without a log is set aside alone', () => {
    const [path] = pathsOf('01A')
    writeFileSync(path!, 'text')
    expect(setAside(path!)).toBe(`${path}.damaged`)
    expect(readdirSync(join(path!, '..'))).toHaveLength(1)
  })

  it('stays where it is while somebody holds it', () => {
    const [path] = pathsOf('01A')
    writeFileSync(path!, 'text')
    const lock = new JournalLock(lockOf(path!))
    onTestFinished(() => lock.release())
    expect([setAside(path!), readFileSync(path!, 'utf8')]).toEqual([null, 'text'])
  })
})

describe('a journal that is taken over', () => {
  const wantOf = (path: string): string => path.replace(/\.sqlite$/, '.want')

  it('is held, and no longer wanted', () => {
    const [path] = pathsOf('01A')
    RunJournal.create(path!, runStart()).close()
    writeFileSync(wantOf(path!), '')
    const { journal, lock } = takeJournal(path!)
    expect([journal.readStart().name, isLocked(lockOf(path!)), existsSync(wantOf(path!))]).toEqual(['ppo', true, false])
    journal.close()
    lock.release()
  })

  it('that is none is not held', () => {
    const [path] = pathsOf('01A')
    writeFileSync(path!, '')
    expect(() => takeJournal(path!)).toThrow('is no journal of this version')
    expect([isLocked(lockOf(path!)), openFiles(join(path!, '..'))]).toEqual([false, []])
  })

  it('is asked for each 200 ms where somebody holds it, and had once that lets it go', async () => {
    const [path] = pathsOf('01A')
    RunJournal.create(path!, runStart()).close()
    const lock = new JournalLock(lockOf(path!))
    const clock = new ManualClock()
    const taken = wantJournal(path!, clock)
    await clock.turn(1000)
    expect(statSync(wantOf(path!)).mode & 0o777).toBe(0o600)
    lock.release()
    await clock.turn(199)
    expect(isLocked(lockOf(path!))).toBe(false)
    await clock.turn(1)
    expect([isLocked(lockOf(path!)), existsSync(wantOf(path!)), clock.waiting]).toEqual([true, false, 0])
    const { journal, lock: own } = await taken
    journal.close()
    own.release()
  })

  it('is given up after 25 times, when its holder does not let it go', async () => {
    const [path] = pathsOf('01A')
    const lock = new JournalLock(lockOf(path!))
    onTestFinished(() => lock.release())
    const clock = new ManualClock()
    let caught: unknown = null
    const taken = wantJournal(path!, clock).catch((error: unknown) => (caught = error))
    await clock.turn(24 * 200 - 1)
    expect([caught, existsSync(wantOf(path!))]).toEqual([null, true])
    await clock.turn(1)
    await taken
    expect([isBusy(caught), existsSync(wantOf(path!)), clock.waiting]).toEqual([true, false, 0])
  })

  it('is given up at once when it cannot be opened', async () => {
    const [path] = pathsOf('01A')
    writeFileSync(path!, '')
    await expect(wantJournal(path!, new ManualClock())).rejects.toThrow('is no journal of this version')
    expect(existsSync(wantOf(path!))).toBe(false)
  })
})
