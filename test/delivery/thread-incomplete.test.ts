import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readJournal } from '../../src/journal/status.ts'
import { AwayExporter, startThread } from '../support/delivery-thread.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { stopTime, turn } from '../support/turn.ts'

const INCOMPLETE = { complete: false, inMemory: false }

beforeEach(stopTime)
afterEach(() => void vi.useRealTimers())

describe('an end', () => {
  it('is not complete while one of several runs is not delivered', async () => {
    const exporters = [new MemoryExporter(), new AwayExporter(), new MemoryExporter()]
    const left = [...exporters]
    const { begin, add, end, finish, outcome, stateDir } = startThread({
      exporters: () => left.splice(0, 1),
      settings: { 'shutdown.deadline': 1000 },
    })
    for (const run of [0, 1, 2]) {
      begin(run, runStart({ run: `01${run}` }))
      add(run, 1, 50)
      end(run)
    }
    finish()
    await turn(950)
    expect(outcome()).toBeNull()
    await turn(100)
    expect(outcome()).toEqual(INCOMPLETE)
    for (const run of [0, 1, 2])
      expect(readJournal(join(stateDir, `01${run}.sqlite`)), `run ${run}`).toMatchObject({ isHeld: false, points: 50 })
  })

  it('is not complete where the journal has dropped points before they were delivered', async () => {
    const exporter = new AwayExporter()
    const other = Object.assign(new MemoryExporter(), { name: 'other' })
    const left: MemoryExporter[][] = [[exporter, other], [new MemoryExporter()]]
    const { begin, add, tell, end, finish, outcome, said } = startThread({
      exporters: () => left.splice(0, 1).flat(),
      settings: { 'journal.maxRunBytes': 200_000 },
    })
    begin(0, runStart())
    begin(1, runStart({ run: '01OTHER' }))
    add(0, 1, 50)
    await turn(50)
    // It is looked at once a second, so that one of two destinations has them by then.
    for (let i = 0; i < 10; i += 1) add(0, 51 + i * 1000, 1000)
    await turn(1100)
    tell(0, { kind: 'params', params: [['seed', '7']] })
    await turn(100)
    exporter.isThere = true
    for (const run of [0, 1]) end(run)
    finish()
    await turn(15_000)
    expect(said().at(-1)).toContain('journal ')
    expect(outcome()).toEqual(INCOMPLETE)
    expect([exporter.taken.length < 10_050, other.taken.length]).toEqual([true, 10_050])
    expect(exporter.closedWith).toBe('FINISHED')
  })

  it('is not complete where the journal has been deleted, though all is delivered', async () => {
    const { begin, add, end, finish, outcome, said, stateDir } = startThread({
      exporters: () => [new MemoryExporter()],
    })
    begin(0, runStart())
    begin(1, runStart({ run: '01OTHER' }))
    for (const run of [0, 1]) add(run, 1, 50)
    await turn(100)
    const path = join(stateDir, '01TEST.sqlite')
    rmSync(path)
    for (const run of [0, 1]) end(run)
    finish()
    await turn(200)
    expect(said()).toContain(
      `the journal ${path} lacks points that are delivered: the disk was full, or it has been deleted`,
    )
    expect(outcome()).toEqual(INCOMPLETE)
  })

  it('is not complete where somebody has written into the journal', async () => {
    const { begin, add, end, finish, outcome, said, stateDir } = startThread({
      exporters: () => [new MemoryExporter()],
    })
    begin(0, runStart())
    add(0, 1, 3)
    await turn(1200)
    const path = join(stateDir, '01TEST.sqlite')
    const shell = new DatabaseSync(path)
    shell.exec("UPDATE meta SET value = '{' WHERE key = 'command'")
    shell.close()
    end(0)
    finish()
    await turn(200)
    expect(said().slice(-2)).toEqual([
      `the account of the run in ${path} cannot be read (${path} is damaged: expected a list of words as its command)`,
      `the journal ${path} is damaged (${path} is damaged: expected a list of words as its command): what is not delivered of the run is lost`,
    ])
    expect(outcome()).toEqual(INCOMPLETE)
  })

  it.each([true, false])(
    'with a disk that is full keeps the end of a run on it, if it is delivered: %s',
    async (isThere) => {
      const exporter = new AwayExporter()
      exporter.isThere = isThere
      const { begin, add, end, finish, outcome, said, stateDir } = startThread({
        exporters: () => [exporter],
        settings: { 'shutdown.deadline': 500 },
      })
      begin(0, runStart())
      const path = join(stateDir, '01TEST.sqlite')
      const shell = new DatabaseSync(path)
      shell.exec(
        `CREATE TRIGGER full BEFORE INSERT ON blocks BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`,
      )
      shell.close()
      add(0, 1, 3)
      end(0)
      finish()
      await turn(1000)
      expect(readJournal(path)).toMatchObject({ status: isThere ? 'finished' : 'interrupted', isHeld: false })
      expect(said().at(-1)).toBe(
        isThere
          ? `the journal ${path} lacks points that are delivered: the disk was full, or it has been deleted`
          : `3 points kept in memory only: lost, for there is no journal of them in ${path}`,
      )
      expect(outcome()).toEqual(INCOMPLETE)
    },
  )
})
