import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHUNK_POINTS, columnsOf } from '../../src/channel/chunk.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { runStart } from '../support/run-start.ts'
import { spanbridge, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'

const WAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24

/** Where the frames end that belong to the present round of a write-ahead log (sqlite.org/fileformat2.html, section 4). */
function endOfWal(wal: Buffer): number {
  if (wal.length < WAL_HEADER_BYTES) return 0
  const frame = FRAME_HEADER_BYTES + wal.readUInt32BE(8)
  const salt = wal.subarray(16, 24)
  let end = WAL_HEADER_BYTES
  while (end + frame <= wal.length && wal.subarray(end + 8, end + 16).equals(salt)) end += frame
  return end
}

/** The files of a journal as they were at a moment. */
interface Snapshot {
  /** Points of the commit that was the last one then. */
  points: number
  database: Buffer
  wal: Buffer
  /** End of the frames that were synced. */
  end: number
}

function commit(journal: RunJournal, count: number): void {
  const buffer = new ArrayBuffer(CHUNK_POINTS * 28)
  const { value } = columnsOf(buffer, CHUNK_POINTS)
  for (let i = 0; i < count; i += 1) value[i] = journal.points + i
  journal.addPoints(buffer, count, null)
  journal.commit()
}

/** Commits `counts` points each, and takes a snapshot behind every commit. */
function record(counts: readonly number[]): Snapshot[] {
  const path = join(temporaryDirectory(), 'x.sqlite')
  const journal = RunJournal.create(path, runStart())
  journal.addSeries(0, 'loss')
  const snapshots = counts.map((count) => {
    commit(journal, count)
    const wal = readFileSync(`${path}-wal`)
    return { points: journal.points, database: readFileSync(path), wal, end: endOfWal(wal) }
  })
  journal.close()
  return snapshots
}

/** What is in a journal of these bytes. */
function held(database: Buffer, wal: Buffer): number[] {
  const path = join(temporaryDirectory(), 'x.sqlite')
  writeFileSync(path, database)
  writeFileSync(`${path}-wal`, wal)
  const journal = RunJournal.open(path)
  const values = journal.points === 0 ? [] : [...journal.read(0, journal.points)!.value]
  expect(values.length).toBe(journal.points)
  journal.close()
  return values
}

/** A log that lost power: what was behind the last sync is cut off, or anything. */
const damage = fc.oneof(
  fc.record({ cut: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 5000 }),
  }),
)

describe('a journal whose machine has lost power', () => {
  it('opens, and holds all that was acknowledged, and nothing that was not committed, whatever became of the log behind it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: CHUNK_POINTS }), { minLength: 2, maxLength: 60 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        damage,
        (counts, share, harm) => {
          const snapshots = record(counts)
          const now = snapshots[Math.floor(share * (snapshots.length - 1))]!
          // The last commit before it that is in the same round of the log was synced; this one may not have been.
          const before = snapshots[snapshots.indexOf(now) - 1]
          const isSameRound =
            before !== undefined &&
            before.end <= now.end &&
            before.wal.subarray(16, 24).equals(now.wal.subarray(16, 24))
          const synced = isSameRound ? before : now
          const wal = Buffer.from(now.wal)
          const room = wal.length - synced.end
          const from = synced.end + Math.floor(('cut' in harm ? harm.cut : harm.at) * room)
          if ('bytes' in harm) wal.set(harm.bytes.subarray(0, wal.length - from), from)
          const values = held(now.database, 'cut' in harm ? wal.subarray(0, from) : wal)
          expect([synced.points, now.points]).toContain(values.length)
          expect(values).toEqual(Array.from({ length: values.length }, (_, i) => i))
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('a copy of a journal that is in use', () => {
  it('made by VACUUM INTO holds all that was committed, and can be delivered elsewhere', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir])
    const write = (from: number, to: number): void => {
      for (let step = from; step < to; step += 1) running.child.stdin.write(`{"step":${step},"loss":${step}}\n`)
    }
    write(0, 2000)
    await expect.poll(async () => (await statusOf(stateDir))[0]?.journaled.points, { timeout: 20_000 }).toBe(2000)
    const [run] = await statusOf(stateDir)
    write(2000, 10_000)
    const copy = join(temporaryDirectory(), 'copy.sqlite')
    const database = new DatabaseSync(run!.journal, { readOnly: true })
    database.exec(`VACUUM INTO '${copy}'`)
    database.close()
    running.child.stdin.end()
    expect((await running.finished).code).toBe(0)
    expect((await spanbridge(['sync', copy, '--mlflow-tracking-uri', fake.url])).code).toBe(0)
    const steps = [...fake.points.values()].map(({ step }) => step)
    expect(steps.length).toBeGreaterThanOrEqual(2000)
    expect(steps).toEqual(steps.map((_, i) => i))
    // The original is none the worse for it.
    expect((await statusOf(stateDir))[0]!.journaled.points).toBe(10_000)
  })
})
