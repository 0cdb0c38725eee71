import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { CHUNK_POINTS, POINT_BYTES } from '../../src/channel/chunk.ts'
import type { FromDelivery } from '../../src/channel/messages.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import { GroupCommit, type WrittenRun } from '../../src/delivery/group-commit.ts'
import { DeliveredRun } from '../../src/delivery/run.ts'
import { JournalWriter } from '../../src/delivery/writer.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { chunkOf, countsOf, pointsFrom } from '../support/points.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

const FULL = `CREATE TRIGGER full BEFORE INSERT ON blocks BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`

interface Opened {
  journal: RunJournal
  writer: JournalWriter
  exporter: MemoryExporter
  said: string[]
  /** Points come of it, one chunk. */
  add: (count: number) => void
  /** So many full chunks come of it. */
  fill: (chunks: number) => void
}

/** A group of runs; what is posted and what was transferred with it. */
function group() {
  const runs = new Map<number, WrittenRun>()
  const posts: FromDelivery[] = []
  const transfers: (ArrayBuffer[] | undefined)[] = []
  const post = (message: FromDelivery, transfer?: ArrayBuffer[]): void => {
    posts.push(message)
    transfers.push(transfer)
  }
  const commits = new GroupCommit({ clock: systemClock, runs, post })
  const open = (number: number): Opened => {
    const journal = RunJournal.create(join(temporaryDirectory(), 'x.sqlite'), runStart())
    const exporter = new MemoryExporter()
    const said: string[] = []
    const options = { journal, lock: null, exporters: [exporter], isOrphan: false, reopen: false }
    const run = new DeliveredRun({ ...options, clock: systemClock, say: () => {} })
    const writer = new JournalWriter({ journal, clock: systemClock, say: (text) => said.push(text), maxBytes: null })
    runs.set(number, { writer, run })
    journal.addSeries(0, 'loss')
    journal.commit()
    onTestFinished(async () => {
      await run.stop()
      run.close()
    })
    const add = (count: number): void => {
      const buffer = chunkOf(pointsFrom(journal.points + 1, count))
      writer.store({ kind: 'points', buffer, count, counts: countsOf(count) })
      commits.stored(writer)
    }
    const fill = (chunks: number): void => {
      for (let i = 0; i < chunks; i += 1) {
        const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
        writer.store({ kind: 'points', buffer, count: CHUNK_POINTS, counts: null })
        commits.stored(writer)
      }
    }
    return { journal, writer, exporter, said, add, fill }
  }
  return { runs, posts, transfers, commits, open }
}

describe('a group commit', () => {
  beforeEach(stopTime)
  afterEach(() => void vi.useRealTimers())

  it('is due 50 ms after the first thing that waits for it, takes all runs, and gives their buffers back', async () => {
    const { posts, transfers, open } = group()
    const [one, other, idle] = [open(0), open(1), open(2)]
    one.add(3)
    await turn(40)
    one.add(4)
    other.add(5)
    await turn(9)
    expect([one.journal.points, other.journal.points, posts]).toEqual([0, 0, []])
    await turn(1)
    expect([one.journal.points, other.journal.points, idle.journal.points]).toEqual([7, 5, 0])
    const buffer = expect.any(ArrayBuffer) as unknown
    expect(posts).toEqual([
      { kind: 'empty', buffers: [buffer, buffer] },
      { kind: 'empty', buffers: [buffer] },
    ])
    expect(transfers).toEqual(posts.map((message) => (message.kind === 'empty' ? message.buffers : null)))
    await turn(1000)
    expect(posts).toHaveLength(2)
    one.add(1)
    await turn(50)
    expect([one.journal.points, posts.length]).toEqual([8, 3])
  })

  it('gives back nothing where there were no points, and tells those who deliver', async () => {
    const { posts, commits, open } = group()
    const { writer, journal, exporter, add } = open(0)
    writer.store({ kind: 'params', params: [['seed', '7']] })
    commits.stored(writer)
    await turn(50)
    expect([posts, journal.get('SELECT value FROM params WHERE name = ?', 'seed')]).toEqual([[], { value: '7' }])
    await turn(1000)
    add(50)
    expect(exporter.sizes).toEqual([])
    await turn(50)
    await turn(0)
    expect(exporter.sizes).toEqual([50])
  })

  it('comes at once when 4 MB wait of one run', () => {
    const { open } = group()
    const { journal, writer, add, fill } = open(0)
    fill(149)
    expect([journal.points, journal.pendingBytes]).toEqual([0, 149 * 28_000])
    const span = new Uint8Array((4 << 20) - journal.pendingBytes - 28)
    writer.store({ kind: 'head', id: 0, resource: new Uint8Array(), scope: new Uint8Array() })
    writer.store({ kind: 'spans', spans: { bytes: span, ends: Uint32Array.of(span.length), heads: Uint32Array.of(0) } })
    expect(journal.pendingBytes).toBe((4 << 20) - 28)
    add(1)
    expect([journal.points, journal.spans, journal.pendingBytes]).toEqual([149_001, 1, 0])
  })

  it('waits for the whole of what belongs together, however much and long that is', async () => {
    const { commits, open } = group()
    const { journal, add, fill } = open(0)
    commits.begin()
    fill(151)
    await turn(500)
    expect(journal.points).toBe(0)
    commits.commit()
    expect(journal.points).toBe(0)
    commits.complete()
    await turn(50)
    expect(journal.points).toBe(151_000)
    commits.begin()
    add(1)
    commits.complete()
    await turn(49)
    expect(journal.points).toBe(151_000)
    await turn(1)
    expect(journal.points).toBe(151_001)
    // Half of a request, and no more will come.
    commits.begin()
    add(1)
    commits.commit(true)
    expect(journal.points).toBe(151_002)
  })

  it('answers barriers once, in their order, when what came before them is on disk', async () => {
    const { posts, commits, open } = group()
    const { journal, add } = open(0)
    open(1)
    commits.barrier({ id: 1, runs: [] })
    await turn(49)
    expect(posts).toEqual([])
    await turn(1)
    expect(posts.splice(0)).toEqual([{ kind: 'committed', id: 1, durable: true }])
    add(2)
    commits.barrier({ id: 2, runs: [0] })
    commits.barrier({ id: 3, runs: [0, 1] })
    // A run that is over: what came of it is where it belongs.
    commits.barrier({ id: 4, runs: [9] })
    commits.commit()
    expect(journal.points).toBe(2)
    expect(posts.splice(0)).toEqual([
      { kind: 'empty', buffers: [expect.any(ArrayBuffer)] },
      { kind: 'committed', id: 2, durable: true },
      { kind: 'committed', id: 3, durable: true },
      { kind: 'committed', id: 4, durable: true },
    ])
    await turn(1000)
    expect(posts).toEqual([])
  })

  it('answers no barrier while a run is being opened, for what came of that one still waits', async () => {
    const { runs, posts, commits, open } = group()
    const { journal, add } = open(0)
    runs.set(1, { writer: null, run: null })
    add(1)
    commits.barrier({ id: 1, runs: [0, 1] })
    await turn(500)
    expect([journal.points, posts.splice(0).map(({ kind }) => kind)]).toEqual([1, ['empty']])
    open(1)
    await turn(49)
    await turn(1)
    expect(posts).toEqual([{ kind: 'committed', id: 1, durable: true }])
  })

  it('with no barrier sets no timer while a run is being opened', async () => {
    const { runs, commits, open } = group()
    open(0)
    await turn(100)
    const before = vi.getTimerCount()
    runs.set(1, { writer: null, run: null })
    commits.commit()
    expect(vi.getTimerCount()).toBe(before)
  })

  it('says so where memory had to take what the disk did not, and tries the disk again each second', async () => {
    const { posts, commits, runs, open } = group()
    const [full, sound] = [open(0), open(1)]
    runs.set(2, { writer: null, run: null })
    const disk = full.journal.database
    disk.exec(FULL)
    full.add(2)
    sound.add(2)
    await turn(50)
    runs.delete(2)
    commits.barrier({ id: 1, runs: [1] })
    commits.barrier({ id: 2, runs: [1, 0] })
    commits.barrier({ id: 3, runs: [0] })
    await turn(50)
    expect(posts.filter(({ kind }) => kind === 'committed')).toEqual([
      { kind: 'committed', id: 1, durable: true },
      { kind: 'committed', id: 2, durable: false },
      { kind: 'committed', id: 3, durable: false },
    ])
    expect([full.journal.isOverflowing, full.journal.points, sound.journal.isOverflowing]).toEqual([true, 2, false])
    await turn(3000)
    expect(full.journal.isOverflowing).toBe(true)
    disk.exec('DROP TRIGGER full')
    await turn(1100)
    expect([full.journal.isOverflowing, full.writer.isDurable, full.said]).toEqual([
      false,
      true,
      [
        `the journal ${full.journal.path} cannot be written (database or disk is full); up to 64 MB of points are kept in memory meanwhile, and senders of OTLP are told to come again. Is the disk full? It is tried again each second.`,
        `the journal ${full.journal.path} can be written again; what memory held is in it`,
      ],
    ])
    await turn(1000)
    const rest = vi.getTimerCount()
    await turn(3000)
    expect(vi.getTimerCount()).toBe(rest)
  })

  it('that is the last one tries the disk, and sets no timer any more', async () => {
    const { commits, open } = group()
    const { journal, add } = open(0)
    journal.run(FULL)
    add(1)
    await turn(50)
    add(1)
    commits.commit(true)
    const before = vi.getTimerCount()
    expect([journal.isOverflowing, journal.points]).toEqual([true, 2])
    commits.commit(true)
    expect(vi.getTimerCount()).toBe(before)
  })
})
