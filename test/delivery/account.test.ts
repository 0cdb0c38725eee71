import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { accountOf, DestinationAccount, type AccountOptions, type Cursor } from '../../src/delivery/account.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const there: AccountOptions = {
  exporter: 'memory',
  address: 'a:1',
  target: { experiment: 'ppo' },
  kinds: ['params', 'points'],
}

function newJournal() {
  const journal = RunJournal.create(':memory:', runStart(), 1 << 30)
  onTestFinished(() => journal.close())
  return journal
}

/** The account of that destination, or of one that differs from it. */
const known = (journal: RunJournal, rest: Partial<AccountOptions> = {}, isNew = false): DestinationAccount =>
  new DestinationAccount(journal, { ...there, ...rest }, isNew)
const destinations = (journal: RunJournal) =>
  journal.all('SELECT * FROM destinations ORDER BY id').map((row) => ({ ...row }))
const cursors = (journal: RunJournal) =>
  journal
    .all('SELECT * FROM cursors ORDER BY destination, kind')
    .map(({ destination, kind, ...counts }) => [destination, kind, ...Object.values(counts)])
const rejectedRows = (journal: RunJournal) =>
  journal
    .all(
      'SELECT destination, kind, sequence, name, step, time, value, text FROM rejected JOIN reasons ON reasons.id = reason ORDER BY sequence',
    )
    .map((row) => Object.values(row))
const row = (sequence: number) => ({ sequence, name: 'loss', step: sequence * 10, time: 7, value: 0.5, reason: 'no' })
/** From now on the disk takes no cursor. */
const fillDisk = (journal: RunJournal): void =>
  journal.run(`CREATE TRIGGER full BEFORE UPDATE ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)

describe('a destination that the journal does not know', () => {
  it('gets a row with its address and target, and a cursor for each kind that it takes', () => {
    const journal = newJournal()
    const account = known(journal)
    expect(destinations(journal)).toEqual([
      {
        id: 1,
        exporter: 'memory',
        address: 'a:1',
        run_id: null,
        page: null,
        made: 0,
        making_since: null,
        target: '{"experiment":"ppo"}',
        state: 'ok',
        last_error: null,
        ended: 0,
      },
    ])
    expect(cursors(journal)).toEqual([
      [1, 'params', 0, 0, 0, 0, 0, 0],
      [1, 'points', 0, 0, 0, 0, 0, 0],
    ])
    expect([account.id, account.isMoved, account.makingSince, account.elsewhere()]).toEqual([1, false, null, null])
    expect(account.known).toEqual({ runId: null, made: false, ended: false, target: { experiment: 'ppo' } })
    expect(account.cursor('tags')).toEqual({
      position: 0,
      delivered: 0,
      rejected: 0,
      evicted: 0,
      sending: 0,
      resent: 0,
    })
    expect(cursors(journal)).toHaveLength(3)
  })

  it('is there with all or none of its rows', () => {
    const journal = newJournal()
    journal.run(`CREATE TRIGGER full BEFORE INSERT ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    expect(() => known(journal)).toThrow('disk is full')
    expect(destinations(journal)).toEqual([])
  })

  it('is that of an exporter, with the kinds that it takes', () => {
    const journal = newJournal()
    accountOf(journal, new MemoryExporter())
    expect(destinations(journal)).toMatchObject([{ exporter: 'memory', address: 'memory:', target: '{}' }])
    expect(cursors(journal).map(([, kind]) => kind)).toEqual(['params', 'points', 'tags'])
  })
})

describe('a destination that the journal knows', () => {
  it('is found again by its address, with all that was noted of it', () => {
    const journal = newJournal()
    const before = known(journal)
    before.opened('r1', true, 'http://page', new Map([['loss', 40]]))
    before.ended()
    const account = known(journal, { target: { experiment: 'other' } })
    expect([account.id, account.isMoved, account.elsewhere()]).toEqual([1, false, null])
    expect(account.known).toEqual({ runId: 'r1', made: true, ended: true, target: { experiment: 'ppo' } })
    expect([account.heightOf('loss'), account.heightOf('reward')]).toEqual([40, Number.NEGATIVE_INFINITY])
    expect(destinations(journal)).toMatchObject([{ page: 'http://page', run_id: 'r1', made: 1, ended: 1 }])
  })

  it('is another one when the address is another, unless the run is or may be made: then it has moved', () => {
    const journal = newJournal()
    known(journal)
    const second = known(journal, { address: 'a:2' })
    expect([second.id, second.isMoved]).toEqual([2, false])
    second.makingSince = 77
    const moved = known(journal, { address: 'a:3' })
    expect([moved.id, moved.isMoved, moved.makingSince, moved.elsewhere()]).toEqual([2, true, 77, null])
    moved.opened('r2', true, null, new Map())
    const again = known(journal, { address: 'a:4' })
    expect([again.id, again.isMoved, again.known.runId]).toEqual([2, true, 'r2'])
    // The address from which the first one never got anywhere.
    expect(known(journal).id).toBe(1)
    expect(known(journal, { exporter: 'other' }).id).toBe(3)
  })

  it('is the one that was made last, of those that were made at other addresses', () => {
    const journal = newJournal()
    for (const address of ['a:1', 'a:2']) {
      const account = known(journal, { address }, true)
      account.opened(`run at ${address}`, true, null, new Map())
    }
    known(journal, { address: 'a:3' }, true)
    expect(known(journal, { address: 'a:4' }).known.runId).toBe('run at a:2')
  })

  it('begins afresh at another address whose tracker knows nothing of its run, and the old one is disabled', () => {
    const journal = newJournal()
    known(journal).opened('r1', false, null, new Map([['loss', 9]]))
    const options = { ...there, address: 'a:2', target: { experiment: 'new' } }
    const fresh = new DestinationAccount(journal, options).elsewhere()!
    expect([fresh.id, fresh.isMoved, fresh.heightOf('loss')]).toEqual([2, false, Number.NEGATIVE_INFINITY])
    expect(fresh.known).toEqual({ runId: null, made: false, ended: false, target: { experiment: 'new' } })
    expect(fresh.cursor('points').position).toBe(0)
    expect(destinations(journal).map(({ address, state }) => [address, state])).toEqual([
      ['a:1', 'disabled'],
      ['a:2', 'ok'],
    ])
  })

  it('that was disabled is back when it is meant again, and those of other exporters are left alone', () => {
    const journal = newJournal()
    known(journal, { exporter: 'other' }).state('suspended', 'away')
    known(journal).state('suspended', 'the server is away')
    known(journal, { address: 'a:2' })
    const states = () => destinations(journal).map(({ state, last_error: error }) => [state, error])
    expect(states()).toEqual([
      ['suspended', 'away'],
      ['disabled', 'the server is away'],
      ['ok', null],
    ])
    known(journal)
    expect(states()).toEqual([
      ['suspended', 'away'],
      ['ok', null],
      ['disabled', null],
    ])
    known(journal, { exporter: 'other' })
    expect(states()[0]).toEqual(['suspended', 'away'])
  })

  it('with a target that is no object of texts is not made up', () => {
    const journal = newJournal()
    known(journal)
    journal.run("UPDATE destinations SET target = '[1]'")
    expect(() => known(journal)).toThrow(
      ':memory: is damaged: expected names with texts as the target of a destination',
    )
  })
})

describe("the tracker's run", () => {
  it('is noted with the address at which it was found, and a request to make it is over', () => {
    const journal = newJournal()
    known(journal).makingSince = 5
    const account = known(journal, { address: 'a:2' })
    expect([account.makingSince, destinations(journal)[0]!['making_since']]).toEqual([5, 5])
    account.opened('r1', false, null, new Map())
    expect(account.makingSince).toBeNull()
    expect(destinations(journal)).toMatchObject([
      { id: 1, address: 'a:2', run_id: 'r1', made: 0, page: null, making_since: null },
    ])
    account.makingSince = 6
    account.makingSince = null
    expect([account.makingSince, destinations(journal)[0]!['making_since']]).toEqual([null, null])
  })

  it('is as high as it was when we came the first time, whatever it holds by now', () => {
    const journal = newJournal()
    const account = known(journal)
    account.opened('r1', false, null, new Map([['loss', 5]]))
    expect(account.heightOf('loss')).toBe(5)
    const later = known(journal)
    later.opened(
      'r1',
      false,
      null,
      new Map([
        ['loss', 90],
        ['reward', 1],
      ]),
    )
    expect([later.heightOf('loss'), later.heightOf('reward')]).toEqual([5, Number.NEGATIVE_INFINITY])
    expect(known(journal).heightOf('loss')).toBe(5)
  })
})

describe('a cursor', () => {
  const moved: Cursor = { position: 60, delivered: 50, rejected: 3, evicted: 7, sending: 110, resent: 4 }

  it('moves with the rows that were set aside and the steps that are there now, in one commit', () => {
    const journal = newJournal()
    const account = known(journal)
    account.moved(
      'points',
      moved,
      [row(2), row(1)],
      new Map([
        ['loss', 60],
        ['reward', 3],
      ]),
    )
    account.moved(
      'points',
      { ...moved, position: 61 },
      [],
      new Map([
        ['loss', 59],
        ['reward', 4],
      ]),
    )
    const kept = known(journal)
    for (const each of [account, kept]) {
      expect([each.heightOf('loss'), each.heightOf('reward')]).toEqual([60, 4])
      expect(each.cursor('points')).toEqual({ ...moved, position: 61 })
      expect(each.cursor('params').position).toBe(0)
    }
    expect(rejectedRows(journal)).toEqual([
      [1, 'points', 1, 'loss', 10, 7, 0.5, 'no'],
      [1, 'points', 2, 'loss', 20, 7, 0.5, 'no'],
    ])
  })

  it('moves within its bounds with the steps that are there now, which the disk has with the next commit', () => {
    const journal = newJournal()
    const account = known(journal)
    const moveTo = (position: number, heights: Record<string, number>): void =>
      account.movedWithin(
        'points',
        { ...account.cursor('points'), position, delivered: position },
        new Map(Object.entries(heights)),
      )
    const onDisk = (): unknown[] => {
      const found = known(journal)
      return [found.cursor('points').position, found.heightOf('loss'), found.heightOf('reward')]
    }
    moveTo(4, { loss: 60, reward: 1 })
    moveTo(8, { loss: 70 })
    expect([account.heightOf('loss'), account.heightOf('reward')]).toEqual([70, 1])
    expect(onDisk()).toEqual([0, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY])
    journal.writeLate()
    expect(onDisk()).toEqual([8, 70, 1])
    moveTo(12, { reward: 2 })
    journal.writeLate()
    expect(onDisk()).toEqual([12, 70, 2])
  })

  it('that has moved within its bounds and could not be written is written with the commit that can be', () => {
    const journal = newJournal()
    const account = known(journal)
    account.movedWithin('points', { ...account.cursor('points'), position: 4 }, new Map([['loss', 60]]))
    expect(() =>
      journal.transaction(() => {
        throw new Error('disk is full')
      }),
    ).toThrow('disk is full')
    account.movedWithin('points', { ...account.cursor('points'), position: 8 }, new Map([['reward', 2]]))
    journal.writeLate()
    const found = known(journal)
    expect([found.cursor('points').position, found.heightOf('loss'), found.heightOf('reward')]).toEqual([8, 60, 2])
  })

  it('and all that moves with it stays where it was when the disk is full, in memory too', () => {
    const journal = newJournal()
    const account = known(journal)
    account.moved('points', moved, [], new Map([['loss', 5]]))
    fillDisk(journal)
    expect(() => account.moved('points', { ...moved, position: 99 }, [row(1)], new Map([['loss', 6]]))).toThrow(
      'disk is full',
    )
    expect(() => account.sending('points', { ...moved, sending: 150 }, [row(1)])).toThrow('disk is full')
    expect(account.heightOf('loss')).toBe(5)
    expect(known(journal).heightOf('loss')).toBe(5)
    expect(rejectedRows(journal)).toEqual([])
  })

  it('knows the rows ahead that are on a disk which cannot be written any more, beside those in memory', () => {
    const journal = RunJournal.create(join(temporaryDirectory(), 'run.sqlite'), runStart())
    onTestFinished(() => journal.close())
    known(journal).sending('points', { ...moved, position: 0, sending: 130 }, [row(61), row(99)])
    journal.overflow(1 << 20)
    const account = known(journal)
    expect(account.ahead('points')).toEqual([61, 99])
    account.sending('points', { ...moved, position: 0, sending: 140 }, [row(131)])
    expect(account.ahead('points')).toEqual([61, 99, 131])
    journal.drainOverflow()
    expect(rejectedRows(journal).map(([, , sequence]) => sequence)).toEqual([61, 99, 131])
  })

  it('notes how far the batch under way goes, and the rows ahead of it that are left out of that', () => {
    const journal = newJournal()
    const account = known(journal)
    account.moved('points', moved, [row(1), row(60)], new Map())
    account.sending('points', { ...moved, position: 0, sending: 130 }, [row(61), row(99)])
    expect(account.cursor('points')).toEqual({ ...moved, sending: 130 })
    expect([account.ahead('points'), account.ahead('params')]).toEqual([[61, 99], []])
    expect(known(journal, { address: 'a:2' }).ahead('points')).toEqual([])
    expect(rejectedRows(journal).map(([, , sequence]) => sequence)).toEqual([1, 60, 61, 99])
  })

  it('counts rows that are taken after all as delivered, and they are refused no more', () => {
    const journal = newJournal()
    const account = known(journal)
    account.moved('points', moved, [row(1), row(2), row(3)], new Map())
    const ids = journal.all('SELECT id FROM rejected WHERE sequence <> 2').map(({ id }) => Number(id))
    account.takenAfterAll('points', ids)
    expect(account.cursor('points')).toEqual({ ...moved, delivered: 52, rejected: 1 })
    expect(rejectedRows(journal).map(([, , sequence]) => sequence)).toEqual([2])
    fillDisk(journal)
    expect(() =>
      account.takenAfterAll(
        'points',
        journal.all('SELECT id FROM rejected').map(({ id }) => Number(id)),
      ),
    ).toThrow('disk is full')
    expect(rejectedRows(journal)).toHaveLength(1)
  })

  it('is one of each destination', () => {
    const journal = newJournal()
    const [first, second] = ['a:1', 'a:2'].map((address) => known(journal, { address }))
    first!.moved('points', moved, [], new Map([['loss', 5]]))
    expect(second!.cursor('points').position).toBe(0)
    expect(known(journal, { address: 'a:2' }).heightOf('loss')).toBe(Number.NEGATIVE_INFINITY)
    second!.state('suspended', 'away')
    second!.ended()
    expect(destinations(journal).map(({ state, last_error: error, ended }) => [state, error, ended])).toEqual([
      ['disabled', null, 0],
      ['suspended', 'away', 1],
    ])
  })
})
