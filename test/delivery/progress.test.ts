import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { accountOf } from '../../src/delivery/account.ts'
import { nextBatch, slice } from '../../src/delivery/batches.ts'
import { Progress, type Refusal } from '../../src/delivery/progress.ts'
import type { Batch, BatchKind, PointBatch } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { addPoints, addSpans, spanOf, stepsOf } from '../support/fill.ts'
import { ConfirmingExporter, MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const refusal = (message: string, forKey = false): Refusal => ({ kind: 'drop', error: new Error(message), forKey })
const nothing = { delivered: 0, rejected: 0, evicted: 0, resent: 0 }

/** How far a run has got; `next`: items of the batch that will follow. */
function progress(exporter: MemoryExporter = new MemoryExporter(), path = ':memory:') {
  const journal = RunJournal.create(path, runStart(), path === ':memory:' ? 1 << 30 : null)
  onTestFinished(() => journal.close())
  journal.addSeries(0, 'loss')
  journal.addSeries(1, 'bad%name')
  const said: string[] = []
  const heard: string[] = []
  const nextOf = { items: 0, asked: [] as number[] }
  const doubt = { end: 0 }
  const begin = () =>
    new Progress({
      journal,
      exporter,
      account: accountOf(journal, exporter),
      run: 'ppo',
      say: (text) => said.push(text),
      onMoved: (kind) => heard.push(`moved ${kind}`),
      onPassed: (position) => void heard.push(`passed ${position}`),
      doubtEnd: () => doubt.end,
      nextOf: (waiting) => (nextOf.asked.push(waiting), nextOf.items),
    })
  const it = begin()
  const cursor = (kind: BatchKind = 'points') => it.cursors.get(kind)!
  /** What the next process finds. */
  const kept = (kind: BatchKind = 'points') => accountOf(journal, exporter).cursor(kind)
  const batch = (after: number, count: number, kind: BatchKind = 'points') => nextBatch(journal, kind, after, count)!
  const rejected = () =>
    journal
      .all(
        'SELECT kind, sequence, name, step, value, text FROM rejected JOIN reasons ON reasons.id = reason ORDER BY rejected.id',
      )
      .map((row) => Object.values(row))
  const refuse = (after: number, why: Refusal, kind: BatchKind = 'points'): void => {
    const one = batch(after, 1, kind)
    it.reject(one, why, cursor(kind), { end: after + 1, aside: [] })
  }
  return { it, journal, said, heard, doubt, nextOf, begin, cursor, kept, batch, rejected, refuse }
}

describe('progress', () => {
  it('counts what is neither delivered nor refused as waiting, points before all', () => {
    const { it, journal, cursor, batch, begin, kept } = progress()
    addPoints(journal, stepsOf(1, 100))
    addSpans(journal, [spanOf('a')])
    expect([it.main, it.total, it.waiting, it.delivered, it.isDrained]).toEqual(['points', 100, 100, 0, false])
    expect([...it.cursors.keys()]).toEqual(['params', 'tags', 'points'])
    it.settle(batch(0, 60), cursor(), { end: 60, aside: [] })
    expect([it.waiting, it.delivered]).toEqual([40, 60])
    expect(cursor()).toEqual({ ...nothing, position: 60, delivered: 60, sending: 0 })
    expect(kept()).toEqual(cursor())
    expect([begin().waiting, begin().delivered]).toEqual([40, 60])
  })

  it('counts spans of a destination that takes nothing else', () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { spans: 100 }
    const { it, journal } = progress(exporter)
    addPoints(journal, stepsOf(1, 100))
    addSpans(journal, [spanOf('a'), spanOf('b')])
    expect([it.main, it.total, it.waiting, it.delivered, it.isBegun]).toEqual(['spans', 2, 2, 0, false])
    expect([...it.cursors.keys()]).toEqual(['spans'])
  })

  it('of a destination that takes neither points nor spans waits for nothing, and ends with its params', () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { params: 100 }
    const { it, journal, cursor, batch } = progress(exporter)
    addSpans(journal, [spanOf('a')])
    expect([it.waiting, it.delivered, it.isBegun, it.isDrained]).toEqual([0, 0, false, false])
    it.rest()
    it.settle(batch(0, 9, 'params'), cursor('params'), { end: 1, aside: [] })
    expect(it.isDrained).toBe(true)
  })

  it('is at the end when params, tags and points are all served', () => {
    const { it, journal, cursor, batch } = progress()
    addPoints(journal, stepsOf(1, 2))
    for (const [kind, isDrained] of [
      ['points', false],
      ['params', false],
      ['tags', true],
    ] as const) {
      it.settle(batch(0, 9, kind), cursor(kind), { end: kind === 'points' ? 2 : 1, aside: [] })
      expect(it.isDrained).toBe(isDrained)
    }
    addPoints(journal, stepsOf(3, 3))
    expect(it.isDrained).toBe(false)
  })

  it('tells of each move, and of the main kind up to where all is known', () => {
    const { it, journal, cursor, batch, heard } = progress()
    addPoints(journal, stepsOf(1, 100))
    it.settle(batch(0, 9, 'params'), cursor('params'), { end: 1, aside: [] })
    expect(heard).toEqual(['moved params'])
    it.begin('points', cursor(), { end: 60, aside: [] })
    expect([it.isBegun, heard.length]).toEqual([true, 1])
    it.settle(batch(0, 59), cursor(), { end: 59, aside: [] })
    expect(heard.splice(0)).toEqual(['moved params', 'passed 59', 'moved points'])
    it.settle(batch(59, 1), cursor(), { end: 60, aside: [] })
    expect([it.isBegun, heard]).toEqual([false, ['passed 60', 'moved points']])
  })

  it('notes the batch that will follow in the commit that ends the one before', () => {
    const { it, journal, cursor, batch, nextOf, kept, begin } = progress()
    addPoints(journal, stepsOf(1, 100))
    nextOf.items = 30
    it.settle(batch(0, 9, 'params'), cursor('params'), { end: 1, aside: [] })
    it.begin('points', cursor(), { end: 60, aside: [] })
    it.settle(batch(0, 20), cursor(), { end: 20, aside: [] })
    expect([nextOf.asked, kept().sending, kept('params').sending]).toEqual([[], 60, 0])
    it.settle(batch(20, 40), cursor(), { end: 60, aside: [] })
    expect([nextOf.asked, kept().sending, cursor().sending, begin().isBegun]).toEqual([[40], 90, 90, true])
    nextOf.items = 0
    it.settle(batch(60, 30), cursor(), { end: 90, aside: [] })
    expect([nextOf.asked, kept().sending, begin().isBegun]).toEqual([[40, 10], 90, false])
  })

  it('within the bounds that are noted is on disk with the next commit, or when nothing more is sent', () => {
    const { it, journal, cursor, batch, kept } = progress(new ConfirmingExporter())
    addPoints(journal, stepsOf(1, 100))
    it.begin('points', cursor(), { end: 90, aside: [] })
    it.settle(batch(0, 30), cursor(), { end: 30, aside: [] })
    expect([it.delivered, kept().delivered, kept().sending]).toEqual([30, 0, 90])
    addPoints(journal, stepsOf(101, 101))
    expect(kept()).toEqual({ ...nothing, position: 30, delivered: 30, sending: 90 })
    it.settle(batch(30, 30), cursor(), { end: 60, aside: [] })
    it.writeLate()
    expect(kept()).toEqual({ ...nothing, position: 60, delivered: 60, sending: 90 })
    it.settle(batch(60, 30), cursor(), { end: 90, aside: [] })
    expect([it.delivered, kept().delivered, journal.hasLate]).toEqual([90, 60, true])
    it.rest()
    expect(kept()).toEqual({ ...nothing, position: 90, delivered: 90, sending: 90 })
    expect(journal.hasLate).toBe(false)
  })

  it('is on disk at once where it goes beyond the bounds that are noted, or notes new ones', () => {
    const { it, journal, cursor, batch, kept, nextOf } = progress(new ConfirmingExporter())
    addPoints(journal, stepsOf(1, 200))
    it.settle(batch(0, 30), cursor(), { end: 30, aside: [] })
    expect([kept().position, journal.hasLate]).toEqual([30, false])
    it.begin('points', cursor(), { end: 60, aside: [] })
    nextOf.items = 40
    it.settle(batch(30, 30), cursor(), { end: 60, aside: [] })
    expect([kept().position, kept().sending, journal.hasLate]).toEqual([60, 100, false])
  })

  it('of what a commit brings is noted in that commit, where nothing else is noted or in doubt', () => {
    const { it, journal, cursor, batch, kept, nextOf, doubt } = progress(new ConfirmingExporter())
    journal.joinCommits(() => it.noteWithCommit())
    addPoints(journal, stepsOf(1, 40))
    expect([nextOf.asked, cursor().sending, kept().sending]).toEqual([[40], 0, 0])
    nextOf.items = 60
    addPoints(journal, stepsOf(41, 60))
    expect([nextOf.asked, cursor().sending, kept().sending, it.isBegun]).toEqual([[40, 60], 60, 60, true])
    addPoints(journal, stepsOf(61, 120))
    expect([nextOf.asked.length, kept().sending]).toEqual([2, 60])
    nextOf.items = 0
    it.settle(batch(0, 60), cursor(), { end: 60, aside: [] })
    nextOf.items = 60
    doubt.end = 90
    addPoints(journal, stepsOf(121, 130))
    expect(kept().sending).toBe(60)
    doubt.end = 0
    addPoints(journal, stepsOf(131, 140))
    expect([cursor().sending, kept().sending, kept().position]).toEqual([120, 120, 60])
  })

  it('is not noted with a commit that fails, and the points are not lost for a note that cannot be written', () => {
    const { it, journal, cursor, kept, nextOf } = progress(new ConfirmingExporter())
    journal.joinCommits(() => it.noteWithCommit())
    nextOf.items = 60
    journal.run(`CREATE TRIGGER full BEFORE UPDATE ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    addPoints(journal, stepsOf(1, 60))
    expect([journal.points, cursor().sending, kept().sending]).toEqual([60, 0, 0])
    journal.run('DROP TRIGGER full')
    const leave = journal.joinCommits(() => {
      throw new Error('whatever fails the commit')
    })
    expect(() => addPoints(journal, stepsOf(61, 120))).toThrow('whatever fails the commit')
    expect([journal.points, cursor().sending, kept().sending]).toEqual([60, 0, 0])
    leave()
    journal.commit()
    expect([journal.points, cursor().sending, kept().sending]).toEqual([120, 60, 60])
  })

  it('is noted further, by whole batches, while the last batch that is noted is under way', () => {
    const exporter = Object.assign(new ConfirmingExporter(), { accepts: { points: 20 } })
    const { it, journal, cursor, batch, kept, nextOf, doubt } = progress(exporter)
    addPoints(journal, stepsOf(1, 100))
    const noted = (end: number, isPart?: true): unknown[] => {
      it.noteMore({ end, aside: [], ...(isPart === true ? { isPart } : {}) })
      return [cursor().sending, kept().sending]
    }
    it.begin('points', cursor(), { end: 40, aside: [] })
    nextOf.items = 40
    expect(noted(20)).toEqual([40, 40])
    it.settle(batch(0, 20), cursor(), { end: 20, aside: [] })
    expect(noted(40, true)).toEqual([40, 40])
    doubt.end = 40
    expect(noted(40)).toEqual([40, 40])
    doubt.end = 0
    nextOf.items = 19 // that is for when nothing else is left
    expect(noted(40)).toEqual([40, 40])
    nextOf.items = 40
    expect(noted(40)).toEqual([80, 80])
    expect(nextOf.asked).toEqual([60, 60])
    expect(kept()).toMatchObject({ position: 20, delivered: 20 })
    it.settle(batch(20, 20), cursor(), { end: 40, aside: [] })
    expect([cursor().sending, it.isBegun, nextOf.asked.length]).toEqual([80, true, 2])
  })

  it('is not noted further where nobody can be asked, nor on a disk that is full', () => {
    const { it, journal, cursor, kept, nextOf } = progress()
    addPoints(journal, stepsOf(1, 3000))
    nextOf.items = 1000
    it.begin('points', cursor(), { end: 1000, aside: [] })
    it.noteMore({ end: 1000, aside: [] })
    expect([cursor().sending, kept().sending, nextOf.asked]).toEqual([1000, 1000, []])
    const other = progress(new ConfirmingExporter())
    addPoints(other.journal, stepsOf(1, 3000))
    other.nextOf.items = 1000
    other.it.begin('points', other.cursor(), { end: 1000, aside: [] })
    other.journal.run(`CREATE TRIGGER full BEFORE UPDATE ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    other.it.noteMore({ end: 1000, aside: [] })
    expect([other.cursor().sending, other.kept().sending]).toEqual([1000, 1000])
  })

  it('is on disk when nothing more is sent, though what follows stays in doubt', () => {
    const { it, journal, cursor, batch, kept, doubt } = progress(new ConfirmingExporter())
    addPoints(journal, stepsOf(1, 100))
    it.begin('points', cursor(), { end: 90, aside: [] })
    it.settle(batch(0, 30), cursor(), { end: 30, aside: [] })
    doubt.end = 90
    expect(kept().delivered).toBe(0)
    it.rest()
    expect(kept()).toEqual({ ...nothing, position: 30, delivered: 30, sending: 90 })
  })

  it('is on disk at once where nobody can be asked, and so are the bounds of each batch', () => {
    const { it, journal, cursor, batch, kept } = progress()
    addPoints(journal, stepsOf(1, 100))
    it.begin('points', cursor(), { end: 90, aside: [] })
    it.begin('points', cursor(), { end: 30, aside: [] })
    expect(kept().sending).toBe(30)
    cursor().sending = 90
    it.settle(batch(0, 30), cursor(), { end: 30, aside: [] })
    expect(kept()).toMatchObject({ position: 30, delivered: 30 })
  })

  it('notes with what follows all that may be stored already, but for a part of a batch', () => {
    const { it, journal, cursor, batch, kept, doubt, nextOf } = progress(new ConfirmingExporter())
    addPoints(journal, stepsOf(1, 100))
    doubt.end = 80
    it.begin('points', cursor(), { end: 10, aside: [], isPart: true })
    expect(kept().sending).toBe(10)
    it.begin('points', cursor(), { end: 20, aside: [] })
    expect(kept().sending).toBe(80)
    it.begin('points', cursor(), { end: 10, aside: [], isPart: true })
    expect(kept().sending).toBe(10)
    it.settle(batch(0, 10), cursor(), { end: 10, aside: [], isPart: true })
    expect([kept().sending, nextOf.asked]).toEqual([80, []])
    it.rest()
    expect(kept().sending).toBe(80)
    doubt.end = 0
    it.rest()
    expect(kept().sending).toBe(10)
  })

  it('over rows that were set aside, over a refused one and of a part is on disk at once', () => {
    const { it, journal, cursor, batch, kept, refuse } = progress(new ConfirmingExporter())
    addPoints(journal, stepsOf(1, 100))
    it.begin('points', cursor(), { end: 90, aside: [] })
    refuse(0, refusal('too large'))
    expect(kept()).toMatchObject({ position: 1, rejected: 1 })
    it.settle(batch(1, 9), cursor(), { end: 10, aside: [], isPart: true })
    expect(kept()).toMatchObject({ position: 10, delivered: 9 })
    const row = { sequence: 12, name: 'loss', value: 1, reason: 'no' }
    it.settle(batch(10, 9), cursor(), { end: 20, aside: [row] })
    expect(kept()).toMatchObject({ position: 20, rejected: 2 })
    it.reject(batch(21, 1), refusal('too large'), cursor(), { end: 22, aside: [{ ...row, sequence: 21 }] })
    expect(kept()).toMatchObject({ position: 22, rejected: 4 })
  })

  it('stays where it was when the disk is full', () => {
    const { it, journal, cursor, batch, heard, kept } = progress()
    addPoints(journal, stepsOf(1, 100))
    journal.run(`CREATE TRIGGER full BEFORE UPDATE ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    expect(() => it.settle(batch(0, 60), cursor(), { end: 60, aside: [] })).toThrow('disk is full')
    expect(() => it.begin('points', cursor(), { end: 60, aside: [] })).toThrow('disk is full')
    expect([cursor(), kept(), heard]).toEqual([
      { ...nothing, position: 0, sending: 0 },
      { ...nothing, position: 0, sending: 0 },
      [],
    ])
  })
})

describe('a batch under way', () => {
  it('is in doubt for the next process, unless it is taken back', () => {
    const { it, journal, cursor, begin, kept } = progress()
    addPoints(journal, stepsOf(1, 100))
    it.begin('points', cursor(), { end: 60, aside: [] })
    expect([kept().sending, begin().isBegun]).toEqual([60, true])
    it.rest()
    expect([kept().sending, begin().isBegun]).toEqual([0, false])
  })

  it('stays in doubt when the disk is full as it is taken back, which is no fault', () => {
    const { it, journal, cursor, kept } = progress()
    addPoints(journal, stepsOf(1, 100))
    it.begin('points', cursor(), { end: 60, aside: [] })
    journal.run(`CREATE TRIGGER full BEFORE UPDATE ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    it.rest()
    expect(kept().sending).toBe(60)
  })

  it('is not taken back where none is under way: the disk is left alone', () => {
    const { it, journal, kept } = progress()
    journal.run('UPDATE cursors SET sending = 0, position = 0, resent = 9')
    journal.run(`CREATE TRIGGER seen AFTER UPDATE ON cursors BEGIN UPDATE cursors SET resent = 10; END`)
    it.rest()
    expect(kept().resent).toBe(9)
  })
})

describe('a refused point', () => {
  it('is set aside with the reason, and told of the first time only', () => {
    const { it, journal, cursor, batch, refuse, said, rejected, kept } = progress()
    addPoints(journal, stepsOf(1, 100, { value: 0.5 }))
    it.settle(batch(0, 3), cursor(), { end: 3, aside: [] })
    refuse(3, refusal('too large'))
    refuse(4, refusal('too small'))
    expect(said).toEqual(["memory: point 'loss' is refused and set aside, the others go on: too large"])
    expect(rejected()).toEqual([
      ['points', 4, 'loss', 4, 0.5, 'too large'],
      ['points', 5, 'loss', 5, 0.5, 'too small'],
    ])
    expect(kept()).toEqual({ ...nothing, position: 5, delivered: 3, rejected: 2, sending: 0 })
    expect(cursor()).toEqual(kept())
  })

  it('is one of its kind: a refused param is told of as such', () => {
    const { refuse, said, rejected } = progress()
    refuse(0, refusal('no', true), 'params')
    refuse(0, refusal('no'), 'tags')
    expect(said).toEqual([
      "memory: param 'lr' is refused and set aside, the others go on: no",
      "memory: tag 'team' is refused and set aside, the others go on: no",
    ])
    expect(rejected()).toEqual([
      ['params', 1, 'lr', null, '1', 'no'],
      ['tags', 1, 'team', null, 'rl', 'no'],
    ])
  })

  it('takes its series with it after the second refusal for its name, and not after others', () => {
    const { it, journal, cursor, batch, refuse } = progress()
    addPoints(
      journal,
      stepsOf(1, 10).map((point) => ({ ...point, series: point.step! % 2 })),
    )
    const stay = (): number => it.setAside(batch(cursor().position, 4)).kept.count
    refuse(0, refusal('the name is refused', true))
    refuse(1, refusal('the value is refused'))
    refuse(2, refusal('the value is refused'))
    expect(stay()).toBe(4)
    refuse(3, refusal('the name is refused', true))
    expect(stay()).toBe(4)
    refuse(4, refusal('this name is refused', true))
    const { kept, way } = it.setAside(batch(5, 4))
    expect(Array.from((kept as PointBatch).step)).toEqual([6, 8])
    expect(way).toEqual({
      end: 9,
      aside: [7, 9].map((sequence) => ({
        sequence,
        name: 'bad%name',
        step: sequence,
        time: 0,
        value: 0,
        reason: 'this name is refused',
      })),
    })
    expect(it.setAside(batch(0, 9, 'params'))).toEqual({ kept: batch(0, 9, 'params'), way: { end: 1, aside: [] } })
  })
})

describe('points that are left out of a batch', () => {
  /** Ten points, of which the odd ones are of a series that is refused for its name. */
  function withRefusedSeries() {
    const all = progress()
    addPoints(
      all.journal,
      stepsOf(1, 10).map((point) => ({ ...point, series: point.step! % 2 })),
    )
    for (const after of [0, 1, 2]) all.refuse(after, refusal('the name is refused', true))
    return all
  }

  it('are rejected as the cursor passes them, each once, in order', () => {
    const { it, cursor, batch, rejected, kept } = withRefusedSeries()
    const { kept: rest, way } = it.setAside(batch(3, 7))
    const before = rejected().length
    // The first half of the rest is there: then what was left out before its end is passed.
    it.settle(slice(rest, 0, 2), cursor(), { end: 6, aside: way.aside })
    expect(
      rejected()
        .slice(before)
        .map(([, sequence]) => sequence),
    ).toEqual([5])
    expect([way.aside.map(({ sequence }) => sequence), kept().rejected, kept().delivered]).toEqual([[7, 9], 4, 2])
    it.reject(slice(rest, 2, 3), refusal('the value is refused'), cursor(), { end: 8, aside: way.aside })
    it.settle(slice(rest, 3, 4), cursor(), { end: 10, aside: way.aside })
    expect(
      rejected()
        .slice(before)
        .map(([, sequence]) => sequence),
    ).toEqual([5, 7, 8, 9])
    expect(kept()).toEqual({ ...nothing, position: 10, delivered: 3, rejected: 7, sending: 0 })
  })

  it('are rejected in order with one that is refused before them', () => {
    const { it, cursor, batch, rejected } = withRefusedSeries()
    const { kept: rest, way } = it.setAside(batch(3, 6))
    it.settle(slice(rest, 0, 2), cursor(), { end: 6, aside: way.aside })
    it.reject(slice(rest, 2, 3), refusal('the value is refused'), cursor(), { end: 9, aside: way.aside })
    expect(rejected().map(([, sequence]) => sequence)).toEqual([1, 2, 3, 5, 7, 8, 9])
  })

  it('are on disk before it leaves, and are not rejected twice by whoever goes on', () => {
    const { it, cursor, batch, rejected, begin, kept } = withRefusedSeries()
    const { kept: rest, way } = it.setAside(batch(3, 7))
    it.begin('points', cursor(), way)
    const all = [1, 2, 3, 5, 7, 9]
    expect(rejected().map(([, sequence]) => sequence)).toEqual(all)
    expect([kept().sending, kept().rejected]).toEqual([10, 3])
    it.begin('points', cursor(), way)
    const next = begin()
    const again = next.setAside(batch(3, 7))
    expect(Array.from((again.kept as PointBatch).step)).toEqual(Array.from((rest as PointBatch).step))
    next.begin('points', next.cursors.get('points')!, again.way)
    next.settle(again.kept, next.cursors.get('points')!, again.way)
    expect(rejected().map(([, sequence]) => sequence)).toEqual(all)
    expect(kept()).toEqual({ ...nothing, position: 10, delivered: 4, rejected: 6, sending: 10 })
  })

  it('are left out by the next process, too, whatever that has refused itself', () => {
    const { it, journal, cursor, batch, refuse, begin } = progress()
    addPoints(journal, stepsOf(1, 10))
    addPoints(journal, stepsOf(11, 20, { series: 1 }))
    const row = (sequence: number) => ({ sequence, name: 'loss', value: 1, reason: 'no' })
    it.begin('points', cursor(), { end: 10, aside: [row(5)] })
    const stepsIn = (each: Progress) => Array.from((each.setAside(batch(2, 9)).kept as PointBatch).step)
    expect(stepsIn(begin())).toEqual([3, 4, 6, 7, 8, 9, 10, 11])
    refuse(0, refusal('the name is refused', true))
    refuse(1, refusal('the name is refused', true))
    expect(stepsIn(it)).toEqual([11])
  })

  it('are noted when more of them are left out of the same batch', () => {
    const { it, cursor, rejected } = withRefusedSeries()
    const row = (sequence: number) => ({ sequence, name: 'x', value: 1, reason: 'no' })
    it.begin('points', cursor(), { end: 10, aside: [row(5)] })
    it.begin('points', cursor(), { end: 10, aside: [row(5), row(7)] })
    expect(
      rejected()
        .slice(3)
        .map(([, sequence]) => sequence),
    ).toEqual([5, 7])
  })
})

describe('a batch of which some are refused', () => {
  it('counts those as rejected, and tells it the first time with the words of the destination', () => {
    const { it, journal, cursor, batch, said, kept } = progress()
    addPoints(journal, stepsOf(1, 30))
    it.settle(batch(0, 10), cursor(), { end: 10, aside: [] }, { rejected: 4, message: 'no room' })
    it.settle(batch(10, 10), cursor(), { end: 20, aside: [] }, { rejected: 40, message: 'no room' })
    expect(said).toEqual(['memory: 4 of 10 are refused, the others are taken: no room'])
    expect(kept()).toEqual({ ...nothing, position: 20, delivered: 6, rejected: 14, sending: 0 })
  })
})

describe('what the journal had to drop', () => {
  const onDisk = () => join(temporaryDirectory(), 'x.sqlite')

  it('is a counted loss where it was not delivered, and is told', () => {
    const { it, journal, said, heard, cursor, kept } = progress(new MemoryExporter(), onDisk())
    for (const from of [1, 101]) addPoints(journal, stepsOf(from, from + 99))
    it.passEvicted()
    expect([said, it.hasLost]).toEqual([[], false])
    journal.drop(1)
    it.passEvicted()
    it.passEvicted()
    expect(said).toEqual([
      'memory: 100 points of the run ppo will not be delivered: the journal had to drop them, see journal.maxRunBytes and journal.maxBytes',
    ])
    expect([it.hasLost, it.waiting, heard]).toEqual([true, 100, ['passed 100']])
    expect(kept()).toEqual({ ...nothing, position: 100, evicted: 100, sending: 0 })
    expect(cursor()).toEqual(kept())
  })

  it('is told in the singular, and adds up', () => {
    const { it, journal, said, kept } = progress(new MemoryExporter(), onDisk())
    for (const step of [1, 2, 3]) {
      addPoints(journal, stepsOf(step, step))
    }
    journal.drop(1)
    it.passEvicted()
    journal.drop(1)
    it.passEvicted()
    expect(said).toEqual(
      [1, 2].map(
        () =>
          'memory: 1 point of the run ppo will not be delivered: the journal had to drop it, see journal.maxRunBytes and journal.maxBytes',
      ),
    )
    expect(kept()).toEqual({ ...nothing, position: 2, evicted: 2, sending: 0 })
  })

  it('is no loss where it was delivered, and what was set aside is rejected', () => {
    const { it, journal, said, cursor, batch, kept, begin } = progress(new MemoryExporter(), onDisk())
    for (const from of [1, 11, 21, 31]) addPoints(journal, stepsOf(from, from + 9))
    it.settle(batch(0, 4), cursor(), { end: 4, aside: [] })
    const row = (sequence: number) => ({ sequence, name: 'loss', value: 1, reason: 'no' })
    it.begin('points', cursor(), { end: 12, aside: [row(6), row(10), row(11)] })
    journal.drop(1)
    expect(journal.firstKept.points).toBe(11)
    it.passEvicted()
    expect(kept()).toEqual({ ...nothing, position: 10, delivered: 4, rejected: 2, evicted: 4, sending: 12 })
    expect(said).toHaveLength(1)
    // The one behind stays set aside, for this process and the next.
    for (const each of [it, begin()]) expect(each.setAside(batch(10, 2)).way.aside).toMatchObject([{ sequence: 11 }])
    const { kept: rest, way } = it.setAside(batch(10, 2))
    it.settle(rest, cursor(), way)
    const there = { ...nothing, position: 12, delivered: 5, rejected: 3, evicted: 4, sending: 12 }
    expect(kept()).toEqual(there)
    journal.drop(1)
    it.passEvicted()
    expect(kept()).toEqual({ ...there, position: 20, evicted: 12 })
    it.begin('points', cursor(), { end: 40, aside: [row(25)] })
    for (const position of [30, 40]) {
      if (position === 40) addPoints(journal, stepsOf(41, 41))
      journal.drop(1)
      it.passEvicted()
      expect(kept()).toMatchObject({ position, rejected: 4 })
    }
  })

  it('leaves in doubt what is under way where that goes further', () => {
    const { it, journal, cursor, heard } = progress(new MemoryExporter(), onDisk())
    for (const from of [1, 11, 21]) addPoints(journal, stepsOf(from, from + 9))
    it.begin('points', cursor(), { end: 20, aside: [] })
    journal.drop(1)
    it.passEvicted()
    expect(heard).toEqual(['passed 10'])
    journal.drop(1)
    it.passEvicted()
    expect(heard).toEqual(['passed 10', 'passed 20'])
  })

  it('is told of spans as such', () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { spans: 100 }
    const { it, journal, said, kept } = progress(exporter, onDisk())
    addSpans(
      journal,
      Array.from({ length: 2000 }, () => spanOf('a', 100)),
    )
    journal.drop(50_000)
    const lost = journal.firstKept.spans - 1
    expect(lost).toBeGreaterThan(1)
    it.passEvicted()
    expect(said).toEqual([
      `memory: ${lost.toLocaleString('en-US')} spans of the run ppo will not be delivered: the journal had to drop them, see journal.maxRunBytes and journal.maxBytes`,
    ])
    expect(kept('spans')).toEqual({ ...nothing, position: lost, evicted: lost, sending: 0 })
  })
})

describe('the height of a series', () => {
  const heights = (journal: RunJournal) =>
    Object.fromEntries(journal.all('SELECT key, step FROM heights').map(({ key, step }) => [key, step]))
  const settle = ({ it, cursor }: ReturnType<typeof progress>, batch: Batch): void =>
    it.settle(batch, cursor(), { end: batch.first + batch.count - 1, aside: [] })

  it('is the highest step that is delivered, where the destination can be asked', () => {
    const all = progress(new ConfirmingExporter())
    const { it, journal, batch } = all
    addPoints(
      journal,
      [5, 9, 7, 3, 2, 11, 6].map((step, i) => ({ step, series: i > 3 ? 1 : 0 })),
    )
    it.settle(batch(0, 9, 'params'), all.cursor('params'), { end: 1, aside: [] })
    settle(all, batch(0, 2))
    expect(heights(journal)).toEqual({ loss: 9 })
    settle(all, batch(2, 3))
    expect(heights(journal)).toEqual({ loss: 9, 'bad%name': 2 })
    settle(all, batch(5, 2))
    expect(heights(journal)).toEqual({ loss: 9, 'bad%name': 11 })
    expect(it.account.heightOf('bad%name')).toBe(11)
  })

  it('is that of all series that have the same name there', () => {
    const exporter = Object.assign(new ConfirmingExporter(), { keyAt: () => 'same' })
    for (const steps of [
      [5, 9],
      [9, 5],
    ]) {
      const all = progress(exporter)
      addPoints(
        all.journal,
        steps.map((step, series) => ({ step, series })),
      )
      settle(all, all.batch(0, 2))
      expect(heights(all.journal)).toEqual({ same: 9 })
    }
  })

  it('is not kept where nobody can be asked', () => {
    const all = progress()
    addPoints(all.journal, stepsOf(1, 9))
    settle(all, all.batch(0, 9))
    expect(heights(all.journal)).toEqual({})
  })

  it('does not rise by what is refused', () => {
    const { journal, refuse } = progress(new ConfirmingExporter())
    addPoints(journal, stepsOf(1, 9))
    refuse(0, refusal('no'))
    expect(heights(journal)).toEqual({})
  })
})
