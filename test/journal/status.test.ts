import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import {
  isEmpty,
  isOwed,
  lacksSomething,
  readJournal,
  readStateDir,
  readStatus,
  type DestinationStatus,
} from '../../src/journal/status.ts'
import { COUNTERS } from '../../src/telemetry/counters.ts'
import { FilledJournal, inMemory, move } from '../support/filled-journal.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const points = (n: number) => Array.from({ length: n }, () => ({}))

/** Files of a directory that this process has open. */
const openIn = (directory: string): string[] =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory)
    } catch {
      return false
    }
  })

describe('the account of a journal', () => {
  it('has of what is not kept what its process knows', () => {
    const { journal } = inMemory()
    expect(readStatus(journal.database, journal.path, true, { points: 3, spans: 2 }).notKept).toEqual({
      points: 2,
      spans: 1,
    })
  })

  it('has everything that is known of the run, each count in its place', () => {
    const filled = inMemory({
      run: '01X',
      identity: 'service.name=a',
      name: 'ppo',
      source: 'exec',
      command: ['train', '-x'],
      directory: '/home',
      startedAt: 5,
      params: [
        ['lr', '1'],
        ['lr', '2'],
        ['gamma', '0.9'],
      ],
      tags: [['team', 'rl']],
    })
    const { journal } = filled
    filled.points([{ key: 'a' }, { key: 'b' }])
    filled.spans(3)
    filled.events(2)
    journal.addExample('no_step', '{"loss":1}')
    journal.addExample('torn', '{"l')
    // What is there by now is taken off, so that each counter is its place in the list.
    const before = new Map([
      ['points', 2],
      ['received.numbers', 2],
      ['received.spans', 3],
      ['events.warn', 2],
    ])
    journal.addCounts(Float64Array.from(COUNTERS, (name, i) => 100 + i - (before.get(name) ?? 0)))
    journal.setEnd('FAILED', 77)
    journal.commit(66)
    journal.run("INSERT INTO meta VALUES ('closedBy', 'take-over')")
    journal.reject({ destination: 1, kind: 'params', sequence: 1, name: 'x', value: '1', reason: 'too long' })
    journal.reject({ destination: null, kind: 'points', sequence: 1, name: 'x', value: '1', reason: 'too long' })
    const n = (name: string): number => 100 + COUNTERS.indexOf(name)
    expect(readStatus(journal.database, '/there.sqlite', true)).toEqual({
      run: '01X',
      name: 'ppo',
      status: 'failed',
      startedAt: 5,
      endedAt: 77,
      isHeld: true,
      pid: process.pid,
      closedBy: 'take-over',
      source: 'exec',
      identity: 'service.name=a',
      lastAt: 66,
      command: ['train', '-x'],
      directory: '/home',
      journal: '/there.sqlite',
      received: {
        lines: n('received.lines'),
        events: n('received.events'),
        spans: n('received.spans'),
        numbers: n('received.numbers'),
        roundedIntegers: n('received.rounded_integers'),
        invalidUtf8: n('received.invalid_utf8'),
      },
      notEvents: {
        text: n('not_events.text'),
        not_object: n('not_events.not_object'),
        invalid_json: n('not_events.invalid_json'),
        too_long: n('not_events.too_long'),
        torn: n('not_events.torn'),
      },
      skipped: {
        no_step: n('skipped.no_step'),
        step_out_of_range: n('skipped.step_out_of_range'),
        config: n('skipped.config'),
        filtered: n('skipped.filtered'),
        duplicate: n('skipped.duplicate'),
        key_too_long: n('skipped.key_too_long'),
        series_cap: n('skipped.series_cap'),
        too_deep: n('skipped.too_deep'),
        invalid_key: n('skipped.invalid_key'),
      },
      waiting: n('waiting'),
      points: n('points'),
      inChannel: 0,
      dropped: { channel_full: n('dropped.channel_full'), journal_full: n('dropped.journal_full') },
      examples: { no_step: '{"loss":1}', torn: '{"l' },
      console: { skipped: n('console.skipped') },
      series: 2,
      journaled: { points: 2, spans: 3 },
      notKept: { points: 0, spans: 0 },
      spanAccount: {
        received: n('received.spans'),
        duplicate: n('spans.duplicate'),
        inChannel: 0,
        dropped: { channel_full: n('spans.dropped.channel_full'), journal_full: n('spans.dropped.journal_full') },
      },
      eventAccount: {
        received: n('events.warn') + n('events.error'),
        journaled: 2,
        notKept: 0,
        inChannel: 0,
        dropped: { channel_full: n('events.dropped.channel_full'), journal_full: n('events.dropped.journal_full') },
      },
      rejectedParams: 1,
      destinations: [],
    })
    expect(journal.database.isTransaction).toBe(false)
  })

  it('is empty where nothing is known, and of a run that goes on or was interrupted', () => {
    const { journal } = inMemory()
    journal.run('DELETE FROM meta')
    journal.run('DELETE FROM counters')
    const status = readStatus(journal.database, '/x', false)
    expect(status).toMatchObject({ run: '', name: '', source: '', directory: '', command: [], status: 'interrupted' })
    expect(status).toMatchObject({ pid: null, endedAt: null, closedBy: null, identity: null, lastAt: null })
    const none = { lines: 0, events: 0, spans: 0, numbers: 0, roundedIntegers: 0, invalidUtf8: 0 }
    expect(status).toMatchObject({ received: none, waiting: 0, points: 0, console: { skipped: 0 }, isHeld: false })
    expect(status).toMatchObject({ journaled: { points: 0, spans: 0 }, notEvents: {}, skipped: {}, examples: {} })
    expect(status.spanAccount).toEqual({ received: 0, duplicate: 0, inChannel: 0, dropped: {} })
    expect(readStatus(journal.database, '/x', true).status).toBe('running')
  })

  it('that cannot be read leaves no transaction open, and says where the journal is damaged', () => {
    const { journal } = inMemory()
    const words = (): unknown => {
      try {
        return readStatus(journal.database, '/x', true)
      } catch (error) {
        return (error as Error).message
      }
    }
    journal.run("UPDATE counters SET value = -1 WHERE name = 'journaled.spans'")
    expect(words()).toBe('/x is damaged: expected a count as journaled.spans, got -1')
    journal.run("UPDATE counters SET value = 0.5 WHERE name = 'journaled.points'")
    expect(words()).toBe('/x is damaged: expected a count as journaled.points, got 0.5')
    expect(journal.database.isTransaction).toBe(false)
  })

  it('says what the journal had to drop', () => {
    const filled = inMemory()
    filled.points(points(4))
    filled.points(points(3))
    filled.spans(2)
    filled.spans(3)
    filled.journal.run('DELETE FROM blocks WHERE first = 1')
    filled.journal.run('DELETE FROM spans WHERE first < 3')
    const status = readStatus(filled.journal.database, '/x', true)
    expect([status.journaled, status.notKept]).toEqual([
      { points: 7, spans: 5 },
      { points: 4, spans: 2 },
    ])
  })
})

describe('the account of a destination', () => {
  const none = { delivered: 0, rejected: 0, evicted: 0, pending: 0 }
  const noTexts = { delivered: 0, rejected: 0, pending: 0 }

  it('is its own, kind by kind', () => {
    const filled = inMemory({
      params: [
        ['a', '1'],
        ['b', '1'],
        ['c', '1'],
      ],
      tags: [
        ['a', '1'],
        ['b', '1'],
        ['c', '1'],
        ['d', '1'],
      ],
    })
    filled.points(points(20))
    filled.spans(30)
    const kinds = ['points', 'params', 'tags', 'spans'] as const
    const first = filled.destination({ kinds })
    const second = filled.destination({ exporter: 'otlp', address: 'http://h', kinds })
    move(first, 'points', { position: 12, delivered: 7, rejected: 3, evicted: 2 })
    move(first, 'params', { position: 2, delivered: 1, rejected: 1 })
    move(first, 'tags', { position: 3, delivered: 2, rejected: 1 })
    move(first, 'spans', { position: 11, delivered: 5, rejected: 4, evicted: 2, resent: 6 })
    second.opened('r1', true, 'http://h/r1', new Map())
    second.state('suspended', '503')
    second.ended()
    expect(readStatus(filled.journal.database, '/x', true).destinations).toEqual([
      {
        exporter: 'memory',
        address: 'memory:',
        state: 'ok',
        runId: null,
        page: null,
        lastError: null,
        ended: false,
        points: { delivered: 7, rejected: 3, evicted: 2, pending: 8 },
        params: { delivered: 1, rejected: 1, pending: 1 },
        tags: { delivered: 2, rejected: 1, pending: 1 },
        spans: { delivered: 5, rejected: 4, evicted: 2, pending: 19, resent: 6 },
      },
      {
        exporter: 'otlp',
        address: 'http://h',
        state: 'suspended',
        runId: 'r1',
        page: 'http://h/r1',
        lastError: '503',
        ended: true,
        points: { ...none, pending: 20 },
        params: { ...noTexts, pending: 3 },
        tags: { ...noTexts, pending: 4 },
        spans: { ...none, pending: 30, resent: 0 },
      },
    ])
  })

  it('has no page, run or error where the journal holds something else than a text', () => {
    const filled = inMemory()
    filled.destination()
    filled.journal.run("UPDATE destinations SET page = x'01', run_id = x'02', last_error = x'03'")
    const { destinations } = readStatus(filled.journal.database, '/x', true)
    expect(destinations).toMatchObject([{ page: null, runId: null, lastError: null }])
  })

  it('counts as evicted what is dropped and not passed yet, of points and spans and of nothing else', () => {
    const filled = inMemory({ params: [['a', '1']] })
    filled.points(points(20))
    filled.spans(30)
    move(filled.destination({ kinds: ['points', 'params', 'spans'] }), 'points', { position: 4, delivered: 4 })
    move(filled.destination({ exporter: 'ahead' }), 'points', { position: 15, delivered: 14, evicted: 1 })
    filled.destination({ exporter: 'spans', kinds: ['spans'] })
    const { destinations } = readStatus(filled.journal.database, '/x', true, { points: 11, spans: 9 })
    expect(destinations.map((destination) => [destination.points, destination.params, destination.spans])).toEqual([
      [
        { delivered: 4, rejected: 0, evicted: 6, pending: 10 },
        { ...noTexts, pending: 1 },
        { ...none, evicted: 8, pending: 22, resent: 0 },
      ],
      [{ delivered: 14, rejected: 0, evicted: 1, pending: 5 }, { ...noTexts, pending: 1 }, null],
      [none, noTexts, { ...none, evicted: 8, pending: 22, resent: 0 }],
    ])
  })

  it('is not shown where it takes only spans and there are none', () => {
    const filled = inMemory()
    const names = (): string[] =>
      readStatus(filled.journal.database, '/x', true).destinations.map(({ exporter }) => exporter)
    filled.destination({ exporter: 'spans', kinds: ['spans'] })
    filled.destination({ exporter: 'both', kinds: ['spans', 'points'] })
    filled.destination({ exporter: 'not reached', kinds: [] })
    filled.destination({ exporter: 'points', kinds: ['points'] })
    expect(names()).toEqual(['both', 'not reached', 'points'])
    filled.spans(1)
    expect(names()).toEqual(['spans', 'both', 'not reached', 'points'])
  })

  it('lacks something while anything is pending or the end is not set, which is owed unless it is disabled', () => {
    const filled = inMemory()
    filled.spans(1)
    const account = filled.destination({ kinds: ['points', 'params', 'tags', 'spans'] })
    move(account, 'spans', { position: 1 })
    account.ended()
    const [complete = expect.unreachable()] = readStatus(filled.journal.database, '/x', true).destinations
    const lacking: Partial<DestinationStatus>[] = [
      { points: { ...none, pending: 1 } },
      { params: { ...noTexts, pending: 1 } },
      { tags: { ...noTexts, pending: 1 } },
      { spans: { ...none, resent: 0, pending: 1 } },
      { ended: false },
    ]
    for (const destination of [complete, { ...complete, spans: null }])
      expect([lacksSomething(destination), isOwed(destination)]).toEqual([false, false])
    for (const one of lacking) {
      const destination = { ...complete, ...one }
      expect([lacksSomething(destination), isOwed(destination)]).toEqual([true, true])
      expect(isOwed({ ...destination, state: 'disabled' })).toBe(false)
    }
    // Each is enough by itself, and none makes up for another.
    const everything: DestinationStatus = Object.assign({}, complete, ...lacking, { ended: true })
    expect(lacksSomething(everything)).toBe(true)
    expect(lacksSomething({ ...everything, points: none })).toBe(true)
    expect(lacksSomething({ ...everything, points: none, params: noTexts })).toBe(true)
  })
})

describe('a state directory', () => {
  const create = (path: string): void => RunJournal.create(path, runStart()).close()

  it('gives its journals by name, and those that cannot be read with the reason', () => {
    const directory = temporaryDirectory()
    const at = (name: string): string => join(directory, name)
    const database = (name: string, sql: string): void => {
      const one = new DatabaseSync(at(name))
      one.exec(sql)
      one.close()
    }
    for (const name of ['07', '01', '05', '03', '02']) create(at(`${name}.sqlite`))
    mkdirSync(at('04.sqlite'))
    writeFileSync(at('06.lock'), '')
    writeFileSync(at('08.sqlite'), 'somebody has written into it, and nobody knows why')
    database('09.sqlite', 'CREATE TABLE theirs (x)')
    database('10.sqlite', 'PRAGMA journal_mode = WAL')
    create(at('11.sqlite'))
    database('11.sqlite', "UPDATE counters SET value = -1 WHERE name = 'journaled.points'")
    const { runs, unreadable, empty } = readStateDir(directory, (path) => path === at('02.sqlite'))
    expect(runs.map(({ journal }) => journal)).toEqual(['01', '03', '05', '07'].map((name) => at(`${name}.sqlite`)))
    expect(unreadable).toEqual([
      { journal: at('08.sqlite'), error: 'file is not a database', isDamaged: true },
      { journal: at('09.sqlite'), error: 'this is no journal', isDamaged: false },
      {
        journal: at('11.sqlite'),
        error: `${at('11.sqlite')} is damaged: expected a count as journaled.points, got -1`,
        isDamaged: true,
      },
    ])
    expect(empty).toEqual([at('10.sqlite')])
    expect(openIn(directory)).toEqual([])
    expect(readStateDir(directory).runs).toHaveLength(5)
  })

  it('that is not there yet is empty, and one that is a file is none', () => {
    const directory = temporaryDirectory()
    expect(readStateDir(join(directory, 'new'))).toEqual({ runs: [], unreadable: [], empty: [] })
    const file = join(directory, 'file')
    writeFileSync(file, '')
    expect(() => readStateDir(file)).toThrow(/^ENOTDIR/)
  })
})

describe('a file', () => {
  it('is empty when it is a database without a table; looking at it makes and keeps nothing', () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'x.sqlite')
    expect([isEmpty(path), existsSync(path)]).toEqual([false, false])
    writeFileSync(path, 'text')
    expect(isEmpty(path)).toBe(false)
    writeFileSync(path, '')
    expect([isEmpty(path), readFileSync(path).length]).toEqual([true, 0])
    const database = new DatabaseSync(path)
    database.exec('CREATE TABLE t (x)')
    database.close()
    expect(isEmpty(path)).toBe(false)
    expect(openIn(directory)).toEqual([])
  })

  it('that is not there is not made by who reads it as a journal', () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    expect(() => readJournal(path)).toThrow('unable to open database file')
    expect(existsSync(path)).toBe(false)
  })

  it('of a later format is refused with the way out', () => {
    const { journal } = new FilledJournal()
    journal.run('PRAGMA user_version = 6')
    expect(() => readJournal(journal.path)).toThrow(
      new Error('its format is 6, this version knows those up to 5: use a newer spanbridge'),
    )
    journal.run('PRAGMA user_version = 5')
    expect(readJournal(journal.path).journal).toBe(journal.path)
  })

  it('is held while somebody has its lock, which lies beside it', () => {
    const directory = join(temporaryDirectory(), 'old.sqlite')
    mkdirSync(directory)
    const path = join(directory, '01.sqlite')
    const { journal } = new FilledJournal({}, path)
    expect(readJournal(path)).toMatchObject({ isHeld: false, status: 'interrupted' })
    const lock = new JournalLock(lockOf(path))
    onTestFinished(() => lock.release())
    expect(lockOf(path)).toBe(join(directory, '01.lock'))
    expect(readJournal(path)).toMatchObject({ isHeld: true, status: 'running' })
    expect(journal.path).toBe(path)
  })
})
