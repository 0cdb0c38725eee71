import { rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import { isComplete, isDelivered, isReadable, saveAccount, sayAccount } from '../../src/delivery/ending.ts'
import { DeliveredRun } from '../../src/delivery/run.ts'
import { JournalWriter } from '../../src/delivery/writer.ts'
import { readJournal } from '../../src/journal/status.ts'
import { FilledJournal } from '../support/filled-journal.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

const { settings } = loadSettings(readFlags([], false), {})
const POINTS_LIMIT = 1 << 20

/** A run with a point and one destination, told as `said`. */
function ending(path?: string) {
  const filled = new FilledJournal({}, path)
  const { journal } = filled
  filled.points([{}])
  const said: string[] = []
  const say = (text: string): void => void said.push(text)
  const writer = new JournalWriter({ journal, clock: systemClock, say, maxBytes: null })
  const exporter = new MemoryExporter()
  const start = (): DeliveredRun => {
    const options = { journal, lock: null, exporters: [exporter], isOrphan: false, reopen: false }
    const run = new DeliveredRun({ ...options, clock: systemClock, say: () => {} })
    onTestFinished(() => run.stop())
    return run
  }
  return { filled, journal, said, say, writer, start, tell: () => sayAccount(writer, { settings, command: 'sb', say }) }
}

beforeEach(() => stopTime())
afterEach(() => void vi.useRealTimers())

describe('a run', () => {
  it('is complete once its destination has all of it, and nothing of it is in memory only', async () => {
    const { filled, journal, writer, start } = ending()
    const run = start()
    expect([isDelivered(run), isComplete(run, writer)]).toEqual([false, false])
    filled.end()
    run.drain()
    await turn(0)
    expect([isDelivered(run), isComplete(run, writer)]).toEqual([true, true])
    journal.overflow(POINTS_LIMIT)
    expect([isDelivered(run), isComplete(run, writer)]).toEqual([true, false])
  })

  it('whose journal cannot be read is not delivered', async () => {
    const { filled, journal, start } = ending()
    const run = start()
    filled.end()
    run.drain()
    await turn(0)
    journal.addParams([['lr', '1']])
    journal.commit()
    journal.run('DROP TABLE params')
    expect(isDelivered(run)).toBe(false)
  })
})

describe('the account at the end', () => {
  it('is said line by line, of a journal that stays', () => {
    const { said, tell, journal } = ending()
    expect(tell()).toBe(false)
    expect(said).toEqual([
      'run ppo (01TEST) running: 1 number in 0 events = 1 point',
      '    metric  last  min  max  at step',
      '    Loss       0    0    0        1  ▄',
      `journal ${journal.path}`,
    ])
  })

  it('says that the run is lost where its journal is in memory, on a full disk, or deleted', () => {
    const lost = '1 point kept in memory only: lost, for there is no journal of them'
    const inMemory = ending(':memory:')
    const full = ending()
    full.journal.overflow(POINTS_LIMIT)
    // The one before is on the disk.
    full.filled.points([{ step: 2 }])
    const deleted = ending()
    rmSync(deleted.journal.path)
    for (const { tell, said, journal } of [inMemory, full, deleted]) {
      expect(tell()).toBe(true)
      expect(said.at(-1)).toBe(journal.isInMemory ? lost : `${lost} in ${journal.path}`)
    }
  })

  it('says why it cannot be told', () => {
    const { journal, said, tell } = ending()
    journal.run('DROP TABLE meta')
    expect(tell()).toBe(false)
    expect(said).toEqual([`the account of the run in ${journal.path} cannot be read (no such table: meta)`])
  })
})

describe('the file that is left', () => {
  it('can be opened by others, or is told to be damaged', () => {
    const { journal, said, say } = ending()
    expect([isReadable(journal.path, say), said]).toEqual([true, []])
    const path = join(temporaryDirectory(), 'x.sqlite')
    writeFileSync(path, 'somebody has written into it')
    expect(isReadable(path, say)).toBe(false)
    expect(said).toEqual([
      `the journal ${path} is damaged (file is not a database): what is not delivered of the run is lost`,
    ])
  })

  it('tells the end of a run whose points did not fit on the disk, and whether or not that fits nothing is thrown', () => {
    const { filled, journal } = ending()
    journal.overflow(POINTS_LIMIT)
    filled.end('FAILED', 77)
    filled.points([{}])
    expect(readJournal(journal.path)).toMatchObject({ status: 'interrupted' })
    saveAccount(journal)
    expect(readJournal(journal.path)).toMatchObject({ status: 'failed', endedAt: 77, points: 2 })
    const gone = ending()
    gone.journal.overflow(POINTS_LIMIT)
    truncateSync(gone.journal.path)
    saveAccount(gone.journal)
    expect(gone.journal.isOverflowing).toBe(true)
  })
})
