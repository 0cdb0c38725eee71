import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Batch, SendResult } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { expectConserved } from '../support/account.ts'
import { deliver, steps } from '../support/deliver.ts'
import { ConfirmingExporter, MemoryExporter, type Fate } from '../support/memory-exporter.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { stopTime, turn } from '../support/turn.ts'

const start = runStart()

const refused: Error = new Error('refused')

describe('delivery', () => {
  afterEach(() => void vi.useRealTimers())

  it('counts what the journal has dropped as evicted, and delivers the rest', async () => {
    stopTime()
    const exporter = new ConfirmingExporter()
    exporter.fates = Array.from({ length: 20 }, () => 'away')
    const path = join(temporaryDirectory(), 'x.sqlite')
    const { add, journal, said, status, end } = deliver(exporter, { journal: RunJournal.create(path, start) })
    onTestFinished(() => journal.close())
    await turn(0)
    add(3000)
    await turn(1500)
    add(2000)
    journal.drop(1)
    exporter.fates = []
    end()
    await turn(12_000)
    const [{ points } = expect.unreachable()] = status().destinations
    expect(points).toEqual({ delivered: 2000, rejected: 0, evicted: 3000, pending: 0 })
    expect([exporter.stored.length, exporter.stored[0]]).toEqual([2000, 'trainer/loss@3001'])
    expect(said.join('\n')).toContain('memory: 3,000 points of the run ppo will not be delivered')
    expectConserved(status())
  })

  it('that ends before a batch has arrived leaves nothing in doubt for whoever goes on', async () => {
    stopTime()
    const exporter = new ConfirmingExporter()
    exporter.fates = Array.from({ length: 20 }, () => 'away')
    const { state, add, journal, restart, end } = deliver(exporter)
    await turn(0)
    add(60)
    await turn(1500)
    await state.delivery.stop()
    exporter.fates = []
    state.delivery = restart()
    end()
    await turn(100)
    expect([exporter.asked, exporter.stored.length, journal.points]).toEqual([0, 60, 60])
  })

  it('waits a second for the first of few points, and not at all for fifty', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add } = deliver(exporter)
    await turn(50)
    add(1)
    await turn(900)
    expect(exporter.sizes).toEqual([])
    await turn(200)
    expect(exporter.sizes).toEqual([1])
    add(49)
    await turn(0)
    expect(exporter.sizes).toEqual([1])
    add(1)
    await turn(0)
    expect(exporter.sizes).toEqual([1, 50])
  })

  it('takes all that waits up to the limit of the backend', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, status } = deliver(exporter)
    add(2500)
    await turn(1200)
    expect(exporter.sizes).toEqual([1000, 1000, 500])
    expect(exporter.taken).toEqual(steps(1, 2500))
    expectConserved(status())
  })

  it('sends params and tags before points, and sets the end when all is there', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, end, state } = deliver(exporter)
    add(3)
    end()
    await turn(0)
    expect([exporter.texts, exporter.taken, exporter.closedWith, state.delivery.isComplete]).toEqual([
      ['lr=1', 'team=rl'],
      steps(1, 3),
      'FINISHED',
      true,
    ])
  })

  it('tries three times with growing pauses, then suspends and tries each second, in order and without loss', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, said, status } = deliver(exporter)
    await turn(100)
    const at: number[] = []
    exporter.onSend = () => (
      at.push(performance.now()),
      { kind: 'retry', error: new Error('the server is away'), absent: true }
    )
    add(60)
    await turn(2000)
    const [first, second, third] = [at[0]!, at[1]!, at[2]!]
    expect(second - first).toBeGreaterThanOrEqual(200)
    expect(second - first).toBeLessThanOrEqual(400)
    expect(third - second).toBeGreaterThanOrEqual(400)
    expect(third - second).toBeLessThanOrEqual(800)
    expect(status().destinations[0]).toMatchObject({
      state: 'suspended',
      lastError: 'the server is away',
      points: { pending: 60 },
    })
    add(100)
    await turn(30_000)
    const warnings = said.filter((text) => text.includes('the server is away'))
    expect(warnings.length).toBeGreaterThanOrEqual(3)
    expect(warnings.length).toBeLessThanOrEqual(5)
    expect(warnings.at(-1)).toContain('160 points wait in the journal')

    exporter.onSend = () => ({ kind: 'ok' })
    await turn(3000)
    expect(exporter.taken).toEqual(steps(1, 160))
    expect(said.at(-1)).toMatch(/back after \d+\.\d s; 160 points that had waited are delivered/)
    expect(status().destinations[0]!.state).toBe('ok')
    expectConserved(status())
  })

  it('waits as long as Retry-After asks', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add } = deliver(exporter)
    await turn(100)
    const at: number[] = []
    exporter.onSend = () => (
      at.push(performance.now()),
      at.length < 2 ? { kind: 'retry', error: refused, afterMs: 20_000 } : { kind: 'ok' }
    )
    add(50)
    await turn(25_000)
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(20_000)
    expect(exporter.taken.length).toBe(50)
  })

  it('gives an attempt three seconds, from beginning to end', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add } = deliver(exporter)
    await turn(100)
    const lasted: number[] = []
    exporter.onSend = (_batch, abort) =>
      new Promise((resolve) => {
        const from = performance.now()
        abort.addEventListener('abort', () => {
          lasted.push(performance.now() - from)
          resolve({ kind: 'unanswered', error: new Error('no answer') })
        })
      })
    add(50)
    await turn(3200)
    expect(lasted).toHaveLength(1)
    expect(lasted[0]).toBeGreaterThanOrEqual(3000)
    expect(lasted[0]).toBeLessThan(3200)
  })

  it('sets refused points aside one by one and delivers every other, whatever their places', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 300 }),
        async (poison, count) => {
          const exporter = new MemoryExporter()
          exporter.onSend = (batch: Batch): SendResult =>
            batch.kind === 'points' && poison.some((step) => batch.step.includes(step))
              ? { kind: 'drop', error: new Error('this point is refused') }
              : { kind: 'ok' }
          const { add, end, status, journal, state } = deliver(exporter)
          add(count)
          end()
          await vi.waitUntil(() => state.delivery.isComplete, { interval: 1 })
          const bad = poison.filter((step) => step <= count).sort((a, b) => a - b)
          expect(exporter.taken).toEqual(steps(1, count).filter((_, i) => !bad.includes(i + 1)))
          expect(
            journal.all("SELECT sequence, step, name FROM rejected WHERE kind = 'points' ORDER BY sequence"),
          ).toEqual(bad.map((step) => ({ sequence: step, step, name: 'trainer/loss' })))
          expect(status().destinations[0]!.points).toEqual({
            delivered: count - bad.length,
            rejected: bad.length,
            evicted: 0,
            pending: 0,
          })
          expectConserved(status())
          await state.delivery.stop()
        },
      ),
      { numRuns: 25 },
    )
  })

  it('suspends and rejects nothing when the run refuses even an empty batch', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, status } = deliver(exporter)
    await turn(100)
    exporter.onSend = () => ({ kind: 'drop', error: new Error('the run is deleted') })
    add(60)
    await turn(10_000)
    expect(status().destinations[0]).toMatchObject({
      state: 'suspended',
      lastError: 'the run is deleted',
      points: { delivered: 0, rejected: 0, pending: 60 },
    })
    exporter.onSend = () => ({ kind: 'ok' })
    await turn(11_000)
    expect(exporter.taken).toEqual(steps(1, 60))
  })

  it('rejects nothing when the run is deleted, and restored, while refused points are looked for', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, status } = deliver(exporter)
    await turn(100)
    let requests = 0
    // One point is refused for good; and all of them from the fourth request to the ninth.
    exporter.onSend = (batch) => {
      requests += 1
      const isPoison = batch.kind === 'points' && batch.step.includes(7)
      return isPoison || (requests > 3 && requests < 10)
        ? { kind: 'drop', error: new Error('refused') }
        : { kind: 'ok' }
    }
    add(60)
    await turn(60_000)
    expect(exporter.taken).toEqual(steps(1, 60).filter((point) => point !== 'trainer/loss@7'))
    expect(status().destinations[0]!.points).toEqual({ delivered: 59, rejected: 1, evicted: 0, pending: 0 })
  })

  it('counts a throw of an exporter as a failed attempt', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, said } = deliver(exporter)
    await turn(100)
    exporter.onSend = () => {
      throw new TypeError('oops')
    }
    add(60)
    await turn(3000)
    expect(said.join()).toContain('a fault in the exporter: oops')
    exporter.onSend = () => ({ kind: 'ok' })
    await turn(11_000)
    expect(exporter.taken).toEqual(steps(1, 60))
  })

  it('keeps points in the journal while no run can be made, and says once why', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    exporter.onOpen = () => ({ kind: 'retry', error: new Error('nobody is there'), absent: true })
    const { add, said, status } = deliver(exporter)
    add(100)
    await turn(9000)
    expect(said.filter((text) => text.includes('nobody is there'))).toHaveLength(1)
    expect(exporter.opens).toBeGreaterThan(7)
    exporter.onOpen = () => ({ kind: 'ok', runId: 'r', made: true, page: '' })
    await turn(2500)
    expect(exporter.taken).toEqual(steps(1, 100))
    expectConserved(status())
  })

  it('goes on where an earlier process stopped, and neither loses nor repeats what was confirmed', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, state, journal, restart } = deliver(exporter)
    add(1500)
    await turn(100)
    exporter.onSend = () => ({ kind: 'retry', error: refused })
    add(700)
    await turn(100)
    await Promise.all([state.delivery.stop(), turn(1000)])
    exporter.onSend = () => ({ kind: 'ok' })
    state.delivery = restart()
    state.delivery.wake()
    await turn(2000)
    expect(exporter.taken).toEqual(steps(1, 2200))
    expect(journal.get('SELECT delivered FROM cursors WHERE kind = ?', 'points')!['delivered']).toBe(2200)
  })

  it('tries again each second where nobody listens, and with pauses that grow to ten where somebody answers badly', async () => {
    for (const absent of [true, false]) {
      stopTime()
      const exporter = new MemoryExporter()
      const { add, state } = deliver(exporter)
      await turn(100)
      const at: number[] = []
      exporter.onSend = () => (at.push(performance.now()), { kind: 'retry', error: refused, absent })
      add(60)
      await turn(60_000)
      const gaps = at.slice(3).map((time, i) => Math.round((time - at[i + 2]!) / 1000))
      expect(gaps.slice(0, 6)).toEqual(absent ? [1, 1, 1, 1, 1, 1] : [1, 2, 4, 8, 10, 10])
      await Promise.all([state.delivery.stop(), turn(100)])
      vi.useRealTimers()
    }
  })

  it('says the first failed attempt at once', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, said } = deliver(exporter)
    await turn(100)
    exporter.onSend = () => ({ kind: 'retry', error: new Error('the disk of the server is full') })
    add(60)
    await turn(50)
    expect(said.join()).toContain('the disk of the server is full. 60 points wait in the journal')
  })
})

describe('a batch whose answer was lost', () => {
  afterEach(() => void vi.useRealTimers())

  it('is not sent again when the destination says that it has it', async () => {
    stopTime()
    const exporter = new ConfirmingExporter()
    const { add, status } = deliver(exporter)
    await turn(100)
    exporter.lose = 'answer'
    add(500)
    await turn(5000)
    expect(exporter.sizes).toEqual([500])
    expect(exporter.asked).toBe(1)
    expect(exporter.stored).toEqual(steps(1, 500))
    expectConserved(status())
  })

  it('is sent again when the destination says that it has not', async () => {
    stopTime()
    const exporter = new ConfirmingExporter()
    const { add } = deliver(exporter)
    await turn(100)
    exporter.lose = 'request'
    add(500)
    await turn(5000)
    expect([exporter.sizes, exporter.asked, exporter.repeats]).toEqual([[500, 500], 1, 0])
    expect(exporter.stored).toEqual(steps(1, 500))
  })

  it('is not taken for stored because earlier points had the same steps', async () => {
    stopTime()
    const exporter = new ConfirmingExporter()
    const { add, state } = deliver(exporter)
    await turn(100)
    add(100)
    await turn(1200)
    state.next = 0
    exporter.lose = 'request'
    add(100)
    await turn(5000)
    expect(exporter.sizes).toEqual([100, 100, 50, 50])
  })

  it('goes again in pieces of fifty when the destination cannot tell', async () => {
    stopTime()
    const exporter = new ConfirmingExporter()
    exporter.canTell = false
    const { add, status } = deliver(exporter)
    await turn(100)
    exporter.lose = 'answer'
    add(130)
    await turn(5000)
    expect(exporter.sizes).toEqual([130, 50, 50, 30])
    expect(exporter.stored).toEqual(steps(1, 130))
    expectConserved(status())
    add(130)
    await turn(2000)
    expect(exporter.sizes.slice(4)).toEqual([130])
  })

  it('is asked for first by the process that comes after a crash', async () => {
    stopTime()
    const exporter = new ConfirmingExporter()
    const { add, state, restart, status } = deliver(exporter)
    await turn(100)
    // The answer never comes, and the process is gone before anything else happens.
    exporter.onSend = (batch) => (exporter.store(batch), new Promise(() => {}))
    add(300)
    await turn(100)
    exporter.onSend = () => ({ kind: 'ok' })
    state.delivery = restart()
    state.delivery.wake()
    await turn(2000)
    expect([exporter.asked, exporter.repeats, exporter.stored.length]).toEqual([1, 0, 300])
    expectConserved(status())
  })

  it('is counted once and stored once, for any order of lost requests, lost answers and refusals', async () => {
    const fate = fc.constantFrom<Fate>('answer', 'request', 'away', 'none', 'none')
    await fc.assert(
      fc.asyncProperty(
        fc.array(fate, { maxLength: 12 }),
        fc.boolean(),
        fc.uniqueArray(fc.integer({ min: 1, max: 400 }), { maxLength: 3 }),
        async (fates, canTell, poison) => {
          stopTime()
          const exporter = new ConfirmingExporter()
          exporter.canTell = canTell
          exporter.fates = [...fates]
          exporter.poison = new Set(poison)
          const { add, end, state, status } = deliver(exporter)
          for (let i = 0; i < 4; i += 1) {
            add(100)
            await turn(300)
          }
          end()
          await turn(120_000)
          expect(state.delivery.isComplete).toBe(true)
          expect(exporter.stored).toEqual(steps(1, 400).filter((_, i) => !poison.includes(i + 1)))
          expect(status().destinations[0]!.points).toEqual({
            delivered: 400 - poison.length,
            rejected: poison.length,
            evicted: 0,
            pending: 0,
          })
          if (canTell) expect(exporter.repeats).toBe(0)
          expectConserved(status())
          await Promise.all([state.delivery.stop(), turn(0)])
          vi.useRealTimers()
        },
      ),
      { numRuns: 15 },
    )
  })
})

describe('a series that is refused for its name', () => {
  afterEach(() => void vi.useRealTimers())

  it('is set aside unsent after the second refusal, and takes no neighbour with it', async () => {
    stopTime()
    const exporter = new MemoryExporter()
    const { add, status, journal } = deliver(exporter)
    journal.addSeries(1, 'bad%name')
    exporter.onSend = (batch) =>
      batch.kind === 'points' && batch.series.includes(1)
        ? { kind: 'drop', error: new Error('the name is refused'), forKey: true }
        : { kind: 'ok' }
    add(400, (step) => (step % 4 === 0 ? 1 : 0))
    await turn(3000)
    const before = exporter.sizes.length
    add(400, (step) => (step % 4 === 0 ? 1 : 0))
    await turn(3000)
    expect(exporter.sizes.length - before).toBeLessThanOrEqual(2)
    expect(exporter.taken).toEqual(steps(1, 800).filter((_, i) => (i + 1) % 4 !== 0))
    expect(status().destinations[0]!.points).toEqual({ delivered: 600, rejected: 200, evicted: 0, pending: 0 })
    expect(journal.all('SELECT count(*) AS n FROM reasons')).toEqual([{ n: 1 }])
    expectConserved(status())
  })

  it('does not count as delivered when the process dies before the batch that it was left out of is answered', async () => {
    stopTime()
    const exporter = new ConfirmingExporter()
    const { add, status, journal, state, restart } = deliver(exporter)
    journal.addSeries(1, 'bad%name')
    const refuse = (batch: Batch): SendResult =>
      batch.kind === 'points' && batch.series.includes(1)
        ? { kind: 'drop', error: new Error('the name is refused'), forKey: true }
        : { kind: 'ok' }
    exporter.onSend = refuse
    add(400, (step) => (step % 4 === 0 ? 1 : 0))
    await turn(3000)
    // Stored, and the answer never comes.
    exporter.onSend = (batch) => (exporter.store(batch), new Promise(() => {}))
    add(400, (step) => (step % 4 === 0 ? 1 : 0))
    await turn(100)
    exporter.onSend = refuse
    state.delivery = restart()
    state.delivery.wake()
    await turn(3000)
    expect(status().destinations[0]!.points).toEqual({ delivered: 600, rejected: 200, evicted: 0, pending: 0 })
    expect(exporter.stored).toEqual(steps(1, 800).filter((_, i) => (i + 1) % 4 !== 0))
    expect(journal.all("SELECT count(*) AS n FROM rejected WHERE kind = 'points'")).toEqual([{ n: 200 }])
  })
})
