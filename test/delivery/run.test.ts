import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/delivery/clock.ts'
import { DeliveredRun, lockOf, removeEmpty } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, SPANS } from '../../src/telemetry/counters.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

/** A run on disk with one destination, of spans. */
function spanRun() {
  const path = join(temporaryDirectory(), 'x.sqlite')
  const journal = RunJournal.create(path, runStart())
  const exporter = new MemoryExporter()
  exporter.accepts = { spans: 100 }
  const options = { journal, lock: null, exporters: [exporter], isOrphan: false, reopen: false }
  const run = new DeliveredRun({ ...options, clock: systemClock, say: () => {} })
  onTestFinished(async () => {
    await run.stop()
    run.close()
  })
  const addSpan = (): void => {
    journal.addHead(0, new Uint8Array(), new Uint8Array())
    journal.addSpans({ bytes: new Uint8Array([0x2a, 1, 0x61]), ends: Uint32Array.of(3), heads: Uint32Array.of(0) })
    journal.addCounts(Float64Array.from(COUNTERS, (_, i) => (i === SPANS ? 1 : 0)))
    journal.commit()
  }
  return { path, journal, exporter, run, addSpan }
}

describe('a run with a destination of spans', () => {
  it('shows it once there is a span, which is pending there though the process dies at that moment', () => {
    const { path, addSpan } = spanRun()
    expect(readJournal(path).destinations).toEqual([])
    addSpan()
    expect(readJournal(path).destinations).toMatchObject([{ exporter: 'memory', spans: { delivered: 0, pending: 1 } }])
  })

  it('goes on when the disk fails at the moment when its delivery begins, and delivers later', async () => {
    const { journal, exporter, run, addSpan } = spanRun()
    journal.run(`CREATE TRIGGER full BEFORE INSERT ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)
    addSpan()
    run.wake()
    expect([exporter.opens, run.isComplete]).toEqual([0, false])
    journal.run('DROP TRIGGER full')
    run.wake()
    run.drain()
    await expect.poll(() => run.isComplete).toBe(true)
    expect(exporter.spans).toHaveLength(1)
  })
})

describe('a journal whose process has died before anything was in it', () => {
  it('is removed, unless a process is making it, and nothing else is', () => {
    const directory = temporaryDirectory()
    const [made, unmade, held, text] = ['01A', '01B', '01C', '01D'].map((name) =>
      join(directory, `${name.padEnd(26, '0')}.sqlite`),
    )
    RunJournal.create(made!, runStart()).close()
    for (const path of [unmade!, held!]) {
      const database = new DatabaseSync(path)
      database.exec('PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL')
      database.close()
    }
    writeFileSync(text!, 'no database, and somebody may want it')
    const lock = new JournalLock(lockOf(held!))
    onTestFinished(() => lock.release())
    for (const path of [made, unmade, held, text]) removeEmpty(path!)
    expect([made, unmade, held, text].map((path) => existsSync(path!))).toEqual([true, false, true, true])
    expect(readdirSync(directory).filter((name) => name.startsWith('01B'))).toEqual([])
  })
})
