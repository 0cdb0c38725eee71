import { describe, expect, it } from 'vitest'
import type { Delivery } from '../../src/delivery/delivery.ts'
import type { SendResult } from '../../src/exporters/exporter.ts'
import type { RunJournal } from '../../src/journal/journal.ts'
import { expectConserved } from '../support/account.ts'
import { deliver, steps, type DeliverOptions } from '../support/deliver.ts'
import { addSpans, spanOf } from '../support/fill.ts'
import { ConfirmingExporter, MemoryExporter } from '../support/memory-exporter.ts'
import { turn, useStillTime } from '../support/turn.ts'

const ok: SendResult = { kind: 'ok' }
const bad: SendResult = { kind: 'retry', error: new Error('the server answers 500') }
const absent: SendResult = { kind: 'retry', error: new Error('nobody is there'), absent: true }

/** An exporter that notes when it is sent points, in ms from `now` on. */
class Timed extends MemoryExporter {
  at: number[] = []
  #from = 0
  answer: () => SendResult | Promise<SendResult> = () => ok
  override onSend = (batch: { kind: string }): SendResult | Promise<SendResult> => {
    if (batch.kind !== 'points') return ok
    this.at.push(Math.round(performance.now() - this.#from))
    return this.answer()
  }
  now(): void {
    this.at.length = 0
    this.#from = performance.now()
  }
}

/** A delivery that has opened its run; time counts from here. */
async function begun(options: DeliverOptions = {}) {
  const exporter = new Timed()
  const all = deliver(exporter, options)
  await turn(100)
  exporter.now()
  all.said.length = 0
  return { ...all, exporter }
}

const cursor = (journal: RunJournal) => journal.get("SELECT position, sending FROM cursors WHERE kind = 'points'")

useStillTime()

describe('a flush', () => {
  it('is due a second after the first of few points, whatever comes later, and a second after the next ones', async () => {
    const { exporter, add } = await begun()
    add(1)
    await turn(600)
    add(1)
    await turn(350)
    expect(exporter.at).toEqual([])
    await turn(50)
    expect([exporter.at, exporter.sizes]).toEqual([[1000], [2]])
    await turn(3000)
    add(1)
    await turn(2000)
    expect([exporter.at, exporter.sizes]).toEqual([
      [1000, 5000],
      [2, 1],
    ])
  })

  it('is not due earlier because the journal has told of something else before', async () => {
    const { exporter, add, state } = await begun()
    state.delivery.wake()
    await turn(800)
    add(1)
    await turn(950)
    expect(exporter.at).toEqual([])
    await turn(50)
    expect(exporter.at).toEqual([1800])
  })

  it('of points is not put off by params, which go at once and are no step of the points', async () => {
    const { exporter, add, state, journal, heard } = await begun()
    add(1)
    await turn(600)
    journal.addParams([['batch', '8']])
    journal.commit()
    state.delivery.wake()
    await turn(0)
    expect([exporter.texts, heard.settled]).toEqual([['lr=1', 'team=rl', 'batch=8'], 0])
    await turn(400)
    expect([exporter.at, heard.settled]).toEqual([[1000], 1])
  })

  it('is due a second after the one before for what came meanwhile', async () => {
    const { exporter, add } = await begun()
    const { promise, resolve } = Promise.withResolvers<SendResult>()
    exporter.answer = () => promise
    add(50)
    await turn(500)
    add(10)
    await turn(1500)
    expect(exporter.at).toEqual([0])
    resolve(ok)
    await turn(950)
    expect(exporter.at).toEqual([0])
    await turn(50)
    expect([exporter.at, exporter.sizes]).toEqual([
      [0, 3000],
      [50, 10],
    ])
  })

  it('is due at once when the end has come, and points that come after it go at once', async () => {
    const { exporter, add, state } = await begun()
    add(3)
    state.delivery.drain(null)
    await turn(0)
    expect(exporter.sizes).toEqual([3])
    add(1)
    await turn(0)
    expect([exporter.at, exporter.sizes]).toEqual([
      [0, 0],
      [3, 1],
    ])
  })

  it('moves the position, which is told', async () => {
    const { exporter, add, state, heard } = await begun()
    expect([state.delivery.position, state.delivery.hasLost]).toEqual([0, false])
    add(1500)
    await turn(2000)
    expect([exporter.sizes, state.delivery.position, heard.settled]).toEqual([[1000, 500], 1500, 2])
  })

  it('is a step forward, as is each that goes well, and as is the end', async () => {
    const { exporter, add, state } = await begun()
    const from = performance.now()
    const progressAt = () => Math.round(state.delivery.progressAt - from)
    expect(progressAt()).toBe(-100)
    await turn(400)
    add(50)
    await turn(100)
    expect(progressAt()).toBe(400)
    exporter.answer = () => bad
    add(50)
    await turn(5000)
    expect(progressAt()).toBe(400)
    state.delivery.drain(null)
    expect(progressAt()).toBe(5500)
  })
})

describe('a suspended destination', () => {
  it('is tried once each time, and takes all that waits at once when it is back, though it is little', async () => {
    const { exporter, add } = await begun()
    exporter.answer = () => absent
    add(1)
    await turn(1700)
    expect(exporter.at).toEqual([1000, 1200, 1600])
    add(1)
    await turn(2000)
    expect(exporter.at.slice(3)).toEqual([2600, 3600])
    exporter.answer = () => ok
    add(1)
    await turn(1000)
    // A batch that was begun keeps its bounds, for it may be stored.
    expect([exporter.at.slice(5), exporter.sizes.slice(-2)]).toEqual([
      [4600, 4600],
      [1, 2],
    ])
  })

  it('is tried after pauses that double from one second to ten where somebody answers badly, until something goes well', async () => {
    const { exporter, add } = await begun()
    exporter.answer = () => bad
    add(60)
    await turn(50_000)
    expect(exporter.at).toEqual([0, 200, 600, 1600, 3600, 7600, 15_600, 25_600, 35_600, 45_600])
    exporter.answer = () => ok
    await turn(10_000)
    exporter.now()
    exporter.answer = () => bad
    add(60)
    await turn(4000)
    expect(exporter.at).toEqual([0, 200, 600, 1600, 3600])
  })

  it('is tried after one second again once nobody listens there any more', async () => {
    const { exporter, add } = await begun()
    exporter.answer = () => bad
    add(60)
    await turn(8000)
    exporter.now()
    exporter.answer = () => absent
    await turn(9500)
    expect(exporter.at).toEqual([7600, 8600])
    exporter.answer = () => bad
    exporter.now()
    await turn(4000)
    expect(exporter.at).toEqual([100, 1100, 3100])
  })

  it('is left alone as long as it asks for, a minute at most', async () => {
    for (const [asked, waited] of [
      [20_000, 20_000],
      [300_000, 60_000],
      [300, 1000],
    ] as const) {
      const { exporter, add } = await begun()
      exporter.answer = () => bad
      add(60)
      await turn(1500)
      exporter.answer = () => ({ ...bad, afterMs: asked })
      exporter.at.length = 0
      await turn(waited + 400)
      const [first] = exporter.at
      expect(first).toBe(1600)
      await turn(2000)
      expect(exporter.at[1]).toBe(1600 + Math.max(waited, 2000))
    }
  })

  it('is back when everything that waited is there, with how much that was', async () => {
    const { exporter, add, said, status } = await begun()
    exporter.answer = () => absent
    add(2500)
    await turn(2000)
    const sent = exporter.at.length
    const answers: ((result: SendResult) => void)[] = []
    exporter.answer = () => new Promise((resolve) => answers.push(resolve))
    await turn(1000)
    expect(exporter.at.length).toBe(sent + 1)
    answers.shift()!(ok)
    await turn(0)
    expect([said.length, status().destinations[0]!.state]).toEqual([1, 'suspended'])
    // Suspended still: a batch that fails is tried once.
    answers.shift()!(bad)
    await turn(500)
    expect(exporter.at.length).toBe(sent + 2)
    exporter.answer = () => ok
    await turn(1000)
    expect(said).toEqual([
      'nobody is there. 2,500 points wait in the journal; it is tried again by itself.',
      'memory: back after 4.0 s; 2,500 points that had waited are delivered',
    ])
    expect(status().destinations[0]).toMatchObject({ state: 'ok', lastError: null })
    expectConserved(status())
    // And as patient as before.
    exporter.now()
    exporter.answer = () => absent
    add(50)
    await turn(700)
    expect(exporter.at).toEqual([0, 200, 600])
  })

  it('is tried at once when the end has come, and then with pauses that begin with a second again', async () => {
    const { exporter, add, end } = await begun()
    exporter.answer = () => bad
    add(60)
    await turn(8000)
    exporter.now()
    end()
    await turn(4000)
    expect(exporter.at).toEqual([0, 1000, 3000])
  })

  it('says of spans that they are spans', async () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { spans: 100 }
    exporter.onSend = () => absent
    const { said, journal, state, status } = deliver(exporter)
    addSpans(journal, [spanOf('a'), spanOf('b')])
    state.delivery.wake()
    await turn(2500)
    exporter.onSend = () => ok
    await turn(1000)
    expect(said.slice(1)).toEqual([
      'nobody is there. 2 spans wait in the journal; it is tried again by itself.',
      'memory: back after 1.6 s; 2 spans that had waited are delivered',
    ])
    expect(state.delivery.position).toBeNull()
    expect(status().destinations[0]!.spans).toEqual({ delivered: 2, rejected: 0, evicted: 0, pending: 0, resent: 0 })
  })

  it('counts spans whose answer was lost as sent again', async () => {
    const exporter = new MemoryExporter()
    exporter.accepts = { spans: 100 }
    const answers: SendResult[] = [{ kind: 'unanswered', error: new Error('lost') }]
    exporter.onSend = () => answers.shift() ?? ok
    const { journal, state, status } = deliver(exporter)
    addSpans(journal, [spanOf('a'), spanOf('b')])
    state.delivery.wake()
    await turn(2500)
    expect(status().destinations[0]!.spans).toMatchObject({ delivered: 2, resent: 2 })
  })
})

describe('a delivery that is stopped', () => {
  it('ends what is under way and every pause at once, closes its exporter, and says nothing of that', async () => {
    const { exporter, add, state, said, journal } = await begun()
    add(50)
    await turn(0)
    exporter.answer = () => absent
    add(60)
    await turn(1000)
    said.length = 0
    await state.delivery.stop()
    expect([exporter.isClosed, said]).toEqual([true, []])
    const { length } = exporter.at
    add(60)
    await turn(20_000)
    expect(exporter.at).toHaveLength(length)
    expect(cursor(journal)).toEqual({ position: 50, sending: 50 })
  })

  it('ends while it has nothing to do', async () => {
    const { exporter, state } = await begun()
    await state.delivery.stop()
    expect(exporter.isClosed).toBe(true)
  })

  it('ends in the moment in which it finds nothing to do', async () => {
    const exporter = Object.assign(new MemoryExporter(), { after: 'other' })
    const waits = { peer: null } as unknown as Delivery
    const { state } = deliver(exporter, { peerOf: () => waits })
    await state.delivery.stop()
    expect([exporter.opens, exporter.isClosed]).toEqual([0, true])
  })

  it('leaves in doubt what may be stored', async () => {
    const exporter = new ConfirmingExporter()
    const { add, state, journal } = deliver(exporter)
    await turn(100)
    exporter.onSend = (_batch, abort) =>
      new Promise((resolve) =>
        abort.addEventListener('abort', () => resolve({ kind: 'unanswered', error: new Error('cut') })),
      )
    add(60)
    await turn(0)
    await state.delivery.stop()
    expect(cursor(journal)).toEqual({
      position: 0,
      sending: 60,
    })
  })
})

describe('the batch that will follow', () => {
  const sending = (journal: RunJournal) => cursor(journal)!['sending']

  /** What is noted of it in the moment when the cursor has moved. */
  async function noting() {
    const noted: unknown[] = []
    const all = await begun({ onSettled: () => noted.push(sending(all.journal)) })
    return { ...all, noted }
  }

  it('is noted with the one before, where it is due at once', async () => {
    const { exporter, add, noted } = await noting()
    add(1050)
    await turn(0)
    expect(noted.splice(0)).toEqual([1050, 1050])
    add(1049)
    await turn(0)
    // Few points wait for more, so that how many there will be is not known.
    expect(noted.splice(0)).toEqual([2050])
    await turn(1000)
    expect([noted, exporter.sizes]).toEqual([[2099], [1000, 50, 1000, 49]])
  })

  it('is the limit of the backend at most, and whatever is left at the end', async () => {
    const { exporter, add, noted, end } = await noting()
    add(3001)
    end()
    await turn(0)
    expect([noted, exporter.sizes]).toEqual([
      [2000, 3000, 3001, 3001],
      [1000, 1000, 1000, 1],
    ])
    expect(exporter.taken).toEqual(steps(1, 3001))
  })
})
