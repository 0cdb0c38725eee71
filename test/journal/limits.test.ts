import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHUNK_POINTS, columnsOf } from '../../src/channel/chunk.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, NUMBERS, POINTS } from '../../src/telemetry/counters.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

function addPoints(journal: RunJournal, count: number): void {
  for (let left = count; left > 0;) {
    const n = Math.min(left, CHUNK_POINTS)
    left -= n
    const buffer = new ArrayBuffer(CHUNK_POINTS * 28)
    columnsOf(buffer, CHUNK_POINTS).value.fill(journal.points + 1)
    journal.addPoints(
      buffer,
      n,
      Float64Array.from(COUNTERS, (_, i) => (i === POINTS || i === NUMBERS ? n : 0)),
    )
  }
  journal.commit()
}

describe('a journal that drops its oldest points', () => {
  it('keeps the others as they were, and counts all that it ever had, also when it is opened again', () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 1, max: 3000 }) }),
      fc.record({ drop: fc.integer({ min: 1, max: 100_000 }) }),
      fc.record({ reopen: fc.constant(true) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const path = join(temporaryDirectory(), 'x.sqlite')
        let journal = RunJournal.create(path, runStart())
        journal.addSeries(0, 'loss')
        let total = 0
        for (const each of steps) {
          const before = journal.firstKept.points
          if ('add' in each) addPoints(journal, each.add)
          else if ('drop' in each) journal.drop(each.drop)
          else {
            journal.close()
            journal = RunJournal.open(path)
          }
          total += 'add' in each ? each.add : 0
          const first = journal.firstKept.points
          expect(journal.points).toBe(total)
          expect(first).toBeGreaterThanOrEqual(before)
          if ('drop' in each && before <= total) expect(first).toBeGreaterThan(before)
          const left = journal.read(first - 1, total)
          expect(left?.count ?? 0).toBe(total - first + 1)
        }
        journal.close()
        const { notKept, journaled } = readJournal(path)
        expect([notKept.points, journaled.points]).toEqual([journal.firstKept.points - 1, total])
      }),
      { numRuns: 40 },
    )
  })

  it('drops what its destinations have before what they lack, points and spans alike', () => {
    const journal = RunJournal.create(join(temporaryDirectory(), 'x.sqlite'), runStart())
    journal.addSeries(0, 'loss')
    journal.addHead(0, new Uint8Array(), new Uint8Array())
    for (let i = 0; i < 20; i += 1) {
      const ends = Uint32Array.from({ length: 10 }, (_, span) => (span + 1) * 100)
      journal.addSpans({ bytes: new Uint8Array(1000), ends, heads: new Uint32Array(10) })
      addPoints(journal, 1000)
    }
    const cursor = (id: number, kind: string, state: string, position: number): void => {
      journal.run('INSERT INTO destinations (id, exporter, address, state) VALUES (?, ?, ?, ?)', id, kind, '', state)
      journal.run('INSERT INTO cursors (destination, kind, position) VALUES (?, ?, ?)', id, kind, position)
    }
    cursor(1, 'points', 'ok', 10_500)
    cursor(2, 'spans', 'suspended', 50)
    // The run has been moved away from these.
    cursor(3, 'points', 'disabled', 0)
    cursor(4, 'spans', 'disabled', 0)
    journal.drop(100_000)
    expect(journal.firstKept).toEqual({ points: 4001, spans: 51 })
    journal.drop(168_000)
    expect(journal.firstKept).toEqual({ points: 10_001, spans: 51 })
    journal.drop(2000)
    expect(journal.firstKept).toEqual({ points: 11_001, spans: 61 })
    journal.close()
  })

  it('uses their pages again, and gives them back when it is asked to', () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    const journal = RunJournal.create(path, runStart())
    journal.addSeries(0, 'loss')
    addPoints(journal, 100_000)
    const full = journal.usedBytes
    journal.drop(10_000_000)
    expect(journal.usedBytes).toBeLessThan(full / 4)
    while (journal.vacuum(100) > 0);
    expect(journal.usedBytes).toBeLessThan(200_000)
    journal.close()
  })
})
