import { describe, expect, it, onTestFinished } from 'vitest'
import { accountOf } from '../../src/delivery/account.ts'
import { lastOf } from '../../src/delivery/batches.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import { Progress } from '../../src/delivery/progress.ts'
import { Sender } from '../../src/delivery/sender.ts'
import { notedOf, Upcoming } from '../../src/delivery/upcoming.ts'
import type { Batch } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { addPoints, stepsOf } from '../support/fill.ts'
import { ConfirmingExporter, MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'

/** What is to come of a run with these points, where batches have up to ten. */
function upcoming(points: number) {
  const prepared: Batch[] = []
  const exporter = Object.assign(new ConfirmingExporter(), {
    prepare: (_runId: string, batch: Batch) => void prepared.push(batch),
  })
  exporter.accepts = { points: 10 }
  const journal = RunJournal.create(':memory:', runStart(), 1 << 30)
  onTestFinished(() => journal.close())
  journal.addSeries(0, 'loss')
  addPoints(journal, stepsOf(1, points))
  const progress = new Progress({
    journal,
    exporter,
    account: accountOf(journal, exporter),
    run: 'ppo',
    say: () => {},
    onMoved: () => {},
    onPassed: () => {},
    doubtEnd: () => 0,
    nextOf: () => 0,
  })
  const sender = new Sender({
    exporter,
    clock: systemClock,
    cut: new AbortController().signal,
    onFailed: () => {},
    isWhole: true,
    heightOf: () => Number.NEGATIVE_INFINITY,
    onResent: () => {},
  })
  const it = new Upcoming({ journal, exporter, sender })
  const cursor = progress.cursors.get('points')!
  /** The batch that follows where the cursor stands at `position`, and up to `sending` is noted. */
  const next = (position: number, sending: number): Batch | null => {
    Object.assign(cursor, { position, sending })
    return it.next(progress, 'points', cursor)
  }
  /** Looks ahead while the batch that ends at `end` is under way. */
  const look = (position: number, end: number, sending: number): void => {
    Object.assign(cursor, { position, sending })
    it.lookAhead('r1', progress, { end, aside: [] })
  }
  return { it, exporter, prepared, progress, cursor, next, look }
}

describe('the batches that are to go', () => {
  it('are as large as the destination takes, and those that were noted are cut as they were, from their end on', () => {
    const { next } = upcoming(60)
    const bounds = (position: number, sending: number): number[] => {
      const batch = next(position, sending)!
      return [batch.first, lastOf(batch)]
    }
    expect(bounds(0, 0)).toEqual([1, 10])
    expect(bounds(55, 55)).toEqual([56, 60])
    expect(bounds(0, 25)).toEqual([1, 5])
    expect(bounds(5, 25)).toEqual([6, 15])
    expect(bounds(15, 25)).toEqual([16, 25])
    expect(next(60, 60)).toBe(null)
  })

  it('were begun up to where the first of those that are noted ends', () => {
    const { it, progress, cursor } = upcoming(60)
    for (const [position, sending, end] of [
      [0, 25, 5],
      [5, 25, 15],
      [15, 25, 25],
      [7, 9, 9],
    ] as const) {
      Object.assign(cursor, { position, sending })
      expect(it.endOfBegun(progress)).toBe(end)
    }
  })

  it('are the very ones that were read and encoded while the one before was under way', () => {
    const { prepared, next, look } = upcoming(60)
    look(0, 5, 25)
    expect(prepared.map((batch) => [batch.first, lastOf(batch)])).toEqual([[6, 15]])
    expect(next(5, 25)).toBe(prepared[0])
    look(5, 15, 25)
    expect(next(15, 25)).toBe(prepared[1])
    look(0, 3, 25)
    expect(next(3, 25)).toBe(prepared[2])
    expect([prepared.length, prepared[2]!.count]).toEqual([3, 2])
  })

  it('are read afresh when another one is due than that which was encoded, or the run is another one', () => {
    const { it, prepared, next, look } = upcoming(60)
    look(0, 5, 25)
    for (const [position, sending] of [
      [0, 25],
      [5, 13],
      [6, 16],
    ] as const) {
      const batch = next(position, sending)
      expect(batch).not.toBe(prepared[0])
      expect(batch!.first).toBe(position + 1)
    }
    expect(next(5, 25)).toBe(prepared[0])
    it.forget()
    expect(next(5, 25)).not.toBe(prepared[0])
  })

  it('are not looked for behind those that are noted', () => {
    const { prepared, look } = upcoming(60)
    look(0, 25, 25)
    look(0, 30, 25)
    expect(prepared).toEqual([])
  })

  it('are noted as some whole ones, or as one that is not full; one by one where nobody can be asked', () => {
    const { exporter } = upcoming(1)
    const noted = (waiting: number): number => notedOf(waiting, exporter, 'points')
    expect([1, 9, 10, 11, 19, 20, 159, 160, 1000].map(noted)).toEqual([1, 9, 10, 10, 10, 20, 150, 160, 160])
    const other = new MemoryExporter()
    other.accepts = { points: 10 }
    expect([1, 10, 11, 1000].map((waiting) => notedOf(waiting, other, 'points'))).toEqual([1, 10, 10, 10])
  })
})
