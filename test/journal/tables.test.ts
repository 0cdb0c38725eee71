import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { RunStart, WaitingRow } from '../../src/channel/messages.ts'
import { SCHEMA } from '../../src/journal/schema.ts'
import { Statements } from '../../src/journal/statements.ts'
import * as tables from '../../src/journal/tables.ts'
import { COUNTERS } from '../../src/telemetry/counters.ts'
import { runStart } from '../support/run-start.ts'

function open(): Statements {
  const rows = new Statements(new DatabaseSync(':memory:'))
  rows.database.exec(SCHEMA)
  onTestFinished(() => rows.close())
  return rows
}

const metaOf = (rows: Statements): Record<string, unknown> =>
  Object.fromEntries(rows.all('SELECT key, value FROM meta').map(({ key, value }) => [key, value]))

const rejectedOf = (rows: Statements): unknown[] =>
  rows.all(
    `SELECT destination, kind, sequence, name, step, time, value, text
     FROM rejected JOIN reasons ON reasons.id = reason ORDER BY rejected.id`,
  )

describe('the beginning of a run', () => {
  const text = fc.string({ maxLength: 20 })
  const pairs = fc.uniqueArray(fc.tuple(text, text), { maxLength: 4, selector: ([name]) => name })

  it('is read as it was written, whatever is in it', () => {
    const start: fc.Arbitrary<RunStart> = fc.record({
      run: text,
      identity: fc.option(text),
      trackerRun: fc.option(text),
      name: text,
      source: text,
      command: fc.array(text, { maxLength: 4 }),
      directory: text,
      startedAt: fc.integer({ min: 0 }),
      params: pairs,
      tags: pairs,
    })
    fc.assert(
      fc.property(start, (each) => {
        const rows = new Statements(new DatabaseSync(':memory:'))
        rows.database.exec(SCHEMA)
        tables.writeStart(rows, each)
        const { params, ...rest } = each
        expect(tables.readStart(rows, 'x')).toEqual({
          ...rest,
          tags: rest.tags.toSorted(([a], [b]) => place(each, a) - place(each, b)),
        })
        expect(rows.all('SELECT name, value FROM params ORDER BY sequence')).toEqual(
          params.map(([name, value]) => ({ name, value })),
        )
        rows.close()
      }),
      { numRuns: 50 },
    )
  })

  const place = ({ tags }: RunStart, name: string): number => tags.findIndex(([each]) => each === name)

  it('says who writes it, counts nothing yet, and tells of senders and of a run of theirs only where there are any', () => {
    const rows = open()
    tables.writeStart(rows, runStart())
    const meta = { run: '01TEST', name: 'ppo', source: 'stdin', directory: '/', command: '[]', startedAt: '5' }
    expect(metaOf(rows)).toEqual({ ...meta, pid: String(process.pid) })
    expect(rows.all('SELECT name, value FROM counters ORDER BY name')).toEqual(
      [...COUNTERS, 'journaled.points', 'journaled.spans', 'journaled.events']
        .sort()
        .map((name) => ({ name, value: 0 })),
    )
    const shared = open()
    tables.writeStart(shared, runStart({ identity: 'me', trackerRun: 'abc', command: ['a b', 'c'] }))
    expect(metaOf(shared)).toEqual({
      ...meta,
      pid: String(process.pid),
      command: '["a b","c"]',
      identity: 'me',
      lastAt: '5',
      trackerRun: 'abc',
    })
  })

  it('of which nothing is known is empty, and a command that is none is told', () => {
    const rows = open()
    expect(() => tables.readStart(rows, 'x')).toThrow(
      new Error('x is damaged: expected a list of words as its command'),
    )
    tables.setMeta(rows, 'command', '["a"]')
    tables.setMeta(rows, 'startedAt', '7')
    expect(tables.readStart(rows, 'x')).toEqual({
      run: '',
      name: '',
      identity: null,
      trackerRun: null,
      source: '',
      directory: '',
      command: ['a'],
      startedAt: 7,
      tags: [],
    })
  })

  it('keeps the last value of a tag that is there twice', () => {
    const rows = open()
    tables.writeStart(
      rows,
      runStart({
        tags: [
          ['a', '1'],
          ['a', '2'],
        ],
      }),
    )
    expect(tables.readStart(rows, 'x').tags).toEqual([['a', '2']])
  })
})

describe('the rows of a journal', () => {
  it('have the last word of what is known, the sum of what is counted, and the first example', () => {
    const rows = open()
    tables.setMeta(rows, 'a', '1')
    tables.setMeta(rows, 'a', '2')
    tables.writeExample(rows, 'text', 'first')
    tables.writeExample(rows, 'text', 'second')
    expect(metaOf(rows)).toEqual({ a: '2', 'example.text': 'first' })
    expect(tables.readCounter(rows, 'n')).toBe(0)
    tables.addToCounter(rows, 'n', 3)
    tables.addToCounter(rows, 'n', 4)
    expect(tables.readCounter(rows, 'n')).toBe(7)
    tables.setCounter(rows, 'n', 2)
    tables.setCounter(rows, 'm', 1)
    expect([tables.readCounter(rows, 'n'), tables.readCounter(rows, 'm')]).toEqual([2, 1])
  })

  it('have no end until it is written, and then the last one', () => {
    const rows = open()
    expect(tables.readEnd(rows)).toBeNull()
    tables.writeEnd(rows, { status: 'FAILED', time: 4 })
    tables.writeEnd(rows, { status: 'FINISHED', time: 5 })
    expect(tables.readEnd(rows)).toEqual({ status: 'FINISHED', time: 5 })
  })

  it('keep the first value of a param, and tell of another one each time', () => {
    const rows = open()
    tables.writeParams(rows, [
      ['a', '0'],
      ['lr', '1'],
      ['lr', '1'],
      ['lr', '2'],
      ['lr', '3'],
    ])
    expect(rows.all('SELECT sequence, name, value FROM params')).toEqual([
      { sequence: 1, name: 'a', value: '0' },
      { sequence: 2, name: 'lr', value: '1' },
    ])
    const lr = { destination: null, kind: 'params', sequence: 2, name: 'lr', step: null, time: null }
    const another = 'the param has another value already: the first one stands'
    expect(rejectedOf(rows)).toEqual([
      { ...lr, value: '2', text: another },
      { ...lr, value: '3', text: another },
    ])
    expect(rows.all('SELECT text FROM reasons')).toEqual([{ text: another }])
  })

  it('hold what was refused, numbers as they were, also those that SQLite does not know', () => {
    const rows = open()
    const item = { destination: 1, kind: 'points', sequence: 8, name: 'loss', step: 2, time: 3, reason: 'no' }
    const values = [1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 'text']
    for (const value of values) tables.reject(rows, { ...item, value })
    tables.reject(rows, { ...item, step: 0, time: 0, value: 0, reason: 'another' })
    const { reason: text, ...row } = item
    expect(rejectedOf(rows)).toEqual([
      ...[1.5, 'NaN', 'Infinity', '-Infinity', 'text'].map((value) => ({ ...row, value, text })),
      { ...row, step: 0, time: 0, value: 0, text: 'another' },
    ])
    expect(rows.all('SELECT text FROM reasons ORDER BY id')).toEqual([{ text: 'no' }, { text: 'another' }])
  })

  it('hold what waits, oldest first, until it is given up: then it is counted as skipped', () => {
    const rows = open()
    const of = (id: number, rest: Partial<WaitingRow>): WaitingRow => ({
      id,
      since: 10 + id,
      numbers: 2,
      span: 'ab',
      part: -1,
      body: null,
      ...rest,
    })
    const waiting = [of(1, {}), of(2, { span: '', part: 3, body: new Uint8Array([1, 2]) }), of(3, {})]
    for (const row of waiting.toReversed()) tables.writeWaiting(rows, row)
    expect(tables.readWaiting(rows, 'x')).toEqual(waiting)
    tables.addToCounter(rows, 'waiting', 6)
    tables.giveUpWaiting(rows)
    const count = (): number[] => ['waiting', 'skipped.no_step'].map((name) => tables.readCounter(rows, name))
    expect([tables.readWaiting(rows, 'x'), count()]).toEqual([[], [0, 6]])
    tables.giveUpWaiting(rows)
    expect(count()).toEqual([0, 6])
  })

  it('of what waits are told where they are damaged', () => {
    const rows = open()
    rows.run("INSERT INTO waiting (id, since, numbers, span, part, body) VALUES (1, 2, 3, '', 0, 'text')")
    expect(() => tables.readWaiting(rows, 'x')).toThrow(
      new Error('x is damaged: expected bytes as what waits, got string'),
    )
  })

  it('leave a journal without counters alone where nothing waits', () => {
    const rows = open()
    tables.giveUpWaiting(rows)
    expect(rows.all('SELECT * FROM counters')).toEqual([])
  })
})
