import { describe, expect, it } from 'vitest'
import { CHUNK_POINTS, POINT_BYTES } from '../../src/channel/chunk.ts'
import type { RunJournal } from '../../src/journal/journal.ts'
import { readMarksOf } from '../../src/journal/marks.ts'
import { readJournal } from '../../src/journal/status.ts'
import { dropped, EVENTS_OF, NUMBERS, SPANS_JOURNAL_FULL } from '../../src/telemetry/counters.ts'
import {
  addPoints,
  addSpans,
  counterOf,
  createInMemory,
  eventRow,
  createJournal,
  metaOf,
  openAgain,
  spansIn,
  waitingRow,
} from '../support/journal.ts'
import { chunkOf, countsOf, pointsFrom } from '../support/points.ts'

const MB = 1 << 20

describe('what is added to a journal', () => {
  const additions: Record<string, (journal: RunJournal) => void> = {
    series: (journal) => journal.addSeries(0, 'loss'),
    points: (journal) => journal.addPoints(chunkOf(pointsFrom(1, 2)), 2, null),
    counts: (journal) => journal.addCounts(countsOf(1)),
    head: (journal) => journal.addHead(0, new Uint8Array([1]), new Uint8Array([2])),
    spans: (journal) => {
      journal.addHead(0, new Uint8Array([1]), new Uint8Array([2]))
      journal.commit()
      addSpans(journal, [3, 4])
    },
    events: (journal) => journal.addEvents([eventRow(1)]),
    waiting: (journal) => journal.addWaiting([waitingRow(1)]),
    settled: (journal) => journal.settle([1]),
    params: (journal) => journal.addParams([['seed', '1']]),
    example: (journal) => journal.addExample('text', 'a line'),
    marks: (journal) => journal.addMarks([['1:2', 'so far']]),
    end: (journal) => journal.setEnd('FAILED', 8),
  }
  const held = (journal: RunJournal): unknown => ({
    keys: journal.all('SELECT key FROM series'),
    points: journal.points,
    numbers: counterOf(journal, NUMBERS),
    heads: journal.all('SELECT * FROM span_heads'),
    spans: journal.spans,
    events: [journal.events, counterOf(journal, EVENTS_OF.WARN)],
    waiting: journal.readWaiting(),
    params: journal.all("SELECT value FROM params WHERE name = 'seed'"),
    example: metaOf(journal, 'example.text'),
    marks: journal.readMarks(),
    end: journal.readEnd(),
  })
  const nothing = {
    keys: [],
    points: 0,
    numbers: 0,
    heads: [],
    spans: 0,
    events: [0, 0],
    waiting: [],
    params: [],
    example: undefined,
    marks: [],
    end: null,
  }
  const bytes = { id: 1, resource: new Uint8Array([1]), scope: new Uint8Array([2]) }

  it.each([
    ['series', { keys: [{ key: 'loss' }] }, 0],
    ['points', { points: 2 }, 56],
    ['counts', { numbers: 1 }, 0],
    ['head', { heads: [bytes] }, 0],
    ['spans', { heads: [bytes], spans: 2 }, 7],
    ['events', { events: [1, 1] }, 9],
    ['waiting', { waiting: [waitingRow(1)] }, 0],
    ['settled', {}, 0],
    ['params', { params: [{ value: '1' }] }, 0],
    ['example', { example: 'a line' }, 0],
    ['marks', { marks: [['1:2', 'so far']] }, 0],
    ['end', { end: { status: 'FAILED', time: 8 } }, 0],
  ])('waits for the next commit, which writes it: %s', (what, changed, pendingBytes) => {
    const journal = createInMemory(MB)
    expect([journal.isDirty, journal.pendingBytes]).toEqual([false, 0])
    additions[what]!(journal)
    const isSpans = what === 'spans'
    expect([journal.isDirty, journal.pendingBytes]).toEqual([true, pendingBytes])
    expect(held(journal)).toEqual(isSpans ? { ...nothing, heads: [bytes] } : nothing)
    expect(journal.commit()).toHaveLength(what === 'points' ? 1 : 0)
    expect(held(journal)).toEqual({ ...nothing, ...changed })
    expect([journal.isDirty, journal.pendingBytes, journal.commit()]).toEqual([false, 0, []])
  })

  it('is counted beside its points, and what is counted adds up', () => {
    const journal = createJournal()
    addPoints(journal, 1, 3)
    journal.addCounts(countsOf(4))
    journal.commit()
    journal.addCounts(countsOf(5))
    journal.commit()
    expect([counterOf(journal, NUMBERS), readJournal(journal.path).points]).toEqual([12, 12])
  })

  it('tells how far files have been read: the newest counts, and what is not wanted any more is gone', () => {
    const journal = createJournal()
    journal.addMarks([
      ['1:2', 'a'],
      ['1:3', 'b'],
    ])
    journal.addMarks([['1:2', 'c']])
    journal.commit()
    journal.addMarks([
      ['1:3', null],
      ['1:4', 'd'],
    ])
    journal.commit()
    const kept = [
      ['1:2', 'c'],
      ['1:4', 'd'],
    ]
    expect([journal.readMarks(), readMarksOf(journal.path), readMarksOf('/nowhere')]).toEqual([kept, kept, []])
  })

  it('is given back as the buffers that it came in', () => {
    const journal = createJournal()
    const buffers = [1, 2, 3].map((first) => chunkOf(pointsFrom(first, 1)))
    for (const buffer of buffers) journal.addPoints(buffer, 1, null)
    const back = journal.commit()
    expect(back).toHaveLength(3)
    for (const [i, buffer] of buffers.entries()) expect(back[i]).toBe(buffer)
  })

  it('and waits for spans is written but for what has settled before, and forgotten when it settles', () => {
    const journal = createJournal()
    journal.addWaiting([waitingRow(1), waitingRow(2), waitingRow(3)])
    journal.settle([2])
    journal.commit()
    expect(journal.readWaiting().map(({ id }) => id)).toEqual([1, 3])
    journal.settle([1])
    journal.addWaiting([waitingRow(4)])
    journal.commit()
    expect(journal.readWaiting().map(({ id }) => id)).toEqual([3, 4])
  })

  it('gives series their numbers in the journal, whatever the channel calls them', () => {
    const first = createJournal()
    for (const [id, key] of ['a', 'b', 'c'].entries()) first.addSeries(id, key)
    first.commit()
    const journal = openAgain(first)
    expect([journal.keys, journal.isNew, first.isNew]).toEqual([['a', 'b', 'c'], false, true])
    journal.addSeries(0, 'c')
    journal.addSeries(1, 'new')
    journal.addSeries(2, 'a')
    journal.addSeries(3, 'newer')
    journal.addSeries(4, 'new')
    const points = [0, 1, 2, 3, 4].map((series) => ({ series, step: series, time: 1, value: series }))
    journal.addPoints(chunkOf(points), 5, null)
    journal.commit()
    expect(journal.keys).toEqual(['a', 'b', 'c', 'new', 'newer'])
    const { series } = journal.read(0, 5)!
    expect(Array.from(series, (each) => journal.keys[each])).toEqual(['c', 'new', 'a', 'newer', 'new'])
    expect(journal.seriesStats.map(({ key, count, value }) => [key, count, value])).toEqual([
      ['a', 1, 2],
      ['c', 1, 0],
      ['new', 2, 4],
      ['newer', 1, 3],
    ])
  })

  it('stands under heads, each of which is stored once', () => {
    const journal = createJournal()
    const [a, b, c] = [new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3])]
    journal.addHead(0, a, b)
    journal.addHead(1, a, c)
    journal.addHead(2, a, b)
    addSpans(journal, [1, 2], 1)
    addSpans(journal, [3], 2)
    journal.commit()
    addSpans(journal, [1], 0)
    journal.commit()
    expect(spansIn(journal)).toEqual([
      { sequence: 1, resourceHead: a, scopeHead: c, bytes: new Uint8Array([1]) },
      { sequence: 2, resourceHead: a, scopeHead: c, bytes: new Uint8Array([2, 2]) },
      { sequence: 3, resourceHead: a, scopeHead: b, bytes: new Uint8Array([1, 1, 1]) },
      { sequence: 4, resourceHead: a, scopeHead: b, bytes: new Uint8Array([1]) },
    ])
    expect(journal.all('SELECT id FROM span_heads')).toHaveLength(2)
    expect(readJournal(journal.path).journaled).toEqual({ points: 0, spans: 4 })
    expect([spansIn(journal, 2, 1).length, spansIn(journal, 3, 10)[0]!.sequence, spansIn(journal, 4, 1)]).toEqual([
      1,
      4,
      [],
    ])
  })
})

describe('a commit', () => {
  it('that fails changes nothing, and the next one writes all of it once', () => {
    const journal = createInMemory(3 * CHUNK_POINTS * POINT_BYTES)
    journal.addSeries(0, 'loss')
    journal.addHead(0, new Uint8Array(), new Uint8Array())
    for (const first of [1, 1001]) addPoints(journal, first, CHUNK_POINTS)
    addSpans(journal, [CHUNK_POINTS * POINT_BYTES])
    journal.setEnd('FINISHED', 4)
    journal.run(`CREATE TRIGGER no BEFORE INSERT ON meta BEGIN SELECT RAISE(FAIL, 'no'); END`)
    for (let tries = 0; tries < 3; tries += 1) {
      expect(() => journal.commit()).toThrow('no')
      expect([journal.points, journal.spans, journal.keys, journal.isDirty]).toEqual([0, 0, [], true])
    }
    journal.run('DROP TRIGGER no')
    expect(journal.commit()).toHaveLength(2)
    expect([journal.points, journal.spans, counterOf(journal, NUMBERS)]).toEqual([2000, 1, 2000])
    expect([counterOf(journal, dropped('journal_full')), counterOf(journal, SPANS_JOURNAL_FULL)]).toEqual([0, 0])
  })

  it('notes its time in a run that others may go on with, and in no other', () => {
    const own = createJournal()
    own.addCounts(countsOf(1))
    own.commit(77)
    expect(metaOf(own, 'lastAt')).toBeUndefined()
    const shared = createJournal({ identity: 'me' })
    shared.addCounts(countsOf(1))
    shared.commit()
    expect(metaOf(shared, 'lastAt')).toBe('5')
    shared.addCounts(countsOf(1))
    shared.commit(78)
    // Nothing has come.
    shared.commit(90)
    expect(metaOf(shared, 'lastAt')).toBe('78')
    const again = openAgain(shared)
    again.addCounts(countsOf(1))
    again.commit(79)
    expect(metaOf(again, 'lastAt')).toBe('79')
    const ownAgain = openAgain(own)
    ownAgain.addCounts(countsOf(1))
    ownAgain.commit(79)
    expect(metaOf(ownAgain, 'lastAt')).toBeUndefined()
  })

  it('tells of new params, and of tags that were there', () => {
    const journal = createJournal({
      params: [],
      tags: [
        ['a', '1'],
        ['b', '2'],
      ],
    })
    expect([journal.lastText('params'), journal.lastText('tags')]).toEqual([0, 2])
    journal.addParams([
      ['x', '1'],
      ['y', '2'],
    ])
    expect(journal.lastText('params')).toBe(0)
    journal.commit()
    expect([journal.lastText('params'), journal.lastText('tags')]).toEqual([2, 2])
  })
})

describe('the bytes of spans', () => {
  it('are freed with the commit that has written them, and not by one that failed', () => {
    const journal = createInMemory(MB)
    const bytes = Uint8Array.of(1, 2, 3)
    journal.addHead(0, new Uint8Array(), new Uint8Array())
    journal.addSpans({ bytes, ends: Uint32Array.of(3), heads: Uint32Array.of(0) })
    journal.addSeries(0, 'loss')
    journal.run("INSERT INTO series (id, key) VALUES (0, 'in the way')")
    expect(() => journal.commit()).toThrow()
    expect(bytes.byteLength).toBe(3)
    journal.run('DELETE FROM series')
    journal.commit()
    expect(bytes.byteLength).toBe(0)
    expect(spansIn(journal, 0, 1)).toHaveLength(1)
  })
})
