import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CHUNK_POINTS, POINT_BYTES } from '../../src/channel/chunk.ts'
import type { RunStart, WaitingRow } from '../../src/channel/messages.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, dropped, NUMBERS, SPANS_JOURNAL_FULL, WAITING } from '../../src/telemetry/counters.ts'
import { chunkOf, countsOf, pointsFrom } from '../support/points.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const MB = 1 << 20

function create(start: Partial<RunStart> = {}): RunJournal {
  const journal = RunJournal.create(join(temporaryDirectory(), 'x.sqlite'), runStart(start))
  onTestFinished(() => {
    if (journal.database.isOpen) journal.close()
  })
  return journal
}

function createInMemory(limit: number): RunJournal {
  const journal = RunJournal.create(':memory:', runStart(), limit)
  onTestFinished(() => journal.close())
  return journal
}

/** The same journal, as another process has it. */
function reopen(journal: RunJournal): RunJournal {
  journal.close()
  const again = RunJournal.open(journal.path)
  onTestFinished(() => again.close())
  return again
}

const addPoints = (journal: RunJournal, first: number, count: number): void =>
  journal.addPoints(chunkOf(pointsFrom(first, count)), count, countsOf(count))

/** Spans of so many bytes each, under the head of this number. */
function addSpans(journal: RunJournal, sizes: readonly number[], head = 0): void {
  const ends: number[] = []
  for (const size of sizes) ends.push((ends.at(-1) ?? 0) + size)
  const bytes = new Uint8Array(ends.at(-1) ?? 0)
  for (const [i, end] of ends.entries()) bytes.fill(i + 1, i === 0 ? 0 : ends[i - 1], end)
  journal.addSpans({ bytes, ends: Uint32Array.from(ends), heads: Uint32Array.from(sizes, () => head) })
}

const waitingRow = (id: number, numbers = 1): WaitingRow => ({
  id,
  since: 5,
  numbers,
  span: 'ab',
  part: -1,
  body: null,
})

const stepsIn = (journal: RunJournal, after = 0, limit = 10_000): number[] => [
  ...(journal.read(after, limit)?.step ?? []),
]
const steps = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const counterOf = (journal: RunJournal, counter: number): number =>
  Number(journal.get('SELECT value FROM counters WHERE name = ?', COUNTERS[counter]!)!['value'])
const metaOf = (journal: RunJournal, key: string): unknown =>
  journal.get('SELECT value FROM meta WHERE key = ?', key)?.['value']

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
    waiting: (journal) => journal.addWaiting([waitingRow(1)]),
    settled: (journal) => journal.settle([1]),
    params: (journal) => journal.addParams([['seed', '1']]),
    example: (journal) => journal.addExample('text', 'a line'),
    end: (journal) => journal.setEnd('FAILED', 8),
  }
  const held = (journal: RunJournal): unknown => ({
    keys: journal.all('SELECT key FROM series'),
    points: journal.points,
    numbers: counterOf(journal, NUMBERS),
    heads: journal.all('SELECT * FROM span_heads'),
    spans: journal.spans,
    waiting: journal.readWaiting(),
    params: journal.all("SELECT value FROM params WHERE name = 'seed'"),
    example: metaOf(journal, 'example.text'),
    end: journal.readEnd(),
  })
  const nothing = {
    keys: [],
    points: 0,
    numbers: 0,
    heads: [],
    spans: 0,
    waiting: [],
    params: [],
    example: undefined,
    end: null,
  }
  const bytes = { id: 1, resource: new Uint8Array([1]), scope: new Uint8Array([2]) }

  it.each([
    ['series', { keys: [{ key: 'loss' }] }, 0],
    ['points', { points: 2 }, 56],
    ['counts', { numbers: 1 }, 0],
    ['head', { heads: [bytes] }, 0],
    ['spans', { heads: [bytes], spans: 2 }, 7],
    ['waiting', { waiting: [waitingRow(1)] }, 0],
    ['settled', {}, 0],
    ['params', { params: [{ value: '1' }] }, 0],
    ['example', { example: 'a line' }, 0],
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
    const journal = create()
    addPoints(journal, 1, 3)
    journal.addCounts(countsOf(4))
    journal.commit()
    journal.addCounts(countsOf(5))
    journal.commit()
    expect([counterOf(journal, NUMBERS), readJournal(journal.path).points]).toEqual([12, 12])
  })

  it('is given back as the buffers that it came in', () => {
    const journal = create()
    const buffers = [1, 2, 3].map((first) => chunkOf(pointsFrom(first, 1)))
    for (const buffer of buffers) journal.addPoints(buffer, 1, null)
    const back = journal.commit()
    expect(back).toHaveLength(3)
    for (const [i, buffer] of buffers.entries()) expect(back[i]).toBe(buffer)
  })

  it('and waits for spans is written but for what has settled before, and forgotten when it settles', () => {
    const journal = create()
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
    const first = create()
    for (const [id, key] of ['a', 'b', 'c'].entries()) first.addSeries(id, key)
    first.commit()
    const journal = reopen(first)
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
    const journal = create()
    const [a, b, c] = [new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3])]
    journal.addHead(0, a, b)
    journal.addHead(1, a, c)
    journal.addHead(2, a, b)
    addSpans(journal, [1, 2], 1)
    addSpans(journal, [3], 2)
    journal.commit()
    addSpans(journal, [1], 0)
    journal.commit()
    expect(journal.readSpans(0, 10)).toEqual([
      { sequence: 1, resourceHead: a, scopeHead: c, bytes: new Uint8Array([1]) },
      { sequence: 2, resourceHead: a, scopeHead: c, bytes: new Uint8Array([2, 2]) },
      { sequence: 3, resourceHead: a, scopeHead: b, bytes: new Uint8Array([1, 1, 1]) },
      { sequence: 4, resourceHead: a, scopeHead: b, bytes: new Uint8Array([1]) },
    ])
    expect(journal.all('SELECT id FROM span_heads')).toHaveLength(2)
    expect(readJournal(journal.path).journaled).toEqual({ points: 0, spans: 4 })
    expect([journal.readSpans(2, 1).length, journal.readSpans(3, 10)[0]!.sequence, journal.readSpans(4, 1)]).toEqual([
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
    const own = create()
    own.addCounts(countsOf(1))
    own.commit(77)
    expect(metaOf(own, 'lastAt')).toBeUndefined()
    const shared = create({ identity: 'me' })
    shared.addCounts(countsOf(1))
    shared.commit()
    expect(metaOf(shared, 'lastAt')).toBe('5')
    shared.addCounts(countsOf(1))
    shared.commit(78)
    expect(metaOf(shared, 'lastAt')).toBe('78')
    const again = reopen(shared)
    again.addCounts(countsOf(1))
    again.commit(79)
    expect(metaOf(again, 'lastAt')).toBe('79')
    const ownAgain = reopen(own)
    ownAgain.addCounts(countsOf(1))
    ownAgain.commit(79)
    expect(metaOf(ownAgain, 'lastAt')).toBeUndefined()
  })

  it('tells of new params, and of tags that were there', () => {
    const journal = create({
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

describe('a journal that is opened again', () => {
  it('knows what it holds, and who has it now', () => {
    const first = create({ identity: 'me' })
    first.addHead(0, new Uint8Array(), new Uint8Array())
    addPoints(first, 1, 5)
    addSpans(first, [1, 1])
    first.addSeries(0, 'loss')
    first.commit()
    first.run("UPDATE meta SET value = '1' WHERE key = 'pid'")
    const journal = reopen(first)
    expect([journal.points, journal.spans, journal.firstKept, journal.keys]).toEqual([
      5,
      2,
      { points: 1, spans: 1 },
      ['loss'],
    ])
    expect([metaOf(journal, 'pid'), journal.isInMemory, journal.isOverflowing]).toEqual([
      String(process.pid),
      false,
      false,
    ])
    expect(journal.path).toBe(first.path)
    addPoints(journal, 6, 2)
    journal.commit()
    expect(stepsIn(journal)).toEqual(steps(1, 7))
  })

  it('goes on: its end is taken back, at its destinations, too', () => {
    const first = create()
    first.run("INSERT INTO destinations (exporter, address, ended) VALUES ('a', 'b', 1)")
    first.setEnd('FINISHED', 9)
    first.commit()
    first.run("INSERT INTO meta (key, value) VALUES ('closedBy', 'take-over')")
    const journal = reopen(first)
    expect(journal.readEnd()).toEqual({ status: 'FINISHED', time: 9 })
    journal.reopen()
    expect([journal.readEnd(), metaOf(journal, 'closedBy'), metaOf(journal, 'endedAt')]).toEqual([
      null,
      undefined,
      undefined,
    ])
    expect([metaOf(journal, 'run'), journal.get('SELECT ended FROM destinations')]).toEqual(['01TEST', { ended: 0 }])
  })

  it('is closed at the time of its last point, with what waits given up', () => {
    const first = create()
    first.addPoints(chunkOf([9.5, 7.75].map((time) => ({ series: 0, step: 1, time, value: 1 }))), 2, null)
    first.addWaiting([waitingRow(1, 3)])
    first.addCounts(Float64Array.from(COUNTERS, (_, i) => (i === WAITING ? 3 : 0)))
    first.commit()
    const journal = reopen(first)
    journal.closeByTakeOver()
    expect([journal.readEnd(), journal.readWaiting()]).toEqual([{ status: 'KILLED', time: 7 }, []])
    expect(readJournal(journal.path)).toMatchObject({ closedBy: 'take-over', waiting: 0, skipped: { no_step: 3 } })
  })

  it('is closed when it began, where no point of it is left', () => {
    const first = create()
    addPoints(first, 1, 3)
    first.commit()
    first.drop(1)
    const journal = reopen(first)
    expect(journal.firstKept.points).toBe(4)
    journal.closeByTakeOver('FINISHED')
    expect(journal.readEnd()).toEqual({ status: 'FINISHED', time: 5 })
  })

  it.each([
    ['2', "INSERT INTO series (id, key) VALUES (0, 'a'), (2, 'b')", 'expected series 1 and its key, got 2 and b'],
    [
      'x',
      "UPDATE counters SET value = 'x' WHERE name = 'journaled.points'",
      'expected a count as journaled.points, got NaN',
    ],
    [
      'y',
      "UPDATE counters SET value = -1 WHERE name = 'journaled.spans'",
      'expected a count as journaled.spans, got -1',
    ],
  ])('is refused where it is damaged: %s', (_, sql, words) => {
    const first = create()
    first.run(sql)
    first.close()
    expect(() => RunJournal.open(first.path)).toThrow(new Error(`${first.path} is damaged: ${words}`))
  })
})

describe('a journal in memory', () => {
  it('takes what fits to the last byte, and counts the points and spans beyond that', () => {
    const journal = createInMemory(1000 * POINT_BYTES)
    expect(journal.isInMemory).toBe(true)
    journal.addHead(0, new Uint8Array(), new Uint8Array())
    addPoints(journal, 1, 900)
    journal.commit()
    addPoints(journal, 901, 101)
    journal.commit()
    addPoints(journal, 901, 50)
    journal.commit()
    addSpans(journal, [20 * POINT_BYTES, 31 * POINT_BYTES, 30 * POINT_BYTES])
    journal.commit()
    addPoints(journal, 951, 1)
    addSpans(journal, [1])
    journal.commit()
    expect([journal.points, journal.spans, stepsIn(journal)]).toEqual([950, 2, steps(1, 950)])
    expect(journal.readSpans(0, 5).map(({ bytes }) => [bytes.length, bytes[0]])).toEqual([
      [560, 1],
      [840, 3],
    ])
    expect([counterOf(journal, dropped('journal_full')), counterOf(journal, SPANS_JOURNAL_FULL)]).toEqual([102, 2])
    expect(journal.seriesStats.map(({ count }) => count)).toEqual([950])
    expect(journal.get("SELECT value FROM counters WHERE name = 'journaled.spans'")).toEqual({ value: 2 })
  })

  it('has room again for as much as is delivered of it, block by block', () => {
    const journal = createInMemory(1000 * POINT_BYTES)
    for (const first of [1, 501]) {
      addPoints(journal, first, 500)
      journal.commit()
    }
    journal.forget(499)
    expect(stepsIn(journal)).toEqual(steps(1, 1000))
    journal.forget(500)
    addPoints(journal, 1001, 501)
    journal.commit()
    expect([journal.points, counterOf(journal, dropped('journal_full'))]).toEqual([1000, 501])
    addPoints(journal, 1001, 500)
    journal.commit()
    expect([journal.points, stepsIn(journal, 500)]).toEqual([1500, steps(501, 1500)])
  })

  it('drops nothing to keep within a limit on disk', () => {
    const journal = createInMemory(MB)
    addPoints(journal, 1, 10)
    journal.commit()
    journal.drop(MB)
    expect([journal.firstKept.points, stepsIn(journal)]).toEqual([1, steps(1, 10)])
  })
})

describe('a journal on disk', () => {
  it('has no limit of its own, and forgets nothing that is delivered', () => {
    const journal = create()
    addPoints(journal, 1, 10)
    journal.commit()
    journal.forget(10)
    expect(stepsIn(journal)).toEqual(steps(1, 10))
  })

  it('gives free pages back, so many at a time, and cuts its log when there are none', () => {
    const journal = create()
    for (let i = 0; i < 20; i += 1) addPoints(journal, 1, CHUNK_POINTS)
    journal.commit()
    const before = journal.usedBytes
    journal.drop(10 * MB)
    const free = Number(journal.get('PRAGMA freelist_count')!['freelist_count'])
    expect(free).toBeGreaterThan(100)
    expect(journal.vacuum(10)).toBe(free - 10)
    expect(journal.vacuum(free)).toBe(0)
    expect(journal.usedBytes).toBeLessThan(before - 500_000)
    journal.drop(1)
    expect(journal.firstKept.points).toBe(20_001)
  })

  it('does not give back points that it has dropped', () => {
    const journal = create()
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

  it('with a gap between its blocks says so', () => {
    const journal = create()
    for (const first of [1, 11, 21]) {
      addPoints(journal, first, 10)
      journal.commit()
    }
    journal.run('DELETE FROM blocks WHERE first = 11')
    expect(() => journal.read(0, 30)).toThrow(new Error(`${journal.path} is damaged: no block holds point 11`))
    expect([stepsIn(journal, 0, 10), stepsIn(journal, 20)]).toEqual([steps(1, 10), steps(21, 30)])
  })

  it('is read from anywhere to anywhere, forwards and back', () => {
    const journal = create()
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

describe('a journal whose disk cannot take any more', () => {
  /** 10 points, 2 spans and a param on disk; as much in memory. */
  function overflowing(limit = MB): RunJournal {
    const journal = create()
    const add = (n: number): void => {
      journal.addHead(0, new Uint8Array([1]), new Uint8Array([2]))
      addPoints(journal, 10 * n + 1, 10)
      addSpans(journal, [4, 5])
      journal.addParams([[`p${n}`, 'x']])
      journal.commit()
    }
    journal.addSeries(0, 'loss')
    add(0)
    journal.overflow(limit)
    add(1)
    return journal
  }
  const onDisk = ({ path }: RunJournal): unknown => {
    const { points, journaled, endedAt } = readJournal(path)
    return { points, journaled, endedAt }
  }

  it('has all that it had, and what comes, in order, while others see what is on disk', () => {
    const journal = overflowing()
    expect([journal.isOverflowing, journal.isInMemory, journal.points, journal.spans]).toEqual([true, false, 20, 4])
    for (let after = 0; after < 20; after += 1)
      for (const limit of [1, 5, 20])
        expect(stepsIn(journal, after, limit)).toEqual(steps(after + 1, Math.min(20, after + limit)))
    const sequences = (after: number, limit: number): number[] =>
      journal.readSpans(after, limit).map(({ sequence }) => sequence)
    // Where the spans end that are on disk, the next ones are for the next time.
    expect([sequences(0, 10), sequences(1, 10), sequences(2, 10), sequences(3, 10), sequences(4, 1)]).toEqual([
      [1, 2],
      [2],
      [3, 4],
      [4],
      [],
    ])
    expect(sequences(2, 1)).toEqual([3])
    expect(onDisk(journal)).toEqual({ points: 10, journaled: { points: 10, spans: 2 }, endedAt: null })
    journal.drop(MB)
    expect(journal.firstKept).toEqual({ points: 1, spans: 1 })
  })

  it('drops what is beyond the limit of memory, which what is on disk does not count for', () => {
    const journal = overflowing(10 * POINT_BYTES + 9 + 28)
    addPoints(journal, 21, 2)
    journal.commit()
    addPoints(journal, 21, 1)
    journal.commit()
    expect([journal.points, counterOf(journal, dropped('journal_full'))]).toEqual([21, 2])
  })

  it('forgets what is delivered only when memory is half full, for it is wanted on disk again', () => {
    const bytes = 10 * POINT_BYTES + 9
    const roomy = overflowing(2 * bytes + 2)
    roomy.forget(20)
    expect(stepsIn(roomy, 10)).toEqual(steps(11, 20))
    const full = overflowing(2 * bytes)
    full.forget(20)
    expect(full.all('SELECT first FROM blocks')).toEqual([])
  })

  it('brings everything back to disk when it can, and has no limit any more', () => {
    const journal = overflowing(10 * POINT_BYTES + 9)
    journal.drainOverflow()
    expect([journal.isOverflowing, stepsIn(journal)]).toEqual([false, steps(1, 20)])
    expect(journal.readSpans(0, 10).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4])
    addPoints(journal, 21, 100)
    addSpans(journal, [1])
    journal.commit()
    expect(onDisk(journal)).toEqual({ points: 120, journaled: { points: 120, spans: 5 }, endedAt: null })
    journal.forget(120)
    expect(stepsIn(journal)).toEqual(steps(1, 120))
    journal.drainOverflow()
    journal.saveAccount()
    expect(journal.points).toBe(120)
    const again = reopen(journal)
    expect([again.points, again.spans]).toEqual([120, 5])
  })

  it('keeps at least the account and the end of its run on disk', () => {
    const journal = overflowing()
    journal.setEnd('FINISHED', 9)
    journal.commit()
    journal.saveAccount()
    expect(onDisk(journal)).toEqual({ points: 20, journaled: { points: 20, spans: 4 }, endedAt: 9 })
    expect([journal.isOverflowing, stepsIn(journal)]).toEqual([true, steps(1, 20)])
    journal.close()
    const disk = RunJournal.open(journal.path)
    expect([disk.all('SELECT first, count FROM blocks'), disk.all('SELECT sequence FROM spans').length]).toEqual([
      [{ first: 1, count: 10 }],
      2,
    ])
    disk.close()
  })

  it('overflows again with all the room that there is', () => {
    const journal = overflowing(10 * POINT_BYTES + 9)
    journal.drainOverflow()
    journal.overflow(10 * POINT_BYTES)
    addPoints(journal, 21, 10)
    journal.commit()
    expect([journal.points, stepsIn(journal)]).toEqual([30, steps(1, 30)])
  })
})
