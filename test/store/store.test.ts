import { copyFileSync, existsSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { lockOf } from '../../src/delivery/run.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import { Store, storeOf, UnknownRun } from '../../src/store/store.ts'
import { FilledJournal } from '../support/filled-journal.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

function storeIn(stateDir: string): Store {
  const store = new Store({ stateDir, labels: {} })
  onTestFinished(() => store.close())
  return store
}

const journalIn = (stateDir: string, run: string, startedAt = 5): FilledJournal =>
  new FilledJournal({ run, startedAt }, join(stateDir, `${run}.sqlite`))

/** All of it is in the file, nothing in its log. */
function settled({ journal }: FilledJournal): string {
  journal.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  return journal.path
}

describe('the runs of a state directory', () => {
  it('are listed newest first, with what a list shows of their numbers', () => {
    const stateDir = temporaryDirectory()
    journalIn(stateDir, '01A', 1).points([
      { key: 'trainer/x', step: 3, time: 30, value: 1 },
      { key: 'trainer/loss', step: 7, time: 20, value: 2 },
    ])
    journalIn(stateDir, '01B', 2)
    const store = storeIn(stateDir)
    expect(store.refresh().changed.toSorted()).toEqual(['01A', '01B'])
    const [b, a] = store.runs()
    expect([b!.run, b!.lastStep, b!.highlights]).toEqual(['01B', null, []])
    expect(a).toMatchObject({ run: '01A', title: 'ppo', archived: false, firstStep: 3, lastStep: 7, lastTime: 30 })
    expect(a!.highlights.map(({ key }) => key)).toEqual(['trainer/loss', 'trainer/x'])
  })

  it('tell what has changed since they were looked at, and nothing when nothing has', () => {
    const stateDir = temporaryDirectory()
    const filled = journalIn(stateDir, '01A')
    const store = storeIn(stateDir)
    store.refresh()
    expect(store.refresh()).toEqual({ changed: [], gone: [] })
    filled.points([{ step: 1, value: 1 }])
    expect(store.refresh().changed).toEqual(['01A'])
    expect(store.summary('01A').lastStep).toBe(1)
  })

  it('bear the titles that users gave them, in every process that looks', () => {
    const stateDir = temporaryDirectory()
    journalIn(stateDir, '01A')
    const [one, other] = [storeIn(stateDir), storeIn(stateDir)]
    one.refresh()
    other.refresh()
    one.change('01A', { title: 'the good one' })
    one.change('01A', { archived: true })
    expect(other.refresh().changed).toEqual(['01A'])
    expect(other.summary('01A')).toMatchObject({ title: 'the good one', name: 'ppo', archived: true })
    one.change('01A', { title: null, archived: false })
    other.refresh()
    expect(other.summary('01A')).toMatchObject({ title: 'ppo', archived: false })
  })

  it('are deleted with all their files, but not while a process holds them', () => {
    const stateDir = temporaryDirectory()
    const { journal } = journalIn(stateDir, '01A')
    const store = storeIn(stateDir)
    store.refresh()
    store.run('01A').refresh()
    const lock = new JournalLock(lockOf(journal.path))
    expect(() => store.delete('01A')).toThrow(/still written or delivered by process \d+/)
    expect(existsSync(journal.path)).toBe(true)
    lock.release()
    store.delete('01A')
    expect([journal.path, `${journal.path}-wal`, lockOf(journal.path)].some(existsSync)).toBe(false)
    expect(() => store.run('01A')).toThrow(UnknownRun)
    expect(store.runs()).toEqual([])
  })

  it('are forgotten when somebody else deletes them, and come when they are made', () => {
    const stateDir = temporaryDirectory()
    const store = storeIn(stateDir)
    expect(store.refresh()).toEqual({ changed: [], gone: [] })
    const second = storeIn(stateDir)
    journalIn(stateDir, '01A')
    expect(store.refresh().changed).toEqual(['01A'])
    second.refresh()
    second.delete('01A')
    expect(store.refresh().gone).toEqual(['01A'])
  })

  it('stand beside files that cannot be read, which are named once', () => {
    const stateDir = temporaryDirectory()
    journalIn(stateDir, '01A')
    writeFileSync(join(stateDir, 'x.sqlite'), 'no database at all, but long enough to be looked at'.repeat(20))
    const store = storeIn(stateDir)
    store.refresh()
    store.refresh()
    expect(store.runs()).toHaveLength(1)
    expect(store.unreadable()).toEqual([
      { journal: join(stateDir, 'x.sqlite'), error: expect.stringMatching(/database/) },
    ])
  })

  it('have their numbers read at the next look where that went wrong once, and each point counted once', () => {
    const stateDir = temporaryDirectory()
    const filled = journalIn(stateDir, '01A')
    filled.points([{ step: 1 }, { step: 2 }])
    filled.points([{ step: 3 }])
    const store = storeIn(stateDir)
    const { database } = filled.journal
    database.exec('ALTER TABLE series RENAME COLUMN key TO other')
    store.refresh()
    expect([store.unreadable(), store.summary('01A').lastStep]).toEqual([
      [{ journal: filled.journal.path, error: 'no such column: key' }],
      null,
    ])
    database.exec('ALTER TABLE series RENAME COLUMN other TO key')
    expect(store.refresh().changed).toEqual(['01A'])
    expect([store.unreadable(), store.summary('01A').lastStep]).toEqual([[], 3])
    expect(store.summary('01A').highlights[0]).toMatchObject({ count: 3 })
  })

  it('are more than are held open: those that go on are read once, and what somebody looks at stays open', () => {
    const stateDir = temporaryDirectory()
    const runs = Array.from({ length: 70 }, (_, i) => `01RUN${String(i).padStart(2, '0')}`)
    const filled = runs.map((run) => journalIn(stateDir, run, 5))
    const locks = filled.map(({ journal }) => new JournalLock(lockOf(journal.path)))
    onTestFinished(() => locks.forEach((lock) => lock.release()))
    for (const each of filled)
      for (const from of [0, 1000]) each.points(Array.from({ length: 1000 }, (_, i) => ({ step: from + i, value: i })))
    const store = storeIn(stateDir)
    const lastSteps = (): (number | null)[] => store.runs().map(({ lastStep }) => lastStep)
    const look = (step: number): void => {
      store.refresh()
      for (let i = 0; i < 500 && lastSteps().some((last) => last !== step); i += 1) store.refresh()
      expect(new Set(lastSteps())).toEqual(new Set([step]))
    }
    look(1999)
    const looked = runs.slice(0, 3).map((run) => store.run(run))
    // From here on no run can be read from its beginning.
    for (const { journal } of filled) journal.database.exec('DELETE FROM blocks')
    for (const each of filled) each.points([{ step: 2000, value: 7 }])
    look(2000)
    expect(store.unreadable()).toEqual([])
    expect(new Set(store.runs().map(({ highlights }) => highlights[0]!.count))).toEqual(new Set([2001]))
    expect(new Set(store.runs().map(({ highlights }) => highlights[0]!.sparkline.length))).toEqual(new Set([32]))
    expect(runs.slice(0, 3).map((run) => store.run(run))).toEqual(looked)
  })

  it('stand once where a copy lies beside a journal, which takes its place when that goes', () => {
    const stateDir = temporaryDirectory()
    const filled = journalIn(stateDir, '01A')
    filled.points([{ step: 1, value: 1 }])
    settled(filled)
    const [journal, copy] = [join(stateDir, '01A.sqlite'), join(stateDir, 'copy.sqlite')]
    const store = storeIn(stateDir)
    store.refresh()
    copyFileSync(journal, copy)
    store.refresh()
    expect(store.refresh()).toEqual({ changed: [], gone: [] })
    expect(store.summary('01A').journal).toBe(journal)
    expect(store.unreadable()).toEqual([{ journal: copy, error: `it is a copy of ${journal}, which is shown` }])
    rmSync(journal)
    store.refresh()
    store.refresh()
    expect([store.summary('01A').journal, store.unreadable()]).toEqual([copy, []])
  })

  it('are read anew where another file takes the place of a journal, as rsync has it', () => {
    const [stateDir, elsewhere] = [temporaryDirectory(), temporaryDirectory()]
    const filled = journalIn(elsewhere, '01A')
    const store = storeIn(stateDir)
    for (const count of [1, 3]) {
      filled.points(Array.from({ length: count }, (_, i) => ({ key: 'x', step: count + i, value: 1 })))
      copyFileSync(settled(filled), join(stateDir, 'partial'))
      renameSync(join(stateDir, 'partial'), join(stateDir, '01A.sqlite'))
      store.refresh()
      store.run('01A').refresh()
      expect(store.run('01A').line('x', { axis: 'step', width: 9 })!.points).toBe(count === 1 ? 1 : 4)
    }
    copyFileSync(settled(journalIn(elsewhere, '01B')), join(stateDir, 'partial'))
    renameSync(join(stateDir, 'partial'), join(stateDir, '01A.sqlite'))
    store.refresh()
    expect(store.runs().map(({ run }) => run)).toEqual(['01B'])
  })

  it('are read anew before long while they are written, whatever size and time of their files show', async () => {
    const stateDir = temporaryDirectory()
    const filled = journalIn(stateDir, '01A')
    const lock = new JournalLock(lockOf(filled.journal.path))
    onTestFinished(() => lock.release())
    filled.points([{ step: 1, value: 1 }])
    // What comes next goes where the log has been written already: it does not grow.
    filled.journal.database.exec('PRAGMA wal_checkpoint(RESTART)')
    const log = `${filled.journal.path}-wal`
    const { size } = statSync(log)
    utimesSync(log, 1, 1)
    const store = storeIn(stateDir)
    for (let i = 0; i < 3; i += 1) store.refresh()
    filled.points([{ step: 2, value: 1 }])
    utimesSync(log, 1, 1)
    expect(statSync(log).size).toBe(size)
    await expect.poll(() => store.refresh().changed, { timeout: 10_000 }).toEqual(['01A'])
    expect(store.summary('01A').lastStep).toBe(2)
    await expect.poll(() => store.refresh().changed).toEqual([])
  })

  it('may be one file alone', () => {
    const stateDir = temporaryDirectory()
    const { journal } = journalIn(stateDir, '01A')
    journalIn(stateDir, '01B')
    const store = storeOf(journal.path, {})
    onTestFinished(() => store.close())
    store.refresh()
    expect(store.runs().map(({ run }) => run)).toEqual(['01A'])
  })
})
