import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CHUNK_POINTS, columnsOf } from '../../src/channel/chunk.ts'
import type { EndStatus } from '../../src/channel/messages.ts'
import { accountOf } from '../../src/delivery/account.ts'
import { Orphans, type OrphanOptions } from '../../src/delivery/orphans.ts'
import { lockOf } from '../../src/delivery/run.ts'
import type { Exporter, OpenResult, RunToOpen } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { isLocked, JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, POINTS, SPANS } from '../../src/telemetry/counters.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { openFiles } from '../support/open-files.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const IDLE_MS = 60_000
const { EPOCH } = ManualClock
/** All that are left are looked at again after this long. */
const AGAIN_MS = 10_000
/** An orphan without progress makes room after this long. */
const PATIENCE_MS = 20_000

/** An exporter that notes which runs it opened, and when. */
class Tracker extends MemoryExporter {
  override readonly name: 'memory'
  override target: Record<string, string | null> = {}
  readonly opened: RunToOpen[] = []
  readonly openedAt: number[] = []
  clock: ManualClock | null = null
  /** Runs that are not opened. */
  refuses = new Set<string>()

  constructor(name = 'memory') {
    super()
    this.name = name as 'memory'
  }

  override async openRun(run: RunToOpen, abort: AbortSignal): Promise<OpenResult> {
    this.opened.push(run)
    this.openedAt.push(this.clock?.now() ?? 0)
    if (this.refuses.has(run.run)) return { kind: 'retry', error: new Error('away') }
    return super.openRun(run, abort)
  }
}

interface Left {
  run?: string
  identity?: string
  points?: number
  spans?: number
  end?: EndStatus
  /** UTC ms of its last commit. */
  lastAt?: number
  /** Destinations that it was to go to. */
  to?: readonly Exporter[]
}

const nameOf = (run: string): string => run.padEnd(26, '0')

/** The journal of a process that has died. */
function leave(stateDir: string, left: Left = {}): string {
  const { run = '01A', identity = null, points = 3, spans = 0, end, lastAt = EPOCH, to = [new MemoryExporter()] } = left
  const path = join(stateDir, `${nameOf(run)}.sqlite`)
  const journal = RunJournal.create(path, runStart({ run, identity, params: [], tags: [] }))
  journal.database.exec('PRAGMA synchronous = OFF')
  if (points > 0) {
    const buffer = new ArrayBuffer(CHUNK_POINTS * 28)
    const { step, time } = columnsOf(buffer, CHUNK_POINTS)
    for (let i = 0; i < points; i += 1) [step[i], time[i]] = [i + 1, 1000 + i]
    journal.addSeries(0, 'loss')
    journal.addPoints(
      buffer,
      points,
      Float64Array.from(COUNTERS, (_, i) => (i === POINTS ? points : 0)),
    )
  }
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  for (let i = 0; i < spans; i += 1)
    journal.addSpans({ bytes: Uint8Array.of(0x2a, 1, 0x61), ends: Uint32Array.of(3), heads: Uint32Array.of(0) })
  journal.addCounts(Float64Array.from(COUNTERS, (_, i) => (i === SPANS ? spans : 0)))
  if (end !== undefined) journal.setEnd(end, 9)
  journal.commit(lastAt)
  for (const exporter of to) accountOf(journal, exporter)
  // That of a process which is gone.
  journal.run("UPDATE meta SET value = '1' WHERE key = 'pid'")
  journal.close()
  return path
}

/** Changes a journal that nobody has open. */
function edit(path: string, sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

/** Holds a journal as a living process does, until the result is called. */
function hold(path: string): () => void {
  const lock = new JournalLock(lockOf(path))
  return () => lock.release()
}

/** Takes up what is left, to these destinations. */
function takeUp(stateDir: string, exporters: Exporter[], rest: Partial<OrphanOptions> = {}) {
  const said: string[] = []
  const clock = new ManualClock()
  for (const exporter of exporters) if (exporter instanceof Tracker) exporter.clock = clock
  const orphans = new Orphans({
    stateDir,
    createExporters: () => exporters,
    idleMs: IDLE_MS,
    clock,
    say: (text) => said.push(text),
    ...rest,
  })
  onTestFinished(() => orphans.stop())
  return { said, clock, orphans }
}

const takingUp = (run: string, what: string): string =>
  `taking up the run ppo (${run}) that an earlier process left: ${what} to deliver`
const delivered = (run: string): string => `the run ppo (${run}) of the earlier process is delivered`

describe('a run that an earlier process left', () => {
  it('is delivered beside the new one, ended as killed at its last point, said, and let go', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir)
    const tracker = new Tracker()
    const { said, clock } = takeUp(stateDir, [tracker])
    expect(tracker.opens).toBe(0)
    await clock.turn(200)
    expect([tracker.taken, tracker.closedWith]).toEqual([['loss@1', 'loss@2', 'loss@3'], 'KILLED'])
    expect(said).toEqual([takingUp('01A', '3 points'), delivered('01A')])
    expect(readJournal(path)).toMatchObject({ status: 'killed', endedAt: 1002, closedBy: 'take-over', isHeld: false })
    expect([isLocked(lockOf(path)), openFiles(stateDir)]).toEqual([false, []])
    await clock.turn(5 * AGAIN_MS)
    expect([tracker.opens, said.length]).toEqual([1, 2])
  })

  it('goes where its journal says, and keeps the end that it has', async () => {
    const stateDir = temporaryDirectory()
    const tracker = new Tracker()
    tracker.target = { experiment: 'then' }
    const path = leave(stateDir, { end: 'FAILED', to: [tracker] })
    edit(path, 'UPDATE destinations SET ended = 1')
    tracker.target = { experiment: 'now' }
    const { clock } = takeUp(stateDir, [tracker])
    await clock.turn(200)
    expect(tracker.opened[0]).toMatchObject({ target: { experiment: 'then' }, reopen: false })
    expect([tracker.taken.length, tracker.closedWith]).toEqual([3, null])
    expect(readJournal(path)).toMatchObject({ status: 'failed', endedAt: 9, closedBy: null })
  })

  const spans = (): Tracker => Object.assign(new Tracker('spans'), { accepts: { spans: 100 } })
  it.each([
    [{ points: 1, spans: 0 }, [new Tracker()], '1 point'],
    [{ points: 3, spans: 0 }, [new Tracker(), new Tracker('other')], '6 points'],
    [{ points: 3, spans: 1 }, [new Tracker(), spans()], '3 points and 1 span'],
    [{ points: 3, spans: 2 }, [spans()], '2 spans'],
    [{ points: 0, spans: 0 }, [new Tracker()], '0 points'],
  ])('is said with what is to be delivered of it (%j: %#)', async (left, to, words) => {
    const stateDir = temporaryDirectory()
    leave(stateDir, { ...left, to })
    const { said, clock } = takeUp(stateDir, [...to])
    await clock.turn(200)
    expect(said).toEqual([takingUp('01A', words), delivered('01A')])
  })

  it('goes on once the disk takes the first rows of a destination', async () => {
    const stateDir = temporaryDirectory()
    const tracker = spans()
    const path = leave(stateDir, { points: 0, spans: 1, to: [tracker] })
    edit(path, `CREATE TRIGGER full BEFORE INSERT ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    const { said, clock } = takeUp(stateDir, [tracker])
    await clock.turn(150)
    expect([tracker.opens, said]).toEqual([0, [takingUp('01A', '1 span')]])
    edit(path, 'DROP TRIGGER full')
    await clock.turn(200)
    expect([tracker.spans.length, tracker.closedWith]).toEqual([1, 'KILLED'])
  })

  it('goes to those of its destinations that lack something of it and are where they were', async () => {
    const stateDir = temporaryDirectory()
    const [has, moved, lacks] = [new Tracker('has'), new Tracker('moved'), new Tracker('lacks')]
    const path = leave(stateDir, { end: 'FINISHED', to: [has, moved, lacks] })
    edit(path, "UPDATE cursors SET position = 3, delivered = 3 WHERE destination = 1 AND kind = 'points'")
    edit(path, 'UPDATE destinations SET ended = 1 WHERE id = 1')
    const other = new Tracker('other')
    const trackers = [has, Object.assign(moved, { address: 'elsewhere:' }), lacks, other]
    const { clock } = takeUp(stateDir, trackers)
    await clock.turn(200)
    expect(trackers.map(({ opens }) => opens)).toEqual([0, 0, 1, 0])
  })

  it('and that no destination wants is closed without a word, once', async () => {
    const stateDir = temporaryDirectory()
    const paths = [leave(stateDir, { to: [] }), leave(stateDir, { run: '01B', identity: 'a', lastAt: EPOCH - IDLE_MS })]
    const { said, clock } = takeUp(stateDir, [])
    await clock.turn(200)
    expect(paths.map((path) => readJournal(path))).toMatchObject([
      { status: 'killed', closedBy: 'take-over' },
      { status: 'finished', closedBy: 'take-over' },
    ])
    expect(said).toEqual([])
  })

  it('and that needs nothing more is left alone', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, { end: 'FINISHED', to: [] })
    const { said, clock } = takeUp(stateDir, [new Tracker()])
    await clock.turn(3 * AGAIN_MS)
    expect([readJournal(path).pid, said]).toEqual([1, []])
  })

  it('is taken up in its turn, oldest first, one after the other', async () => {
    const stateDir = temporaryDirectory()
    for (const run of ['01B', '01A', '01C']) leave(stateDir, { run })
    const tracker = new Tracker()
    const { said, clock } = takeUp(stateDir, [tracker])
    await clock.turn(500)
    const runs = ['01A', '01B', '01C']
    expect(tracker.opened.map(({ run }) => run)).toEqual(runs)
    expect(said).toEqual(runs.flatMap((run) => [takingUp(run, '3 points'), delivered(run)]))
  })
})

describe('a run that others hold', () => {
  it('is left to them, and looked at again each 10 s, for they may die, too', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir)
    const release = hold(path)
    const tracker = new Tracker()
    const { said, clock } = takeUp(stateDir, [tracker])
    await clock.turn(2 * AGAIN_MS)
    release()
    await clock.turn(AGAIN_MS - 1)
    expect([tracker.opens, said]).toEqual([0, []])
    await clock.turn(1)
    expect(tracker.opens).toBe(1)
  })

  it('since a moment is looked at again likewise, without a word', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir)
    const tracker = new Tracker()
    let release: (() => void) | null = null
    const createExporters = (): Exporter[] => {
      release ??= hold(path)
      return [tracker]
    }
    const { said, clock } = takeUp(stateDir, [tracker], { createExporters })
    await clock.turn(AGAIN_MS - 1)
    expect([tracker.opens, said]).toEqual([0, []])
    release!()
    await clock.turn(200)
    expect(tracker.closedWith).toBe('KILLED')
  })

  it('is let go at once when somebody wants to go on with it', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir)
    const tracker = new Tracker()
    tracker.refuses.add('01A')
    const { said, clock } = takeUp(stateDir, [tracker])
    await clock.turn(250)
    expect(isLocked(lockOf(path))).toBe(true)
    writeFileSync(path.replace('.sqlite', '.want'), '')
    await clock.turn(99)
    expect([isLocked(lockOf(path)), said]).toEqual([false, [takingUp('01A', '3 points')]])
    // It was no use: what is wanted and not had is taken up again.
    tracker.refuses.clear()
    await clock.turn(AGAIN_MS + 200)
    expect(said).toEqual([takingUp('01A', '3 points'), delivered('01A')])
  })
})

describe('a run that makes no progress', () => {
  it('makes room for the next one after 20 s, is tried again 10 s after that, and said once', async () => {
    const stateDir = temporaryDirectory()
    for (const run of ['01A', '01B']) leave(stateDir, { run })
    const tracker = new Tracker()
    tracker.refuses.add('01A')
    const { said, clock } = takeUp(stateDir, [tracker])
    const opensOf = (id: string): number[] => tracker.openedAt.filter((_, i) => tracker.opened[i]!.run === id)
    await clock.turn(PATIENCE_MS - 1)
    expect(opensOf('01B')).toEqual([])
    await clock.turn(AGAIN_MS)
    expect([opensOf('01B'), opensOf('01A').filter((at) => at >= PATIENCE_MS)]).toEqual([[PATIENCE_MS], []])
    tracker.refuses.clear()
    await clock.turn(500)
    expect(opensOf('01A').at(-1)).toBeLessThanOrEqual(PATIENCE_MS + AGAIN_MS + 200)
    expect(said).toEqual([takingUp('01A', '3 points'), takingUp('01B', '3 points'), delivered('01B'), delivered('01A')])
  })

  it('is not one that is slow: each step forward gives it 20 s more', async () => {
    const stateDir = temporaryDirectory()
    leave(stateDir)
    leave(stateDir, { run: '01B' })
    const tracker = Object.assign(new Tracker(), { timeoutMs: 60_000 })
    const { said, clock } = takeUp(stateDir, [tracker])
    tracker.onOpen = () =>
      new Promise((resolve) => clock.after(15_000, () => resolve({ kind: 'ok', runId: 'r', made: true, page: null })))
    tracker.onSend = () => new Promise((resolve) => clock.after(15_000, () => resolve({ kind: 'ok' })))
    await clock.turn(31_000)
    expect(said.slice(0, 2)).toEqual([takingUp('01A', '3 points'), delivered('01A')])
    await clock.turn(31_000)
    expect(said.length).toBe(4)
  })
})

describe('a run that senders know by an identity', () => {
  const identity = 'a'

  it('is delivered but not ended while they may come again, and ends as finished when they have been away long enough', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, { identity })
    const tracker = new Tracker()
    const { said, clock } = takeUp(stateDir, [tracker])
    await clock.turn(200)
    expect([tracker.taken.length, tracker.closedWith, readJournal(path).endedAt]).toEqual([3, null, null])
    expect(said).toEqual([takingUp('01A', '3 points'), delivered('01A')])
    await clock.turn(IDLE_MS - 201)
    expect([tracker.opens, tracker.closedWith, isLocked(lockOf(path))]).toEqual([1, null, false])
    await clock.turn(AGAIN_MS + 200)
    expect([tracker.opens, tracker.closedWith]).toEqual([2, 'FINISHED'])
    expect(readJournal(path)).toMatchObject({ status: 'finished', endedAt: 1002 })
    expect(said.slice(2)).toEqual([delivered('01A')])
  })

  it.each([
    ['of now', EPOCH, false],
    ['of a while ago', EPOCH - IDLE_MS + 1, false],
    ['of long ago', EPOCH - IDLE_MS, true],
    ['that lies ahead', EPOCH + 1, true],
  ])('whose last word is %s (%i): ended? %s', async (_, lastAt, isEnded) => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, { identity, lastAt, points: 0, to: [] })
    const { clock } = takeUp(stateDir, [])
    await clock.turn(0)
    expect(readJournal(path).endedAt !== null).toBe(isEnded)
  })

  it('is one that others can mean: any other is ended at once, however long senders may be away', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, { to: [] })
    const { clock } = takeUp(stateDir, [], { idleMs: Number.MAX_SAFE_INTEGER })
    await clock.turn(0)
    expect(readJournal(path).status).toBe('killed')
  })

  it('of which it is not known when something came is ended', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, { identity, to: [] })
    edit(path, "DELETE FROM meta WHERE key = 'lastAt'")
    const { clock } = takeUp(stateDir, [])
    await clock.turn(0)
    expect(readJournal(path).status).toBe('finished')
  })

  it.each([0, 3])(
    'and that has ended is delivered with its end, be that all there is (%i points are there)',
    async (there) => {
      const stateDir = temporaryDirectory()
      const path = leave(stateDir, { identity, end: 'FAILED' })
      edit(path, `UPDATE cursors SET position = ${there}, delivered = ${there} WHERE kind = 'points'`)
      const tracker = new Tracker()
      const { clock } = takeUp(stateDir, [tracker])
      await clock.turn(200)
      expect([tracker.taken.length, tracker.closedWith]).toEqual([3 - there, 'FAILED'])
    },
  )
})

describe('what cannot be taken up', () => {
  it('is a file that is none of ours, or of a newer version: said once, and left there', async () => {
    const stateDir = temporaryDirectory()
    const newer = leave(stateDir)
    edit(newer, 'PRAGMA user_version = 99')
    const notes = join(stateDir, 'notes.sqlite')
    writeFileSync(notes, 'not a database, but text that is long enough to be none')
    const { said, clock } = takeUp(stateDir, [new Tracker()])
    await clock.turn(3 * AGAIN_MS)
    expect(said).toEqual([
      `${newer} cannot be read (its format is 99, this version knows those up to 5: use a newer spanbridge): nothing is delivered of it`,
      `${notes} cannot be read (file is not a database): nothing is delivered of it`,
    ])
    expect([newer, notes].map((path) => existsSync(path))).toEqual([true, true])
  })

  it('is a damaged journal, which is set aside, while the others are delivered', async () => {
    const stateDir = temporaryDirectory()
    const path = join(stateDir, `${nameOf('01A')}.sqlite`)
    writeFileSync(path, 'not a database, but text that is long enough to be none')
    leave(stateDir, { run: '01B' })
    const { said, clock } = takeUp(stateDir, [new Tracker()])
    await clock.turn(3 * AGAIN_MS)
    expect(said).toEqual([
      `the journal ${path} is damaged (file is not a database): it is set aside as ${path}.damaged, and nothing more is delivered of it. 'sqlite3 ${path}.damaged .recover' gets out of it what can be read`,
      takingUp('01B', '3 points'),
      delivered('01B'),
    ])
    expect([existsSync(path), existsSync(`${path}.damaged`)]).toEqual([false, true])
  })

  it('is a journal that cannot be opened: said once, and let go', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir)
    edit(path, 'UPDATE series SET id = 1')
    const { said, clock } = takeUp(stateDir, [new Tracker()])
    await clock.turn(3 * AGAIN_MS)
    const words = `${path} cannot be taken up: ${path} is damaged: expected series 0 and its key, got 1 and loss`
    expect([said, isLocked(lockOf(path)), openFiles(stateDir)]).toEqual([[words], false, []])
  })

  it('is one whose end cannot be written', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir)
    edit(
      path,
      `CREATE TRIGGER full BEFORE INSERT ON meta WHEN NEW.key = 'status'
        BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`,
    )
    const { said, clock } = takeUp(stateDir, [new Tracker()])
    await clock.turn(0)
    expect([said, isLocked(lockOf(path)), openFiles(stateDir)]).toEqual([
      [`${path} cannot be taken up: database or disk is full`],
      false,
      [],
    ])
  })

  it('is a journal before its first commit, which is removed', async () => {
    const stateDir = temporaryDirectory()
    edit(join(stateDir, `${nameOf('01A')}.sqlite`), 'PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL')
    const { said, clock } = takeUp(stateDir, [new Tracker()])
    await clock.turn(0)
    expect([readdirSync(stateDir), said]).toEqual([[], []])
  })

  it('is all there is when the directory cannot be read, which is said each time', async () => {
    const file = join(temporaryDirectory(), 'state')
    writeFileSync(file, '')
    const { said, clock } = takeUp(file, [])
    await clock.turn(AGAIN_MS)
    const words = `${file}: what earlier runs left there cannot be read (ENOTDIR: not a directory, scandir '${file}')`
    expect(said).toEqual([words, words])
  })

  it('may be a directory that comes later', async () => {
    const stateDir = join(temporaryDirectory(), 'state')
    const { said, clock } = takeUp(stateDir, [new Tracker()])
    await clock.turn(1)
    mkdirSync(stateDir)
    leave(stateDir)
    await clock.turn(AGAIN_MS + 200)
    expect(said).toEqual([takingUp('01A', '3 points'), delivered('01A')])
  })
})

describe('taking up what is left', () => {
  it('ends at once when the new run does, between batches, and leaves the rest for the next start', async () => {
    const stateDir = temporaryDirectory()
    const paths = ['01A', '01B'].map((run) => leave(stateDir, { run }))
    const tracker = new Tracker()
    tracker.refuses.add('01A')
    const { said, clock, orphans } = takeUp(stateDir, [tracker])
    await clock.turn(150)
    expect(isLocked(lockOf(paths[0]!))).toBe(true)
    await orphans.stop()
    expect(tracker.opened.map(({ run }) => run)).not.toContain('01B')
    expect([said, clock.waiting, openFiles(stateDir)]).toEqual([[takingUp('01A', '3 points')], 0, []])
    expect(paths.map((path) => readJournal(path).isHeld)).toEqual([false, false])
  })

  it('ends at once between two looks, and before the first', async () => {
    const stateDir = temporaryDirectory()
    const early = takeUp(stateDir, [new Tracker()])
    await early.orphans.stop()
    const late = takeUp(stateDir, [new Tracker()])
    await late.clock.turn(1)
    expect(late.clock.waiting).toBe(1)
    await late.orphans.stop()
    leave(stateDir)
    for (const { clock } of [early, late]) await clock.turn(2 * AGAIN_MS)
    expect([early.said, late.said, early.clock.waiting, late.clock.waiting]).toEqual([[], [], 0, 0])
  })
})
