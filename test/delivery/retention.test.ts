import { existsSync, readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { CHUNK_POINTS } from '../../src/channel/chunk.ts'
import { accountOf } from '../../src/delivery/account.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import { Retention, type RetentionOptions } from '../../src/delivery/retention.ts'
import { lockOf } from '../../src/delivery/run.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import { sizeOf } from '../../src/journal/room.ts'
import { readJournal } from '../../src/journal/status.ts'
import { COUNTERS, NUMBERS, POINTS } from '../../src/telemetry/counters.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const POINTS_OF_EACH = 50_000

/** A journal at rest, ended unless `delivered` is null; `delivered`: how many points one destination has, 'none' without one. */
function leave(stateDir: string, run: string, delivered: number | 'none' | null): string {
  const path = join(stateDir, `${run}.sqlite`)
  const journal = RunJournal.create(path, runStart({ run, name: run, params: [], tags: [] }))
  journal.addSeries(0, 'loss')
  for (let i = 0; i < POINTS_OF_EACH; i += CHUNK_POINTS)
    journal.addPoints(
      new ArrayBuffer(CHUNK_POINTS * 28),
      CHUNK_POINTS,
      Float64Array.from(COUNTERS, (_, at) => (at === POINTS || at === NUMBERS ? CHUNK_POINTS : 0)),
    )
  if (delivered !== null) journal.setEnd('FINISHED', 9)
  journal.commit()
  if (delivered !== 'none') {
    const account = accountOf(journal, new MemoryExporter())
    const position = delivered ?? 0
    account.moved('points', { ...account.cursor('points'), position, delivered: position }, [], new Map())
    if (position === POINTS_OF_EACH) account.ended()
  }
  journal.close()
  return path
}

function keep(stateDir: string, options: Partial<RetentionOptions>): { said: string[]; stop: () => Promise<void> } {
  const said: string[] = []
  const retention = new Retention({
    stateDir,
    maxBytes: null,
    maxAgeMs: null,
    clock: systemClock,
    say: (text) => said.push(text),
    ...options,
  })
  onTestFinished(() => retention.stop())
  return { said, stop: () => retention.stop() }
}

const keptOf = (path: string): number => {
  const { journaled, notKept } = readJournal(path)
  return journaled.points - notKept.points
}

describe('the journals of a state directory', () => {
  it('are emptied from the oldest on when they take too much: what is delivered, then what no tracker has, then what is owed', async () => {
    const stateDir = temporaryDirectory()
    const owed = leave(stateDir, '01A', 20_000)
    const untracked = leave(stateDir, '01B', 'none')
    const delivered = leave(stateDir, '01C', POINTS_OF_EACH)
    const held = leave(stateDir, '01D', POINTS_OF_EACH)
    const lock = new JournalLock(lockOf(held))
    onTestFinished(() => lock.release())
    const all = [owed, untracked, delivered, held]
    const size = sizeOf(delivered)
    const within = async (maxBytes: number, empty: readonly string[]): Promise<string[]> => {
      const { said, stop } = keep(stateDir, { maxBytes })
      await vi.waitFor(() => expect(said).not.toEqual([]), { timeout: 20_000 })
      await stop()
      expect(all.filter((path) => keptOf(path) === 0)).toEqual(empty)
      return said
    }
    expect(await within(size * 3.2, [delivered])).toEqual([
      expect.stringContaining('01C (01C) are dropped; all of them'),
    ])
    expect(sizeOf(delivered)).toBeLessThan(size / 4)
    expect(await within(size * 2.4, [untracked, delivered])).toEqual([expect.stringContaining('no tracker has them')])
    const said = await within(size * 0.5, [owed, untracked, delivered])
    expect(said[0]).toContain('30,000 points of them were not delivered')
    const [destination] = readJournal(owed).destinations
    expect(destination!.points).toEqual({ delivered: 20_000, rejected: 0, evicted: 30_000, pending: 0 })
    expect(keptOf(held)).toBe(POINTS_OF_EACH)
  })

  it('are deleted at an age, if they have ended and all of them is delivered', async () => {
    const stateDir = temporaryDirectory()
    const paths = [
      leave(stateDir, '01A', POINTS_OF_EACH),
      leave(stateDir, '01B', 20_000),
      leave(stateDir, '01C', 'none'),
      leave(stateDir, '01D', null),
    ]
    for (const path of paths) utimesSync(path, 1000, 1000)
    const young = leave(stateDir, '01E', POINTS_OF_EACH)
    const { said, stop } = keep(stateDir, { maxAgeMs: 86_400_000 })
    await vi.waitFor(() => expect(existsSync(paths[0]!)).toBe(false))
    await stop()
    expect(said).toEqual(['the run 01A (01A) is deleted: see journal.maxAge'])
    expect([...paths.slice(1), young].every((path) => existsSync(path))).toBe(true)
    expect(readdirSync(stateDir).filter((name) => name.startsWith('01A'))).toEqual([])
  })
})
