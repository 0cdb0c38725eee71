import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Batch, OpenResult, SendResult } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { expectConserved } from '../support/account.ts'
import { deliver, steps } from '../support/deliver.ts'
import { addPoints, addSpans, spanOf } from '../support/fill.ts'
import { ConfirmingExporter, MemoryExporter } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { turn, useStillTime } from '../support/turn.ts'

const ok: SendResult = { kind: 'ok' }
const lost: SendResult = { kind: 'unanswered', error: new Error('lost'), absent: true }
const away: SendResult = { kind: 'retry', error: new Error('away'), absent: true }
const refused: SendResult = { kind: 'drop', error: new Error('this point is refused') }
const splitting: OpenResult = { kind: 'ok', runId: 'r1', made: true, page: null, splitsNaN: true }

/** Answers requests with points one after the other, in order, and then with `ok`; notes the steps of each. */
class Scripted extends MemoryExporter {
  answers: (SendResult | 'hang')[] = []
  readonly sent: string[] = []
  /** A step that a test refuses. */
  poison = 0
  override onSend = (batch: Batch, abort: AbortSignal): SendResult | Promise<SendResult> => {
    if (batch.kind !== 'points') return ok
    this.sent.push(batch.count === 0 ? 'nothing' : `${batch.step[0]}-${batch.step.at(-1)}`)
    const answer = this.answers.shift() ?? ok
    if (answer !== 'hang') return answer
    return new Promise((resolve) => abort.addEventListener('abort', () => resolve(lost)))
  }
}

const cursor = (journal: RunJournal) =>
  journal.get("SELECT position, delivered, rejected, sending FROM cursors WHERE kind = 'points'")
const rejected = (journal: RunJournal) =>
  journal.all("SELECT sequence FROM rejected WHERE kind = 'points' ORDER BY sequence").map((row) => row['sequence'])
const failDisk = (journal: RunJournal): void =>
  journal.run(`CREATE TRIGGER full BEFORE UPDATE OF position ON cursors BEGIN SELECT RAISE(FAIL, 'disk is full'); END`)

useStillTime()

describe('a batch that was under way when the process died', () => {
  /** Of `count` points that a first process has begun to send, and `more` that came later. */
  async function died(exporter: MemoryExporter, count: number, more: number) {
    const first = new Scripted()
    first.answers = ['hang']
    const all = deliver(first)
    await turn(0)
    all.add(count)
    await turn(0)
    const dead = all.state.delivery
    all.state.delivery = all.restart(exporter)
    all.add(more)
    all.said.length = 0
    return { ...all, dead }
  }

  it('goes again with the bounds that it had, in pieces where nobody can be asked', async () => {
    const exporter = new Scripted()
    const { dead, status, journal } = await died(exporter, 120, 300)
    journal.addParams(Array.from({ length: 60 }, (_, i) => [`param${i}`, '1'] as const))
    journal.commit()
    const { onSend } = exporter
    const params: number[] = []
    exporter.onSend = (batch, abort) => {
      if (batch.kind === 'params') params.push(batch.count)
      return onSend(batch, abort)
    }
    await turn(1000)
    expect(params).toEqual([60])
    expect(exporter.sent).toEqual(['1-50', '51-100', '101-120', '121-420'])
    expectConserved(status())
    await dead.stop()
  })

  it('is asked for with the bounds that it had', async () => {
    const exporter = new ConfirmingExporter()
    const asked: number[] = []
    exporter.confirm = async (_runId, batch) => (asked.push(batch.count), { kind: 'stored' })
    const { dead, status } = await died(exporter, 120, 300)
    await turn(1000)
    expect([asked, exporter.sizes]).toEqual([[120], [300]])
    expect(status().destinations[0]!.points).toMatchObject({ delivered: 420, pending: 0 })
    await dead.stop()
  })

  it('goes in pieces, unasked, where a memory that was ahead of the journal has died with it: any part of it may be there', async () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    const journal = RunJournal.create(path, runStart())
    onTestFinished(() => journal.close())
    const first = new ConfirmingExporter()
    const { promise, resolve } = Promise.withResolvers<SendResult>()
    first.onSend = (batch) => (batch.kind === 'points' ? promise : ok)
    const { add, state } = deliver(first, { journal })
    await turn(0)
    add(120)
    await turn(0)
    journal.overflow(1 << 20)
    const heir = RunJournal.open(path)
    onTestFinished(() => heir.close())
    const exporter = new ConfirmingExporter()
    const { status } = deliver(exporter, { journal: heir })
    await turn(1000)
    expect([exporter.asked, exporter.sizes, exporter.stored]).toEqual([0, [50, 50, 20], steps(1, 120)])
    expect(status().destinations[0]!.points).toMatchObject({ delivered: 120, pending: 0 })
    resolve(lost)
    await state.delivery.stop()
  })

  it('is in doubt no more where the run begins afresh, at another tracker', async () => {
    const exporter = Object.assign(new ConfirmingExporter(), { address: 'memory:2' })
    exporter.onOpen = ({ knownId }) =>
      knownId === null
        ? { kind: 'ok', runId: 'r2', made: true, page: null }
        : { kind: 'drop', error: new Error('there is no such run'), noSuchRun: true }
    const { dead } = await died(exporter, 120, 300)
    await turn(1000)
    expect([exporter.asked, exporter.sizes, exporter.stored]).toEqual([0, [420], steps(1, 420)])
    await dead.stop()
  })

  it('is asked for whole, though a NaN is in it', async () => {
    const exporter = new ConfirmingExporter()
    exporter.onOpen = () => splitting
    const asked: number[] = []
    exporter.confirm = async (_runId, batch) => (asked.push(batch.count), { kind: 'stored' })
    const { journal, state, restart } = deliver(exporter)
    addPoints(
      journal,
      Array.from({ length: 60 }, (_, i) => ({ step: i + 1, value: i === 20 ? Number.NaN : i })),
    )
    await state.delivery.stop()
    journal.run("UPDATE cursors SET sending = 60 WHERE kind = 'points'")
    state.delivery = restart()
    state.delivery.wake()
    await turn(100)
    expect([asked, exporter.sizes]).toEqual([[60], []])
  })

  it('of spans goes again, counted as sent again', async () => {
    const first = new MemoryExporter()
    first.accepts = { spans: 100 }
    first.onSend = (_batch, abort) => new Promise((resolve) => abort.addEventListener('abort', () => resolve(lost)))
    const { journal, state, restart, status } = deliver(first)
    addSpans(journal, [spanOf('a'), spanOf('b')])
    state.delivery.wake()
    await turn(1100)
    const dead = state.delivery
    const exporter = new MemoryExporter()
    exporter.accepts = { spans: 100 }
    state.delivery = restart(exporter)
    state.delivery.wake()
    await turn(1100)
    expect(status().destinations[0]!.spans).toMatchObject({ delivered: 2, resent: 2 })
    await dead.stop()
  })
})

describe('a batch in pieces', () => {
  it('has its refused points looked for in the piece, and goes on behind it', async () => {
    const exporter = new Scripted()
    const { add, journal } = deliver(exporter)
    await turn(0)
    const inner = exporter.onSend
    exporter.onSend = (batch, abort) => {
      const result = inner(batch, abort)
      return batch.kind === 'points' && batch.count <= 50 && batch.step.includes(60) ? refused : result
    }
    exporter.answers = [lost]
    add(200)
    await turn(100)
    expect(exporter.sent.slice(0, 6)).toEqual(['1-200', '1-50', '51-100', 'nothing', '51-75', '51-62'])
    expect(exporter.sent.slice(-2)).toEqual(['101-150', '151-200'])
    expect(cursor(journal)).toMatchObject({ position: 200, delivered: 199, rejected: 1 })
    expect(rejected(journal)).toEqual([60])
  })

  it('waits where a piece cannot be sent, goes on with that, and is back when the last one is there', async () => {
    const exporter = new Scripted()
    const { add, journal, said } = deliver(exporter)
    await turn(0)
    said.length = 0
    exporter.answers = [lost, ok, away, away, away, away, ok]
    add(150)
    await turn(3000)
    expect(exporter.sent).toEqual(['1-150', '1-50', ...Array.from({ length: 5 }, () => '51-100'), '101-150'])
    expect(cursor(journal)).toMatchObject({ position: 150, delivered: 150 })
    expect(said).toEqual([
      'away. 100 points wait in the journal; it is tried again by itself.',
      'memory: back after 2.6 s; 100 points that had waited are delivered',
    ])
  })

  it('counts what was left out of it, once', async () => {
    const exporter = new Scripted()
    const { add, journal, status } = deliver(exporter)
    journal.addSeries(1, 'bad%name')
    await turn(0)
    const forKey: SendResult = { kind: 'drop', error: new Error('the name is refused'), forKey: true }
    const inner = exporter.onSend
    exporter.onSend = (batch, abort) => {
      const result = inner(batch, abort)
      if (batch.kind === 'points' && batch.series.includes(1)) return forKey
      return batch.kind === 'points' && batch.step.includes(exporter.poison) ? refused : result
    }
    const isOdd = (step: number): number => step % 2
    add(50, isOdd)
    await turn(0)
    exporter.sent.length = 0
    exporter.answers = [lost]
    add(241, isOdd)
    await turn(1100)
    expect(exporter.sent).toEqual(['52-290', '52-150', '152-250', '252-290'])
    expect(cursor(journal)).toMatchObject({ position: 291, delivered: 145, rejected: 146 })
    expect(rejected(journal)).toEqual(Array.from({ length: 146 }, (_, i) => 2 * i + 1))
    expectConserved(status())
    // Of a batch of which nothing is left, nothing is sent.
    exporter.sent.length = 0
    add(60, () => 1)
    await turn(0)
    expect([exporter.sent, cursor(journal)]).toMatchObject([[], { position: 351, delivered: 145, rejected: 206 }])
    // And where a point is refused beside them, all are counted once.
    exporter.poison = 400
    add(100, isOdd)
    await turn(1100)
    expect(cursor(journal)).toMatchObject({ position: 451, delivered: 194, rejected: 257 })
    expect(new Set(rejected(journal)).size).toBe(257)
    expectConserved(status())
  })
})

describe('a backend that knows no stored NaN', () => {
  it('gets each NaN alone, and all in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), async (isNaN) => {
        const exporter = new MemoryExporter()
        exporter.onOpen = () => splitting
        const batches: boolean[][] = []
        exporter.onSend = (batch) => {
          if (batch.kind === 'points') batches.push(Array.from(batch.value, Number.isNaN))
          return ok
        }
        const { journal, end, state } = deliver(exporter)
        addPoints(
          journal,
          isNaN.map((is, i) => ({ step: i, value: is ? Number.NaN : i })),
        )
        end()
        await turn(0)
        await turn(0)
        await turn(100)
        expect(batches.flat()).toEqual(isNaN)
        expect(batches.every((batch) => batch.length === 1 || !batch.includes(true))).toBe(true)
        const runs = isNaN.filter((is, i) => is || i === 0 || isNaN[i - 1]).length
        expect([batches.length, state.delivery.isComplete]).toEqual([runs, true])
        await state.delivery.stop()
      }),
      { numRuns: 20 },
    )
  })

  it('has no bounds noted for what follows a batch, which are not known yet', async () => {
    const exporter = new MemoryExporter()
    exporter.onOpen = () => splitting
    const noted: unknown[] = []
    const all = deliver(exporter, { onSettled: () => noted.push(cursor(all.journal)!['sending']) })
    await turn(0)
    all.add(1050)
    await turn(0)
    expect(noted).toEqual([1000, 1050])
  })

  it('gets a batch in doubt with its bounds when it is asked for, and in pieces without NaN where it cannot be', async () => {
    const exporter = new Scripted()
    exporter.onOpen = () => splitting
    exporter.answers = ['hang']
    const { journal, state, restart } = deliver(exporter)
    await turn(0)
    addPoints(
      journal,
      Array.from({ length: 60 }, (_, i) => ({ step: i + 1, value: i === 20 ? Number.NaN : i })),
    )
    state.delivery.wake()
    await turn(0)
    const dead = state.delivery
    // As if it had been sent whole, by a process that did not know.
    journal.run("UPDATE cursors SET sending = 60 WHERE kind = 'points'")
    state.delivery = restart()
    state.delivery.wake()
    await turn(2200)
    expect(exporter.sent).toEqual(['1-20', '1-20', '21-21', '22-60'])
    await dead.stop()
  })
})

it('a batch in doubt goes in pieces with the NaN that are in it, where the backend takes them like other values', async () => {
  const exporter = new Scripted()
  exporter.answers = [lost]
  const { journal, state } = deliver(exporter)
  await turn(0)
  addPoints(
    journal,
    Array.from({ length: 60 }, (_, i) => ({ step: i + 1, value: i === 20 ? Number.NaN : i })),
  )
  state.delivery.wake()
  await turn(1000)
  expect(exporter.sent).toEqual(['1-60', '1-50', '51-60'])
})

describe('a refused batch', () => {
  const begun = async (exporter: Scripted, count = 60) => {
    const all = deliver(exporter)
    await turn(0)
    all.said.length = 0
    all.add(count)
    await turn(0)
    return all
  }

  it('is halved until the refused point stands alone, which is tried once more', async () => {
    const exporter = new Scripted()
    const inner = exporter.onSend
    exporter.onSend = (batch, abort) => {
      const result = inner(batch, abort)
      return batch.kind === 'points' && batch.step.includes(7) ? refused : result
    }
    const { journal, said } = await begun(exporter, 50)
    expect(exporter.sent).toEqual([
      '1-50',
      'nothing',
      '1-25',
      '1-12',
      '1-6',
      '7-12',
      '7-9',
      '7-7',
      'nothing',
      '7-7',
      '8-9',
      '10-12',
      '13-25',
      '26-50',
    ])
    expect(cursor(journal)).toEqual({ position: 50, delivered: 49, rejected: 1, sending: 50 })
    expect(said).toEqual([
      "memory: point 'trainer/loss' is refused and set aside, the others go on: this point is refused",
    ])
  })

  it('that is taken when it stands alone is delivered', async () => {
    const exporter = new Scripted()
    const all = await begun(exporter, 50)
    exporter.sent.length = 0
    exporter.answers = [refused, ok, ok, ok]
    all.add(1)
    await turn(1000)
    expect(exporter.sent).toEqual(['51-51', 'nothing', 'nothing', '51-51'])
    expect(cursor(all.journal)).toMatchObject({ position: 51, delivered: 51, rejected: 0 })
  })

  it('rejects nothing when the question whether the run takes anything is not answered', async () => {
    for (const answers of [
      [refused, away, away, away],
      [refused, ok, refused, away, away, away],
      [refused, ok, refused, ok, refused, ok, refused, ok, refused, ok, refused, ok, refused, away, away, away],
    ]) {
      const exporter = new Scripted()
      exporter.answers = [...answers]
      const { journal, said, status } = await begun(exporter, 50)
      await turn(700)
      expect(said).toEqual([
        expect.stringMatching(/^away\. \d+ points? waits? in the journal; it is tried again by itself\.$/),
      ])
      expect([rejected(journal), status().destinations[0]!.state]).toEqual([[], 'suspended'])
      await turn(5000)
      expect(cursor(journal)).toMatchObject({ position: 50, delivered: 50, rejected: 0 })
      expectConserved(status())
    }
  })

  it('a part deep in which cannot be sent is tried again after a pause, not at once', async () => {
    const exporter = new Scripted()
    exporter.answers = [refused, ok, refused, away, away, away]
    const { journal } = await begun(exporter, 240)
    const parts = ['1-240', 'nothing', '1-120', '1-60', '1-60', '1-60']
    await turn(700)
    expect(exporter.sent).toEqual(parts)
    await turn(2000)
    expect(exporter.sent).toEqual([...parts, '1-60', '61-240'])
    expect(cursor(journal)).toMatchObject({ position: 240, delivered: 240 })
  })

  it('one of whose halves gets lost goes on in pieces where nobody can be asked', async () => {
    const exporter = new Scripted()
    exporter.answers = [refused, ok, lost]
    const { journal, status } = await begun(exporter, 240)
    expect(exporter.sent).toEqual(['1-240', 'nothing', '1-120', '1-50', '51-100', '101-120', '121-240'])
    expect(cursor(journal)).toMatchObject({ position: 240, delivered: 240 })
    expectConserved(status())
  })

  it('deep in which a part gets lost goes on from there', async () => {
    const exporter = new Scripted()
    exporter.answers = [refused, ok, refused, lost]
    const { journal } = await begun(exporter, 240)
    expect(exporter.sent).toEqual(['1-240', 'nothing', '1-120', '1-60', '1-50', '51-60', '61-240'])
    expect(cursor(journal)).toMatchObject({ position: 240, delivered: 240 })
  })

  it('whose last point gets lost when it is tried again is asked for', async () => {
    const exporter = new Scripted()
    exporter.answers = [ok]
    const { add, journal } = await begun(exporter, 50)
    exporter.sent.length = 0
    exporter.answers = [refused, ok, ok, lost]
    add(1)
    await turn(1000)
    expect(exporter.sent).toEqual(['51-51', 'nothing', 'nothing', '51-51', '51-51'])
    expect(cursor(journal)).toMatchObject({ position: 51, delivered: 51, rejected: 0 })
  })

  it('of spans is asked for with no spans, and halved', async () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { spans: 100 }
    const sizes: number[] = []
    exporter.onSend = (batch) => {
      sizes.push(batch.count)
      expect(batch.kind).toBe('spans')
      return batch.count > 0 && batch.first <= 2 && batch.first + batch.count > 2 ? refused : ok
    }
    const { journal, state, status, said } = deliver(exporter)
    addSpans(journal, [spanOf('a'), spanOf('b')])
    state.delivery.drain(null)
    await turn(0)
    expect(sizes).toEqual([2, 0, 1, 1, 0, 1])
    expect(status().destinations[0]!.spans).toMatchObject({ delivered: 1, rejected: 1, pending: 0 })
    expect(said.slice(1)).toEqual([
      "memory: span 'b' is refused and set aside, the others go on: this point is refused",
    ])
  })

  it('some of which the backend does not take is counted so', async () => {
    const exporter = new MemoryExporter()
    exporter.onSend = (batch) =>
      batch.kind === 'points' ? { ...ok, refused: { rejected: 3, message: 'no room' } } : ok
    const { add, said, status } = deliver(exporter)
    await turn(0)
    add(60)
    await turn(0)
    expect(status().destinations[0]!.points).toMatchObject({ delivered: 57, rejected: 3 })
    expect(said.at(-1)).toBe('memory: 3 of 60 are refused, the others are taken: no room')
  })
})

describe('a journal whose disk fails', () => {
  /** Points that come while the next batch is under way: what follows it is noted in the commit that ends it. */
  const addMeanwhile = (exporter: MemoryExporter, add: (count: number) => void): void => {
    exporter.onSend = (batch) => {
      if (batch.kind !== 'points') return ok
      exporter.onSend = () => ok
      add(60)
      return ok
    }
  }

  it('when a batch is delivered has that batch asked for, and not those that have come meanwhile', async () => {
    const exporter = new ConfirmingExporter()
    const { add, journal } = deliver(exporter)
    await turn(0)
    failDisk(journal)
    addMeanwhile(exporter, add)
    add(60)
    await turn(500)
    journal.run('DROP TRIGGER full')
    await turn(1000)
    expect([exporter.sizes, exporter.asked, exporter.stored]).toEqual([[60, 60], 1, steps(1, 120)])
  })

  it('before a batch is noted leaves nothing in doubt, for it has not left, and what comes meanwhile goes with it', async () => {
    const exporter = new ConfirmingExporter()
    const { add, journal } = deliver(exporter)
    await turn(0)
    journal.run(
      `CREATE TRIGGER full BEFORE UPDATE OF sending ON cursors WHEN new.kind = 'points' AND new.position = 0
        BEGIN SELECT RAISE(FAIL, 'disk is full'); END`,
    )
    add(60)
    await turn(500)
    add(60)
    journal.run('DROP TRIGGER full')
    await turn(1000)
    expect([exporter.sizes, exporter.asked]).toEqual([[120], 0])
  })

  it('suspends the delivery, and what was sent meanwhile is asked for', async () => {
    const exporter = new ConfirmingExporter()
    const { add, journal, said, status } = deliver(exporter)
    await turn(0)
    said.length = 0
    failDisk(journal)
    addMeanwhile(exporter, add)
    add(60)
    await turn(500)
    expect([exporter.sizes, exporter.asked]).toEqual([[60], 0])
    expect(said).toEqual([
      'the journal :memory: fails (disk is full). 120 points wait in the journal; it is tried again by itself.',
    ])
    expect(status().destinations[0]).toMatchObject({
      state: 'suspended',
      lastError: 'the journal :memory: fails (disk is full)',
    })
    journal.run('DROP TRIGGER full')
    await turn(1000)
    expect([exporter.sizes, exporter.asked, exporter.repeats]).toEqual([[60, 60], 1, 0])
    expect(cursor(journal)).toMatchObject({ position: 120, delivered: 120 })
    expect(said.at(-1)).toBe('memory: back after 1.0 s; 120 points that had waited are delivered')
  })

  it('is told of when nothing more has to leave, and what was delivered is known without asking', async () => {
    const exporter = new ConfirmingExporter()
    const { add, journal, said, status } = deliver(exporter)
    await turn(0)
    said.length = 0
    failDisk(journal)
    add(60)
    await turn(500)
    expect(said).toEqual([
      'the journal :memory: fails (disk is full). Metrics wait in the journal; it is tried again by itself.',
    ])
    expect(status().destinations[0]).toMatchObject({ state: 'suspended', points: { delivered: 0 } })
    journal.run('DROP TRIGGER full')
    await turn(1000)
    expect([exporter.sizes, exporter.asked]).toEqual([[60], 0])
    expect(status().destinations[0]).toMatchObject({ state: 'ok', points: { delivered: 60, pending: 0 } })
    expect(said).toHaveLength(2)
    add(70)
    await turn(0)
    expect([exporter.sizes, exporter.asked]).toEqual([[60, 70], 0])
  })

  it('goes on with the batch where nobody can be asked', async () => {
    const exporter = new Scripted()
    const { add, journal } = deliver(exporter)
    await turn(0)
    failDisk(journal)
    add(120)
    await turn(500)
    journal.run('DROP TRIGGER full')
    await turn(1000)
    expect(exporter.sent).toEqual(['1-120', '1-120'])
    expect(cursor(journal)).toMatchObject({ position: 120, delivered: 120 })
  })

  it('has what was sent asked for though earlier batches were fine', async () => {
    const exporter = new ConfirmingExporter()
    const { add, journal } = deliver(exporter)
    await turn(0)
    add(60)
    await turn(500)
    failDisk(journal)
    addMeanwhile(exporter, add)
    add(70)
    await turn(0)
    journal.run('DROP TRIGGER full')
    await turn(1000)
    expect([exporter.sizes, exporter.asked]).toEqual([[60, 70, 60], 1])
  })

  it('leaves a batch in pieces in pieces', async () => {
    const exporter = new ConfirmingExporter()
    exporter.canTell = false
    const { add, journal } = deliver(exporter)
    await turn(0)
    exporter.lose = 'answer'
    add(120)
    failDisk(journal)
    await turn(500)
    journal.run('DROP TRIGGER full')
    await turn(3000)
    expect(exporter.sizes).toEqual([120, 50, 50, 50, 20])
    expect([exporter.stored, exporter.asked]).toEqual([steps(1, 120), 1])
  })
})
