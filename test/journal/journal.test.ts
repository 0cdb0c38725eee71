import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CHUNK_POINTS, columnsOf } from '../../src/channel/chunk.ts'
import { nextBatch } from '../../src/delivery/batches.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { isBusy, isLocked, JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, dropped, POINTS } from '../../src/telemetry/counters.ts'
import { traceIdOf } from '../../src/otlp/traces.ts'
import { spansIn } from '../support/journal.ts'
import { runStart } from '../support/run-start.ts'
import { start as spawn, temporaryDirectory } from '../support/spanbridge.ts'

const start = runStart({ params: [], tags: [['a', 'b']] })

/** A chunk as the channel sends it; values are the steps' square roots, so that columns cannot be mixed up. */
function chunk(steps: readonly number[]): ArrayBuffer {
  const buffer = new ArrayBuffer(CHUNK_POINTS * 28)
  const columns = columnsOf(buffer, CHUNK_POINTS)
  steps.forEach((step, i) => {
    columns.step[i] = step
    columns.value[i] = Math.sqrt(step)
    columns.time[i] = step + 0.5
    columns.series[i] = step % 3
  })
  return buffer
}

const points = (n: number): Float64Array => Float64Array.from(COUNTERS, (_, i) => (i === POINTS ? n : 0))

function create(memoryLimit: number | null = null): RunJournal {
  const journal = RunJournal.create(
    memoryLimit === null ? join(temporaryDirectory(), '01TEST.sqlite') : ':memory:',
    start,
    memoryLimit,
  )
  onTestFinished(() => journal.close())
  return journal
}

describe('a journal', () => {
  it('gives back the points that were committed, however they came in and however they are read', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 1, max: CHUNK_POINTS }), { maxLength: 6 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 3000 }),
        (commits, limit) => {
          const journal = create()
          let next = 0
          for (const chunks of commits) {
            for (const count of chunks) {
              journal.addPoints(chunk(Array.from({ length: count }, () => (next += 1))), count, points(count))
            }
            expect(journal.commit().length).toBe(chunks.length)
          }
          expect(journal.points).toBe(next)
          const read: number[] = []
          for (let after = 0; ;) {
            const part = journal.read(after, limit)
            if (part === null) break
            expect(part.first).toBe(after + 1)
            for (let i = 0; i < part.count; i += 1) {
              const step = part.step[i]!
              read.push(step)
              expect([part.value[i], part.time[i], part.series[i]]).toEqual([Math.sqrt(step), step + 0.5, step % 3])
            }
            after += part.count
          }
          expect(read).toEqual(Array.from({ length: next }, (_, i) => i + 1))
          expect(readJournal(journal.path)).toMatchObject({ points: next, journaled: { points: next } })
        },
      ),
      { numRuns: 15 },
    )
  })

  it('shows nothing of what is not committed, and all of it afterwards to whoever opens the file', () => {
    const journal = create()
    journal.addSeries(0, 'trainer/loss')
    journal.addPoints(chunk([3]), 1, points(1))
    journal.addParams([['lr', '1e-3']])
    expect(readJournal(journal.path)).toMatchObject({ points: 0, series: 0 })
    journal.commit()
    const again = RunJournal.open(journal.path)
    expect([again.points, again.keys, again.readStart()]).toEqual([
      1,
      ['trainer/loss'],
      { ...start, params: undefined },
    ])
    again.close()
  })

  it('keeps the first value of a param and puts another one among the rejected rows', () => {
    const journal = create()
    journal.addParams([
      ['lr', '1'],
      ['lr', '1'],
      ['lr', '2'],
    ])
    journal.commit()
    expect(journal.all('SELECT name, value FROM params')).toEqual([{ name: 'lr', value: '1' }])
    expect(readJournal(journal.path).rejectedParams).toBe(1)
  })

  it('leaves everything waiting when a commit fails, and writes it when the next one does not', () => {
    const journal = create()
    journal.addSeries(0, 'a')
    journal.addPoints(chunk([1, 2]), 2, points(2))
    journal.database.exec('PRAGMA query_only = ON')
    expect(() => journal.commit()).toThrow(/readonly/)
    expect(journal.points).toBe(0)
    journal.database.exec('PRAGMA query_only = OFF')
    expect(journal.commit().length).toBe(1)
    expect(readJournal(journal.path)).toMatchObject({ points: 2, series: 1, journaled: { points: 2 } })
  })

  it('in memory drops the newest points beyond its limit, counted, and has room again for what was delivered', () => {
    const journal = create(1500 * 28)
    for (let i = 0; i < 3; i += 1) {
      journal.addPoints(chunk(Array.from({ length: 1000 }, (_, n) => i * 1000 + n + 1)), 1000, points(1000))
      journal.commit()
    }
    const lost = Number(
      journal.get('SELECT value FROM counters WHERE name = ?', COUNTERS[dropped('journal_full')]!)!['value'],
    )
    expect([journal.points, lost]).toEqual([1000, 2000])
    journal.forget(1000)
    journal.addPoints(chunk([1]), 1, points(1))
    journal.commit()
    expect(journal.points).toBe(1001)
  })

  it('is readable for its owner only', () => {
    expect(statSync(create().path).mode & 0o777).toBe(0o600)
  })

  it.each([1, 2, 3, 4])(
    'of format %i, written by the version of that time, is brought up to date when it is opened',
    (format) => {
      const path = join(temporaryDirectory(), 'old.sqlite')
      const fixture = new URL(`../fixtures/journals/format-${format}.sqlite.gz`, import.meta.url)
      writeFileSync(path, gunzipSync(readFileSync(fixture)))
      const journal = RunJournal.open(path)
      expect(journal.readStart()).toMatchObject({ name: 'old', identity: null, trackerRun: null })
      const { value, step } = journal.read(118, 2)!
      expect([[...value], [...step]]).toEqual([
        [60.5, 0.25],
        [60, 60],
      ])
      const before = journal.spans
      expect(before).toBe(format === 1 ? 0 : 60)
      journal.addHead(0, new Uint8Array([1]), new Uint8Array([2]))
      journal.addSpans({
        bytes: new Uint8Array([3, 4, 5]),
        ends: new Uint32Array([1, 3]),
        heads: new Uint32Array([0, 0]),
      })
      journal.addWaiting([{ id: 1, since: 5, numbers: 2, span: 'ab', part: -1, body: null }])
      journal.addEvents([{ time: 5, level: 'WARN', target: 'a', message: 'b', step: 7, fields: '{}' }])
      journal.commit()
      const old = spansIn(journal, 0, before)
      expect(old.map(({ sequence }) => sequence)).toEqual(Array.from({ length: before }, (_, i) => i + 1))
      expect(old.every(({ bytes }) => /^[0-9a-f]{32}$/.test(traceIdOf(bytes)))).toBe(true)
      expect(spansIn(journal, before).map(({ sequence, bytes }) => [sequence - before, [...bytes]])).toEqual([
        [1, [3]],
        [2, [4, 5]],
      ])
      journal.close()
      const again = RunJournal.open(path)
      expect([again.spans, again.points, again.events, again.readWaiting().length]).toEqual([before + 2, 120, 1, 1])
      const row = { sequence: 1, time: 5, level: 'WARN', target: 'a', message: 'b', step: 7, fields: '{}' }
      expect(again.all('SELECT * FROM events')).toEqual([row])
      again.close()
    },
  )

  it('of a run that died before its first point ends when it began', () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    RunJournal.create(path, start).close()
    const journal = RunJournal.open(path)
    journal.closeByTakeOver()
    expect(journal.readEnd()).toEqual({ status: 'KILLED', time: 5 })
    journal.close()
  })

  it.each([
    ['a block that is too short', 'UPDATE blocks SET data = substr(data, 1, 50)', 'has 50 bytes for 3 points of 28'],
    ['a block that is too long', 'UPDATE blocks SET count = 2', 'has 84 bytes for 2 points of 28'],
    ['a count that is none', 'UPDATE blocks SET count = 1e300', 'expected a count as points in the block of point 1'],
    ['a block that is gone', 'DELETE FROM blocks', 'no block holds point 1'],
    ['a series without its key', 'DELETE FROM series WHERE id = 2', 'points of series 2, which has no key'],
    ['a gap between series', 'DELETE FROM series WHERE id = 1', 'expected series 1 and its key, got 2 and c'],
    ['a number of points that is none', "UPDATE counters SET value = 'x'", 'expected a count as journaled.points'],
    ['a command that is none', "UPDATE meta SET value = '{' WHERE key = 'command'", 'list of words as its command'],
  ])('with %s says so, and makes up no points', (_, sql, words) => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    const journal = RunJournal.create(path, start)
    for (const [id, key] of ['a', 'b', 'c'].entries()) journal.addSeries(id, key)
    journal.addPoints(chunk([0, 1, 2]), 3, points(3))
    journal.commit()
    journal.run(sql)
    journal.close()
    const read = (): void => {
      const again = RunJournal.open(path)
      onTestFinished(() => again.close())
      nextBatch(again, 'points', 0, 10)
    }
    expect(read).toThrow(`${path} is damaged: `)
    expect(read).toThrow(words)
  })

  it('of another kind or format is refused by name', () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    writeFileSync(path, '')
    expect(() => RunJournal.open(path)).toThrow(
      `${path} is no journal of this version: expected format 5, found another kind of file`,
    )
  })
})

describe('the lock of a journal', () => {
  it('is held by one at a time, seen by others, and free again when its holder is killed', async () => {
    const path = join(temporaryDirectory(), 'x.lock')
    const code = `import('${new URL('../../src/journal/lock.ts', import.meta.url).href}').then(({ JournalLock }) => { globalThis.lock = new JournalLock('${path}'); console.log('held'); setInterval(() => {}, 1000) })`
    const holder = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', code])
    await holder.seen('held', 'stdout')
    expect(isLocked(path)).toBe(true)
    let caught: unknown
    try {
      new JournalLock(path).release()
    } catch (error) {
      caught = error
    }
    expect(isBusy(caught)).toBe(true)
    holder.child.kill('SIGKILL')
    await holder.finished
    expect(isLocked(path)).toBe(false)
    const lock = new JournalLock(path)
    lock.release()
    expect(existsSync(path)).toBe(true)
  })
})

describe('a journal whose disk is full', () => {
  it('goes on in memory, gives back every point, and has all of it on disk when there is room again', () => {
    const journal = create()
    journal.addSeries(0, 'trainer/loss')
    journal.addPoints(chunk(Array.from({ length: 900 }, (_, i) => i + 1)), 900, points(900))
    journal.addParams([['lr', '1']])
    journal.commit()
    const disk = journal.database
    const pages = Number(journal.get('PRAGMA page_count')!['page_count'])
    disk.exec(`PRAGMA max_page_count = ${pages}`)
    journal.addPoints(chunk(Array.from({ length: 1000 }, (_, i) => 901 + i)), 1000, points(1000))
    expect(() => journal.commit()).toThrow(/full/)
    journal.overflow(64 << 20)
    journal.addSeries(1, 'trainer/kl')
    journal.addParams([['kl', '2']])
    journal.commit()
    journal.reject({ destination: null, kind: 'params', sequence: 1, name: 'lr', value: '2', reason: 'another' })
    expect([journal.points, journal.isOverflowing]).toEqual([1900, true])
    const all = (): number[] => {
      const read = journal.read(0, 5000)!
      return Array.from(read.step.subarray(0, read.count))
    }
    const wanted = Array.from({ length: 1900 }, (_, i) => i + 1)
    expect(all()).toEqual(wanted)
    expect(readJournal(journal.path)).toMatchObject({ points: 900, journaled: { points: 900 } })
    expect(() => journal.drainOverflow()).toThrow(/full/)
    expect(all()).toEqual(wanted)

    disk.exec('PRAGMA max_page_count = 1000000')
    journal.drainOverflow()
    expect(all()).toEqual(wanted)
    expect(journal.isOverflowing).toBe(false)
    expect(readJournal(journal.path)).toMatchObject({
      points: 1900,
      series: 2,
      journaled: { points: 1900 },
      rejectedParams: 1,
    })
  })
})
