import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Batch, SendResult } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { deliver, steps } from '../support/deliver.ts'
import { addPoints, stepsOf } from '../support/fill.ts'
import { ConfirmingExporter, MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { turn, useStillTime } from '../support/turn.ts'

/** Points of one request here. */
const SIZE = 10
const NOTED = 16

/** No answer. */
const hang = (_batch: Batch, abort: AbortSignal): Promise<SendResult> =>
  new Promise((resolve) =>
    abort.addEventListener('abort', () => resolve({ kind: 'unanswered', error: new Error('no answer') })),
  )

function journalOf(path: string, count: number): RunJournal {
  const journal = RunJournal.create(path, runStart())
  journal.addSeries(0, 'trainer/loss')
  addPoints(journal, stepsOf(1, count))
  return journal
}

/** What is on disk in this moment, as the next process finds it. */
function crash(journal: RunJournal, directory: string): RunJournal {
  const copy = join(directory, 'copy.sqlite')
  journal.run(`VACUUM INTO '${copy}'`)
  const found = RunJournal.open(copy)
  onTestFinished(() => found.close())
  return found
}

const inTens = (): ConfirmingExporter =>
  Object.assign(new ConfirmingExporter(), { accepts: { points: SIZE, params: 100, tags: 100 } })

useStillTime()

describe('a backlog', () => {
  it('is noted sixteen batches ahead, and its delivery is on disk with the bounds of those that follow', async () => {
    const journal = journalOf(':memory:', 400)
    const written: unknown[] = []
    journal.database.exec('CREATE TABLE seen (position, sending)')
    journal.database.exec(
      `CREATE TRIGGER seen AFTER UPDATE ON cursors WHEN new.kind = 'points' BEGIN
        INSERT INTO seen VALUES (new.position, new.sending); END`,
    )
    const transaction = journal.transaction.bind(journal)
    journal.transaction = (body) => {
      transaction(body)
      const last = journal.get("SELECT position || ' to ' || sending AS text FROM seen ORDER BY rowid DESC LIMIT 1")
      if (last !== undefined && written.at(-1) !== last['text']) written.push(last['text'])
    }
    const exporter = inTens()
    const { state } = deliver(exporter, { journal })
    state.delivery.wake()
    await turn(0)
    expect(written).toEqual(['0 to 10', '10 to 170', '170 to 330', '330 to 400'])
    await turn(200)
    expect(written.at(-1)).toBe('400 to 400')
    expect([exporter.sizes.length, exporter.stored]).toEqual([40, steps(1, 400)])
  })

  it('is noted batch by batch where the destination can be asked nothing: all that is noted would go again', async () => {
    const journal = journalOf(':memory:', 200)
    const exporter = Object.assign(new MemoryExporter(), { accepts: { points: SIZE } })
    const noted: unknown[] = []
    const sending = (): unknown => journal.get("SELECT sending FROM cursors WHERE kind = 'points'")!['sending']
    exporter.onSend = () => (noted.push(sending()), { kind: 'ok' })
    deliver(exporter, { journal }).state.delivery.wake()
    await turn(0)
    expect(noted.slice(0, 6)).toEqual([10, 20, 30, 40, 50, 60])
  })

  it('is asked for batch by batch after a crash, until one is missing: nothing goes twice and nothing is left out', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 45 }), fc.boolean(), async (batches, isStored) => {
        const directory = temporaryDirectory()
        const journal = journalOf(join(directory, 'run.sqlite'), 400)
        const exporter = inTens()
        let left = batches
        exporter.onSend = (batch, abort) => {
          if (batch.kind !== 'points') return { kind: 'ok' }
          left -= 1
          if (left >= 0) return { kind: 'ok' }
          if (isStored && left === -1) exporter.store(batch)
          return hang(batch, abort)
        }
        const first = deliver(exporter, { journal })
        first.state.delivery.wake()
        await turn(0)
        const found = crash(journal, directory)
        const stopped = first.state.delivery.stop()
        const kept = Number(found.get("SELECT position FROM cursors WHERE kind = 'points'")!['position'])
        expect(kept).toBeGreaterThan(exporter.stored.length - (NOTED + 1) * SIZE)
        exporter.onSend = () => ({ kind: 'ok' })
        exporter.asked = 0
        const second = deliver(exporter, { journal: found })
        second.state.delivery.wake()
        await turn(300)
        expect([exporter.stored, exporter.repeats]).toEqual([steps(1, 400), 0])
        expect(exporter.asked).toBeLessThanOrEqual(NOTED + 1)
        expect(found.get("SELECT position, delivered FROM cursors WHERE kind = 'points'")).toEqual({
          position: 400,
          delivered: 400,
        })
        await second.state.delivery.stop()
        await stopped
        journal.close()
      }),
      { numRuns: 30 },
    )
  })

  it('goes in pieces where it cannot be asked for, and is asked for again behind them', async () => {
    const directory = temporaryDirectory()
    const journal = journalOf(join(directory, 'run.sqlite'), 600)
    const exporter = Object.assign(inTens(), { accepts: { points: 100 } })
    let left = 2
    exporter.onSend = (batch, abort) => ((left -= 1) >= 0 ? { kind: 'ok' } : hang(batch, abort))
    const first = deliver(exporter, { journal })
    first.state.delivery.wake()
    await turn(0)
    const found = crash(journal, directory)
    exporter.canTell = false
    exporter.sizes.length = exporter.asked = 0
    const bounds: unknown[] = []
    exporter.onSend = () => {
      bounds.push(found.get("SELECT sending FROM cursors WHERE kind = 'points'")!['sending'])
      exporter.canTell = bounds.length === 2
      return { kind: 'ok' }
    }
    const second = deliver(exporter, { journal: found })
    second.state.delivery.wake()
    await turn(100)
    expect(exporter.sizes).toEqual([50, 50, 100, 100, 100, 100])
    // Which batches there are is known over another crash, too.
    expect(bounds).toEqual([600, 600, 600, 600, 600, 600])
    expect([exporter.stored, exporter.asked]).toEqual([steps(1, 600), 2])
    await second.state.delivery.stop()
    await first.state.delivery.stop()
    journal.close()
  })

  it('shows what is delivered of it as soon as its destination is in trouble, and at the end', async () => {
    const journal = journalOf(':memory:', 400)
    const exporter = inTens()
    let left = 7 // its params and tags, too
    exporter.onSend = () => ((left -= 1) >= 0 ? { kind: 'ok' } : { kind: 'retry', error: new Error('busy') })
    const { state, status } = deliver(exporter, { journal })
    state.delivery.wake()
    await turn(2000)
    expect(status().destinations[0]!.points).toMatchObject({ delivered: 50, pending: 350 })
    left = 3
    await turn(2000)
    await state.delivery.stop()
    expect(status().destinations[0]!.points).toMatchObject({ delivered: 80, pending: 320 })
    // What has not left need not be asked for.
    expect(journal.get("SELECT sending FROM cursors WHERE kind = 'points'")).toEqual({ sending: 80 })
  })

  it('has its next batch encoded while the answer to the one before is awaited, once that has left', async () => {
    const journal = journalOf(':memory:', 60)
    const seen: string[] = []
    const known = new Map<Batch, number>()
    const nameOf = (batch: Batch): number => known.get(batch) ?? known.set(batch, known.size).size - 1
    const exporter = Object.assign(inTens(), {
      prepare: (_runId: string, batch: Batch) => void seen.push(`prepare ${batch.first} as ${nameOf(batch)}`),
    })
    // As undici does: a request leaves in the next turn of the loop.
    const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    exporter.onSend = async (batch) => {
      if (batch.kind !== 'points') return { kind: 'ok' }
      await soon()
      seen.push(`send ${batch.first} as ${nameOf(batch)}`)
      await soon()
      seen.push('answer')
      return { kind: 'ok' }
    }
    const { state, status } = deliver(exporter, { journal })
    state.delivery.wake()
    while (status().destinations[0]!.points.delivered < 60) await turn(100)
    expect(seen.slice(0, 8)).toEqual([
      'send 1 as 0',
      'prepare 11 as 1',
      'answer',
      'send 11 as 1',
      'prepare 21 as 2',
      'answer',
      'send 21 as 2',
      'prepare 31 as 3',
    ])
    expect(seen.filter((line) => line.startsWith('prepare'))).toHaveLength(5)
  })

  it('is noted further while the last batch that is noted is under way, so that no request waits for the disk', async () => {
    const journal = journalOf(':memory:', 400)
    const noted: unknown[] = []
    const exporter = inTens()
    exporter.onSend = async (batch) => {
      if (batch.kind !== 'points') return { kind: 'ok' }
      const before = journal.get("SELECT sending FROM cursors WHERE kind = 'points'")!['sending']
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
      const after = journal.get("SELECT sending FROM cursors WHERE kind = 'points'")!['sending']
      if (after !== before) noted.push(`${batch.first}: ${String(before)} to ${String(after)}`)
      return { kind: 'ok' }
    }
    const { state, status } = deliver(exporter, { journal })
    state.delivery.wake()
    while (status().destinations[0]!.points.delivered < 400) await turn(100)
    expect(noted).toEqual(['1: 10 to 170', '161: 170 to 330', '321: 330 to 400'])
    expect([exporter.stored, exporter.repeats]).toEqual([steps(1, 400), 0])
  })

  it('is not read ahead any more once the answer is there', async () => {
    const journal = journalOf(':memory:', 60)
    let prepared = 0
    const exporter = Object.assign(inTens(), { prepare: () => void (prepared += 1) })
    deliver(exporter, { journal }).state.delivery.wake()
    await turn(100)
    expect([exporter.stored.length, prepared]).toEqual([60, 0])
  })
})
