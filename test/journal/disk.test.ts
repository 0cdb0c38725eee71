import { statSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CHUNK_POINTS } from '../../src/channel/chunk.ts'
import { addPoints, addSpans, createJournal, steps, stepsIn } from '../support/journal.ts'

const MB = 1 << 20

describe('a journal on disk', () => {
  it('has no limit of its own, and forgets nothing that is delivered', () => {
    const journal = createJournal()
    addPoints(journal, 1, 10)
    journal.commit()
    journal.forget(10)
    expect(stepsIn(journal)).toEqual(steps(1, 10))
  })

  it('gives free pages back, so many at a time, and cuts its log when there are none', () => {
    const journal = createJournal()
    for (let i = 0; i < 20; i += 1) addPoints(journal, 1, CHUNK_POINTS)
    journal.commit()
    const before = journal.usedBytes
    journal.drop(10 * MB)
    const free = Number(journal.get('PRAGMA freelist_count')!['freelist_count'])
    expect(free).toBeGreaterThan(50)
    expect(journal.vacuum(10)).toBe(free - 10)
    expect(journal.vacuum(free)).toBe(0)
    expect(statSync(`${journal.path}-wal`).size).toBe(0)
    expect(journal.usedBytes).toBeLessThan(before - 500_000)
    journal.drop(1)
    expect(journal.firstKept.points).toBe(20_001)
  })

  it('does not give back points that it has dropped', () => {
    const journal = createJournal()
    for (const first of [1, 11]) {
      addPoints(journal, first, 10)
      journal.commit()
    }
    expect(stepsIn(journal, 2, 3)).toEqual([3, 4, 5])
    journal.drop(1)
    expect(journal.firstKept.points).toBe(11)
    expect(() => journal.read(2, 3)).toThrow(new Error(`${journal.path} is damaged: no block holds point 3`))
    expect(stepsIn(journal, 10)).toEqual(steps(11, 20))
    expect([journal.read(20, 5), journal.read(19, 5)!.count, journal.read(10, 0)]).toEqual([null, 1, null])
  })

  it.each([
    ["UPDATE span_heads SET resource = 'x'", 'expected bytes as the resource of spans, got string'],
    ['UPDATE span_heads SET scope = 7', 'expected bytes as the scope of spans, got number'],
    ['PRAGMA foreign_keys = OFF; DELETE FROM span_heads', 'expected bytes as the resource of spans, got nothing'],
    ["UPDATE spans SET data = 'x'", 'expected bytes as spans, got string'],
    ['UPDATE spans SET count = 2', 'the block of span 1 should have 2 spans and has 1'],
    ['UPDATE spans SET count = 0.5', 'expected a count as spans in the block of span 1, got 0.5'],
    ["UPDATE spans SET data = x'120a01'", 'the block of span 1 should have 1 spans and has others'],
    ["UPDATE spans SET data = x'0a0101'", 'the block of span 1 should have 1 spans and has others'],
  ])('whose spans are damaged says so: %s', (sql, words) => {
    const journal = createJournal()
    journal.addHead(0, new Uint8Array([1]), new Uint8Array([2]))
    addSpans(journal, [3])
    journal.commit()
    journal.database.exec(sql)
    expect(() => journal.readSpans(0, 1)).toThrow(new Error(`${journal.path} is damaged: ${words}`))
  })

  it('with a gap between its blocks says so', () => {
    const journal = createJournal()
    for (const first of [1, 11, 21]) {
      addPoints(journal, first, 10)
      journal.commit()
    }
    journal.run('DELETE FROM blocks WHERE first = 11')
    expect(() => journal.read(0, 30)).toThrow(new Error(`${journal.path} is damaged: no block holds point 11`))
    expect([stepsIn(journal, 0, 10), stepsIn(journal, 20)]).toEqual([steps(1, 10), steps(21, 30)])
  })

  it('is read from anywhere to anywhere, forwards and back', () => {
    const journal = createJournal()
    const sizes = [10, 1, 7, 12]
    let next = 1
    for (const size of sizes) {
      addPoints(journal, next, size)
      journal.commit()
      next += size
    }
    for (let after = 29; after >= 0; after -= 1)
      for (let limit = 1; limit <= 30; limit += 1) {
        const wanted = steps(after + 1, Math.min(30, after + limit))
        const { first, count, step, value, time } = journal.read(after, limit)!
        expect([first, count, [...step]]).toEqual([after + 1, wanted.length, wanted])
        expect([value[0], time[0]]).toEqual([(after + 1) / 2, 10_001 + after])
      }
  })
})
