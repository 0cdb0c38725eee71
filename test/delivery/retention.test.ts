import { existsSync, mkdirSync, readdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CHUNK_POINTS } from '../../src/channel/chunk.ts'
import { accountOf } from '../../src/delivery/account.ts'
import { Retention, type RetentionOptions } from '../../src/delivery/retention.ts'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { isLocked, JournalLock } from '../../src/journal/lock.ts'
import { sizeOf } from '../../src/journal/room.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, NUMBERS, POINTS } from '../../src/telemetry/counters.ts'
import { eventRow } from '../support/journal.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { openFiles } from '../support/open-files.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const POINTS_OF_EACH = 10_000
const DAY_MS = 86_400_000
/** The journals are looked at this often. */
const LOOK_MS = 60_000
/** More than what there is to do at a time takes. */
const WORK_MS = 2000

interface Left {
  /** How many points each of its destinations has. */
  delivered?: readonly number[]
  endedAt?: number | null
  points?: number
  /** Bytes of each span. */
  spans?: readonly number[]
}

/** A journal at rest. */
function leave(stateDir: string, run: string, left: Left = {}): string {
  const { delivered = [POINTS_OF_EACH], endedAt = 9, points = POINTS_OF_EACH, spans = [] } = left
  const path = join(stateDir, `${run}.sqlite`)
  const journal = RunJournal.create(path, runStart({ run, name: run, params: [], tags: [] }))
  journal.database.exec('PRAGMA synchronous = OFF')
  journal.addSeries(0, 'loss')
  for (let left = points; left > 0; left -= CHUNK_POINTS) {
    const count = Math.min(left, CHUNK_POINTS)
    const counts = Float64Array.from(COUNTERS, (_, at) => (at === POINTS || at === NUMBERS ? count : 0))
    journal.addPoints(new ArrayBuffer(CHUNK_POINTS * 28), count, counts)
  }
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  for (const bytes of spans)
    journal.addSpans({ bytes: new Uint8Array(bytes), ends: Uint32Array.of(bytes), heads: Uint32Array.of(0) })
  if (endedAt !== null) journal.setEnd('FINISHED', endedAt)
  journal.commit()
  for (const [i, position] of delivered.entries()) {
    const account = accountOf(journal, Object.assign(new MemoryExporter(), { name: `memory${i}` as 'memory' }))
    account.moved('points', { ...account.cursor('points'), position, delivered: position }, [], new Map())
    if (position === points && endedAt !== null) account.ended()
  }
  // That of a process which is gone.
  journal.run("UPDATE meta SET value = '1' WHERE key = 'pid'")
  journal.close()
  return path
}

/** Keeps the journals within limits. */
function keep(stateDir: string, options: Partial<RetentionOptions>) {
  const said: string[] = []
  const clock = new ManualClock()
  const retention = new Retention({
    stateDir,
    clock,
    maxBytes: null,
    maxAgeMs: null,
    say: (text) => said.push(text),
    ...options,
  })
  const stop = async (): Promise<void> => {
    const stopped = retention.stop()
    await clock.turn(WORK_MS)
    await stopped
  }
  onTestFinished(stop)
  return { said, clock, retention, stop }
}

const hold = (path: string): (() => void) => {
  const lock = new JournalLock(lockOf(path))
  return () => lock.release()
}

/** Looks at the lock of a journal, which makes it neither held nor free to take, until the result is called. */
function lookAt(path: string): () => void {
  new JournalLock(lockOf(path)).release() // there is one from here on
  const database = new DatabaseSync(lockOf(path), { readOnly: true })
  database.exec('BEGIN; SELECT count(*) FROM sqlite_master')
  return () => database.close()
}

/** Changes a journal that nobody has open. */
function edit(path: string, sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

const keptOf = (path: string): number => {
  const { journaled, notKept } = readJournal(path)
  return journaled.points - notKept.points + journaled.spans - notKept.spans
}
const totalOf = (paths: readonly string[]): number => paths.map(sizeOf).reduce((a, b) => a + b, 0)
const dropped = (run: string, loss: string): string =>
  `the journals have reached journal.maxBytes: the points and spans of the run ${run} (${run}) are dropped; ${loss}`

describe('the journals of a state directory that take too much', () => {
  it('are emptied until what is left of them is within the limit, to the byte', async () => {
    const [twin, stateDir] = [temporaryDirectory(), temporaryDirectory()]
    const emptied = leave(twin, '01A')
    const first = keep(twin, { maxBytes: 1 })
    await first.clock.turn(WORK_MS)
    const paths = ['01A', '01B'].map((run) => leave(stateDir, run))
    const maxBytes = sizeOf(paths[0]!) + sizeOf(emptied) - 1
    const { clock } = keep(stateDir, { maxBytes })
    await clock.turn(WORK_MS)
    expect(paths.map(keptOf)).toEqual([0, 0])
  })

  it('are emptied from the oldest on: what is delivered, then what no tracker has, then what is owed or goes on', async () => {
    const stateDir = temporaryDirectory()
    // Made in another order than that of their names.
    const delivered = leave(stateDir, '01F')
    const both = leave(stateDir, '01E', { delivered: [0, POINTS_OF_EACH] })
    edit(both, "UPDATE destinations SET state = 'disabled' WHERE id = 1")
    const untracked = leave(stateDir, '01C', { delivered: [] })
    const moved = leave(stateDir, '01D', { delivered: [0] })
    edit(moved, "UPDATE destinations SET state = 'disabled'")
    const owed = leave(stateDir, '01B', { delivered: [5000, 0, POINTS_OF_EACH] })
    const open = leave(stateDir, '01A', { endedAt: null, delivered: [] })
    const held = leave(stateDir, '01G')
    onTestFinished(hold(held))
    const size = sizeOf(delivered)
    const all = [open, owed, untracked, moved, both, delivered, held]
    const order = [both, delivered, untracked, moved, open, owed]
    for (const [i, next] of order.entries()) {
      const before = keptOf(next)
      const { clock, stop } = keep(stateDir, { maxBytes: totalOf(all) - size / 2 })
      await clock.turn(WORK_MS)
      await stop()
      expect([before, all.filter((path) => keptOf(path) > 0)]).toEqual([
        POINTS_OF_EACH,
        all.filter((path) => !order.slice(0, i + 1).includes(path)),
      ])
      expect(sizeOf(next)).toBeLessThan(size / 2)
    }
    expect(readJournal(owed).destinations.map(({ points }) => points)).toEqual([
      { delivered: 5000, rejected: 0, evicted: 5000, pending: 0 },
      { delivered: 0, rejected: 0, evicted: 10_000, pending: 0 },
      { delivered: 10_000, rejected: 0, evicted: 0, pending: 0 },
    ])
  })

  it('are emptied until they do not any more, each with a word on what is lost, and let go', async () => {
    const stateDir = temporaryDirectory()
    const paths = [
      leave(stateDir, '01A', { delivered: [5000, 0] }),
      leave(stateDir, '01B', { delivered: [] }),
      leave(stateDir, '01C'),
    ]
    const { said, clock } = keep(stateDir, { maxBytes: 700_000 })
    expect(said).toEqual([])
    await clock.turn(WORK_MS)
    expect(said).toEqual([
      dropped('01C', 'all of them are delivered'),
      dropped('01B', 'no tracker has them'),
      dropped('01A', '15,000 points of them were not delivered'),
    ])
    expect(paths.map((path) => isLocked(lockOf(path)))).toEqual([false, false, false])
    expect([openFiles(stateDir), totalOf(paths) <= 700_000]).toEqual([[], true])
  })

  it('to the byte do not, however old they are', async () => {
    const stateDir = temporaryDirectory()
    const paths = [leave(stateDir, '01A'), leave(stateDir, '01B')]
    for (const path of paths) utimesSync(path, 1, 1)
    const total = totalOf(paths)
    const { said, clock, stop } = keep(stateDir, { maxBytes: total })
    await clock.turn(WORK_MS)
    await stop()
    expect([said, paths.map(keptOf)]).toEqual([[], [POINTS_OF_EACH, POINTS_OF_EACH]])
    const next = keep(stateDir, { maxBytes: total - 1 })
    await next.clock.turn(WORK_MS)
    expect(next.said).toEqual([dropped('01A', 'all of them are delivered')])
    // What is left then, to the byte, is not too much either.
    const other = temporaryDirectory()
    for (const run of ['01A', '01B']) leave(other, run)
    const last = keep(other, { maxBytes: totalOf(paths) })
    await last.clock.turn(WORK_MS)
    expect(last.said).toEqual(next.said)
  })

  it('and are all emptied are told of only when they take too much again', async () => {
    const [twin, stateDir] = [temporaryDirectory(), temporaryDirectory()]
    const path = leave(twin, '01A')
    const first = keep(twin, { maxBytes: 1 })
    await first.clock.turn(WORK_MS)
    leave(stateDir, '01A')
    const { said, clock } = keep(stateDir, { maxBytes: sizeOf(path) })
    await clock.turn(WORK_MS)
    expect(said).toEqual([dropped('01A', 'all of them are delivered')])
    writeFileSync(join(stateDir, '01B.sqlite'), 'no journal')
    await clock.turn(LOOK_MS)
    expect(said.slice(1)).toEqual([expect.stringContaining('none is left that could be emptied')])
  })

  it('are emptied to the last point', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, '01A', { points: 1, delivered: [1] })
    const { clock } = keep(stateDir, { maxBytes: 1 })
    await clock.turn(WORK_MS)
    expect(keptOf(path)).toBe(0)
  })

  it('are emptied of their events, too', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, '01A', { points: 1, delivered: [1] })
    const journal = RunJournal.open(path)
    journal.addEvents([eventRow(1), eventRow(2)])
    journal.commit()
    journal.close()
    const { clock } = keep(stateDir, { maxBytes: 1 })
    await clock.turn(WORK_MS)
    expect(readJournal(path).eventAccount).toMatchObject({ received: 2, journaled: 2, notKept: 2 })
  })

  it('and are emptied already are not opened for nothing', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, '01A', { points: 0, delivered: [] })
    const { clock } = keep(stateDir, { maxBytes: 1 })
    await clock.turn(WORK_MS)
    expect(readJournal(path).pid).toBe(1)
  })

  it('with pages that are free give them back without a word', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, '01A', { points: 60_000, delivered: [60_000] })
    const journal = RunJournal.open(path)
    journal.drop(1e9)
    journal.close()
    expect(sizeOf(path)).toBeGreaterThan(1 << 20)
    const { said, clock } = keep(stateDir, { maxBytes: 300_000 })
    await clock.turn(WORK_MS)
    expect([said, sizeOf(path) < 300_000]).toEqual([[], true])
  })

  it('lose their spans, too, a piece at a time, and no more once the process ends', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, '01A', { points: 0, delivered: [], spans: [8 << 20, 1 << 20] })
    const first = keep(stateDir, { maxBytes: 1 })
    await first.clock.turn(0)
    expect(isLocked(lockOf(path))).toBe(true)
    await first.stop()
    expect([keptOf(path), isLocked(lockOf(path)), first.clock.waiting]).toEqual([1, false, 0])
    const second = keep(stateDir, { maxBytes: 300_000 })
    // One drop, and 8 MB given back at a time.
    await second.clock.turn(20)
    expect([keptOf(path), isLocked(lockOf(path))]).toEqual([0, true])
    await second.clock.turn(WORK_MS)
    expect([second.said, sizeOf(path) < 300_000]).toEqual([[dropped('01A', 'no tracker has them')], true])
  })

  it('and of which none can be emptied are told of once, until there was room again', async () => {
    const stateDir = temporaryDirectory()
    onTestFinished(hold(leave(stateDir, '01A')))
    leave(stateDir, '01B', { points: 0, delivered: [] })
    const big = join(stateDir, '01C.sqlite')
    const grow = (bytes: number): void => {
      writeFileSync(big, 'no journal')
      truncateSync(big, bytes)
    }
    grow(2.7e6)
    const { said, clock } = keep(stateDir, { maxBytes: 2e6 })
    await clock.turn(3 * LOOK_MS)
    const words = `the journals in ${stateDir} take 3 MB, journal.maxBytes is 2 MB, and none is left that could be emptied`
    expect(said).toEqual([words])
    grow(10)
    await clock.turn(LOOK_MS)
    grow(1_199_500_000)
    await clock.turn(LOOK_MS)
    expect(said).toEqual([words, words.replace('3 MB', '1,200 MB')])
  })

  it('are left to whoever takes one up meanwhile', async () => {
    const stateDir = temporaryDirectory()
    const paths = [leave(stateDir, '01A'), leave(stateDir, '01B')]
    const { said, clock } = keep(stateDir, { maxBytes: 1 })
    await clock.turn(0)
    expect(isLocked(lockOf(paths[0]!))).toBe(true)
    onTestFinished(hold(paths[1]!))
    await clock.turn(WORK_MS)
    expect([said[0], keptOf(paths[1]!)]).toEqual([dropped('01A', 'all of them are delivered'), POINTS_OF_EACH])
    expect(said.slice(1)).toEqual([expect.stringContaining('none is left that could be emptied')])
  })

  it('and that somebody looks at in this moment are emptied the next time', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, '01A')
    const leaveAlone = lookAt(path)
    const { said, clock } = keep(stateDir, { maxBytes: 1 })
    await clock.turn(WORK_MS)
    expect([said, keptOf(path)]).toEqual([
      [expect.stringContaining('none is left that could be emptied')],
      POINTS_OF_EACH,
    ])
    leaveAlone()
    await clock.turn(LOOK_MS)
    expect([said[1], keptOf(path)]).toEqual([dropped('01A', 'all of them are delivered'), 0])
  })

  it('are emptied one by one until the process ends', async () => {
    const stateDir = temporaryDirectory()
    const paths = [leave(stateDir, '01A'), leave(stateDir, '01B')]
    const { said, clock, stop } = keep(stateDir, { maxBytes: 1 })
    await clock.turn(0)
    await stop()
    expect([paths.map(keptOf), clock.waiting]).toEqual([[0, POINTS_OF_EACH], 0])
    expect(said[0]).toBe(dropped('01A', 'all of them are delivered'))
  })

  it('are looked at each minute', async () => {
    const stateDir = temporaryDirectory()
    const { said, clock } = keep(stateDir, { maxBytes: 300_000 })
    await clock.turn(1)
    leave(stateDir, '01A')
    await clock.turn(LOOK_MS - 2)
    expect(said).toEqual([])
    await clock.turn(WORK_MS)
    expect(said).toEqual([dropped('01A', 'all of them are delivered')])
  })
})

describe('the journals of a state directory that are old', () => {
  const before = ManualClock.EPOCH - DAY_MS
  /** The file was written last at this time (UTC ms). */
  const age = (path: string, at: number): string => {
    utimesSync(path, at / 1000, at / 1000)
    return path
  }

  it('are deleted, if they have ended and all of them is delivered', async () => {
    const stateDir = temporaryDirectory()
    const old = { endedAt: before - 1 }
    const gone = ['01A', '01B'].map((run) => age(leave(stateDir, run, old), before - 1))
    const kept = [
      age(leave(stateDir, '02A', { ...old, delivered: [5000] }), before - 1),
      age(leave(stateDir, '02B', { ...old, delivered: [] }), before - 1),
      age(leave(stateDir, '02C', { endedAt: null }), before - 1),
      age(leave(stateDir, '02D', { endedAt: before }), before - 1),
      age(leave(stateDir, '02E', old), before),
      age(leave(stateDir, '02F', old), before - 1),
    ]
    onTestFinished(hold(kept.at(-1)!))
    const notes = join(stateDir, 'notes.sqlite')
    writeFileSync(notes, 'no journal, and older than all of them')
    age(notes, 1000)
    const { said, clock } = keep(stateDir, { maxAgeMs: DAY_MS })
    await clock.turn(WORK_MS)
    expect(said).toEqual(['01A', '01B'].map((run) => `the run ${run} (${run}) is deleted: see journal.maxAge`))
    expect([...kept, notes].filter((path) => !existsSync(path))).toEqual([])
    expect(readdirSync(stateDir).filter((name) => name.startsWith('01'))).toEqual([])
    expect([gone.length, openFiles(stateDir).filter((path) => !path.includes('02F'))]).toEqual([2, []])
  })

  it('and that somebody looks at in this moment are left for the next time, without a word', async () => {
    const stateDir = temporaryDirectory()
    const path = age(leave(stateDir, '01A', { endedAt: 9 }), before - 1)
    const leaveAlone = lookAt(path)
    const { said, clock } = keep(stateDir, { maxAgeMs: DAY_MS })
    await clock.turn(WORK_MS)
    expect([said, keptOf(path)]).toEqual([[], POINTS_OF_EACH])
    leaveAlone()
    await clock.turn(LOOK_MS)
    expect([said.length, existsSync(path)]).toEqual([1, false])
  })

  it('are deleted one by one until the process ends', async () => {
    const stateDir = temporaryDirectory()
    for (const run of ['01A', '01B']) age(leave(stateDir, run, { endedAt: 9 }), before - 1)
    const { said, clock, stop } = keep(stateDir, { maxAgeMs: DAY_MS })
    await clock.turn(0)
    await stop()
    expect([said.length, existsSync(join(stateDir, '01B.sqlite')), clock.waiting]).toEqual([1, true, 0])
  })

  it('and take too much are deleted before others are emptied', async () => {
    const stateDir = temporaryDirectory()
    const young = leave(stateDir, '01A')
    age(leave(stateDir, '01B'), before - 1)
    const { said, clock } = keep(stateDir, { maxAgeMs: DAY_MS, maxBytes: sizeOf(young) })
    await clock.turn(WORK_MS)
    expect([said, keptOf(young)]).toEqual([['the run 01B (01B) is deleted: see journal.maxAge'], POINTS_OF_EACH])
  })
})

describe('the limits of a state directory', () => {
  it('that are none are not looked after', async () => {
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, '01A')
    utimesSync(path, 1, 1)
    const { said, clock } = keep(stateDir, {})
    expect(clock.waiting).toBe(0)
    await clock.turn(LOOK_MS)
    expect([said, keptOf(path)]).toEqual([[], POINTS_OF_EACH])
  })

  it('count neither folders nor what was set aside, and there is nothing to keep before there is a directory', async () => {
    const stateDir = join(temporaryDirectory(), 'state')
    const { said, clock } = keep(stateDir, { maxAgeMs: DAY_MS, maxBytes: 500_000 })
    await clock.turn(1)
    mkdirSync(join(stateDir, '00.sqlite'), { recursive: true })
    for (let i = 0; i < 20; i += 1) mkdirSync(join(stateDir, '00.sqlite', `folder ${i}`))
    writeFileSync(join(stateDir, '01.sqlite.damaged'), new Uint8Array(1_000_000))
    const path = leave(stateDir, '02', { points: 5000, delivered: [5000] })
    await clock.turn(LOOK_MS + WORK_MS)
    expect([said, keptOf(path)]).toEqual([[], 5000])
  })

  it('that cannot be kept are told of with the reason, each time, and what is taken for it is let go', async () => {
    const file = join(temporaryDirectory(), 'state')
    writeFileSync(file, '')
    const first = keep(file, { maxBytes: 1 })
    await first.clock.turn(LOOK_MS)
    const words = `${file} cannot be kept within its limits (ENOTDIR: not a directory, scandir '${file}')`
    expect(first.said).toEqual([words, words])
    const stateDir = temporaryDirectory()
    const path = leave(stateDir, '01A')
    edit(path, 'UPDATE series SET id = 1')
    const second = keep(stateDir, { maxBytes: 1 })
    await second.clock.turn(0)
    expect(second.said).toEqual([
      `${stateDir} cannot be kept within its limits (${path} is damaged: expected series 0 and its key, got 1 and loss)`,
    ])
    expect([isLocked(lockOf(path)), openFiles(stateDir)]).toEqual([false, []])
  })

  it('are looked after no more once the process ends', async () => {
    const stateDir = temporaryDirectory()
    const early = keep(stateDir, { maxBytes: 1 })
    await early.retention.stop()
    const late = keep(stateDir, { maxBytes: 1 })
    await late.clock.turn(1)
    expect(late.clock.waiting).toBe(1)
    await late.retention.stop()
    expect([early.clock.waiting, late.clock.waiting]).toEqual([0, 0])
  })
})
