import { describe, expect, it } from 'vitest'
import { slice } from '../../src/delivery/batches.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import { Sender, type Doubt } from '../../src/delivery/sender.ts'
import type { Batch, Confirmation, PointBatch, SendResult } from '../../src/exporters/exporter.ts'
import { framed } from '../../src/otlp/span-blocks.ts'
import { MemoryExporter } from '../support/memory-exporter.ts'
import { spanOf } from '../support/fill.ts'
import { turn, useStillTime } from '../support/turn.ts'

const points: PointBatch = {
  kind: 'points',
  first: 1,
  count: 3,
  value: Float64Array.of(1, 2, 3),
  step: Float64Array.of(1, 2, 3),
  time: Float64Array.of(1, 2, 3),
  series: Uint32Array.of(0, 1, 0),
  keyOf: (series) => `key ${series}`,
}
const texts: Batch = { kind: 'params', first: 1, count: 1, entries: [['lr', '1']] }
const spans: Batch = {
  kind: 'spans',
  first: 1,
  count: 2,
  blocks: [
    {
      resourceHead: new Uint8Array(),
      scopeHead: new Uint8Array(),
      count: 2,
      bytes: Buffer.concat(['a', 'b'].map((name) => framed(spanOf(name)))),
    },
  ],
}
const noSpans = slice(spans, 0, 0)
const lost: SendResult = { kind: 'unanswered', error: new Error('lost') }
const away: SendResult = { kind: 'retry', error: new Error('away') }
const refusal: SendResult = { kind: 'drop', error: new Error('refused') }

/** Answers one thing after the other, and the last one for ever; notes when it was called, and what of. */
class Scripted extends MemoryExporter {
  readonly calls: string[] = []
  answers: (SendResult | 'hang')[] = [{ kind: 'ok' }]
  tells: (Confirmation | 'hang')[] = []
  #at = performance.now()

  constructor({ canBeAsked = false } = {}) {
    super()
    if (canBeAsked)
      this.confirm = async (runId, batch, heightOf, abort) => {
        const heights = [0, 1].map(heightOf).join()
        return this.#next(`ask ${runId} of ${batch.count} above ${heights}`, this.tells, abort)
      }
    this.onSend = (batch, abort) => this.#next(`send ${batch.count} ${batch.kind}`, this.answers, abort)
  }

  declare confirm?: (
    runId: string,
    batch: PointBatch,
    heightOf: (series: number) => number,
    abort: AbortSignal,
  ) => Promise<Confirmation>

  async #next<T extends Confirmation | SendResult>(
    what: string,
    answers: (T | 'hang')[],
    abort: AbortSignal,
  ): Promise<T> {
    this.calls.push(what)
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!
    if (answer !== 'hang') return answer
    return new Promise((resolve) => {
      abort.addEventListener('abort', () => {
        this.calls.push(`cut after ${Math.round((performance.now() - this.#at) / 100) / 10} s`)
        resolve(lost as T)
      })
    })
  }
}

function sender(exporter: MemoryExporter, doubt?: Doubt, isWhole = true) {
  const cut = new AbortController()
  const told: string[] = []
  const resent: number[] = []
  const it = new Sender({
    exporter,
    clock: systemClock,
    cut: cut.signal,
    onFailed: ({ error }) => told.push(error!.message),
    isWhole,
    heightOf: (key) => (key === 'key 1' ? 7 : key === 'KEY 1' ? 70 : -1),
    onResent: (count) => resent.push(count),
  })
  expect(it.doubt).toBe('none')
  if (doubt !== undefined) it.doubtUpTo(doubt, 3)
  return { it, told, resent, cut }
}

/** What a promise comes to while time goes on. */
async function after<T>(ms: number, promise: Promise<T>): Promise<T | 'under way'> {
  let result: T | 'under way' = 'under way'
  void promise.then((value) => (result = value))
  await turn(ms)
  return result
}

useStillTime()

describe('a batch', () => {
  it('is sent up to three times while the destination is fine, and once where it is suspended', async () => {
    for (const [isProbe, times] of [
      [false, 3],
      [true, 1],
    ] as const)
      for (const batch of [points, texts, spans]) {
        const exporter = new Scripted()
        exporter.answers = [away]
        const { it, told } = sender(exporter)
        expect(await after(1000, it.send('r', batch, batch.count, isProbe))).toBe(away)
        expect(exporter.calls).toEqual(Array.from({ length: times }, () => `send ${batch.count} ${batch.kind}`))
        expect([told, it.doubt]).toEqual([Array.from({ length: times }, () => 'away'), 'none'])
      }
  })

  it('may take three seconds, or as long as its exporter says', async () => {
    for (const timeoutMs of [undefined, 10_000]) {
      const exporter = Object.assign(new Scripted(), timeoutMs === undefined ? {} : { timeoutMs })
      exporter.answers = ['hang']
      const { it } = sender(exporter)
      expect(await after((timeoutMs ?? 3000) + 100, it.send('r', texts, 1, true))).toBe(lost)
      expect(exporter.calls).toEqual(['send 1 params', `cut after ${(timeoutMs ?? 3000) / 1000} s`])
    }
  })

  it('in doubt is not asked for where any part of it may be stored: it goes in pieces', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    const { it } = sender(exporter, 'ask', false)
    expect(await after(100, it.send('r', points, 3, false))).toEqual({ kind: 'pieces' })
    expect([exporter.calls, it.doubt]).toEqual([[], 'pieces'])
  })

  it('of params whose answer was lost is sent again without asking, and is in no doubt', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    exporter.answers = [lost, { kind: 'ok' }]
    const { it } = sender(exporter)
    expect(await after(1000, it.send('r', texts, 1, false))).toEqual({ kind: 'ok' })
    expect([exporter.calls, it.doubt]).toEqual([['send 1 params', 'send 1 params'], 'none'])
  })

  it('of params leaves points in doubt that are so, as does one of points that cannot be sent', async () => {
    for (const [batch, doubt, answer] of [
      [texts, 'ask', { kind: 'ok' }],
      [texts, 'pieces', refusal],
      [points, 'pieces', away],
    ] as const) {
      const exporter = new Scripted({ canBeAsked: true })
      exporter.answers = [answer]
      const { it } = sender(exporter, doubt)
      expect(await after(0, it.send('r', batch, batch.count, true))).toBe(answer)
      expect(it.doubt).toBe(doubt)
    }
  })

  it('without items neither asks nor brings what is in doubt out of it', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    for (const [empty, doubt] of [
      [slice(points, 0, 0), 'ask'],
      [noSpans, 'resend'],
    ] as const)
      for (const answer of [{ kind: 'ok' } as const, lost]) {
        exporter.answers = [answer]
        const { it, resent } = sender(exporter, doubt)
        expect(await after(0, it.send('r', empty, 0, true))).toBe(answer)
        expect([it.doubt, resent]).toEqual([doubt, []])
      }
    expect(exporter.calls.every((call) => call.startsWith('send 0'))).toBe(true)
  })
})

describe('a batch of points in doubt', () => {
  it('is asked for before it goes again, with the heights that its series had there', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    exporter.answers = [lost, { kind: 'ok' }]
    exporter.tells = [{ kind: 'missing' }]
    const { it, told } = sender(exporter)
    expect(await after(1000, it.send('r', points, 3, false))).toEqual({ kind: 'ok' })
    expect(exporter.calls).toEqual(['send 3 points', 'ask r of 3 above -1,7', 'send 3 points'])
    expect([it.doubt, told]).toEqual(['none', ['lost']])
  })

  it('is asked for by the names that the destination has for its series', async () => {
    const exporter = Object.assign(new Scripted({ canBeAsked: true }), { keyAt: (key: string) => key.toUpperCase() })
    exporter.tells = [{ kind: 'stored' }]
    await after(0, sender(exporter, 'ask').it.send('r', points, 3, false))
    expect(exporter.calls).toEqual(['ask r of 3 above -1,70'])
  })

  it('does not go again where it is stored', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    exporter.tells = [{ kind: 'stored' }]
    const { it, told } = sender(exporter, 'ask')
    expect(await after(0, it.send('r', points, 3, false))).toEqual({ kind: 'ok' })
    expect([exporter.calls, it.doubt, told]).toEqual([['ask r of 3 above -1,7'], 'ask', []])
    it.passed(3)
    expect(it.doubt).toBe('none')
  })

  it('leaves those that were to follow it in doubt where it is stored, and in none where it is missing', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    exporter.tells = [{ kind: 'stored' }, { kind: 'missing' }]
    exporter.answers = [lost]
    const { it } = sender(exporter)
    it.doubtUpTo('ask', 9)
    await after(0, it.send('r', points, 3, true))
    it.passed(3)
    expect([it.doubt, it.doubtEnd]).toEqual(['ask', 9])
    await after(0, it.send('r', points, 6, true))
    expect([it.doubt, it.doubtEnd]).toEqual(['ask', 6])
    expect(exporter.calls.map((call) => call.split(' ')[0])).toEqual(['ask', 'ask', 'send'])
  })

  it('that goes in pieces leaves those that were to follow it to be asked for', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    exporter.tells = [{ kind: 'unknown' }]
    const { it } = sender(exporter)
    it.doubtUpTo('ask', 9)
    await after(0, it.send('r', points, 3, true))
    it.passed(1)
    expect([it.doubt, it.doubtEnd]).toEqual(['pieces', 9])
    it.passed(3)
    expect([it.doubt, it.doubtEnd]).toEqual(['ask', 9])
    it.passed(9)
    expect(it.doubt).toBe('none')
  })

  it('goes in pieces where the destination cannot tell, and at once where nobody can be asked', async () => {
    const cannotTell = new Scripted({ canBeAsked: true })
    cannotTell.tells = [{ kind: 'unknown' }]
    const first = sender(cannotTell, 'ask')
    expect(await after(0, first.it.send('r', points, 3, false))).toEqual({ kind: 'pieces' })
    expect([cannotTell.calls, first.it.doubt]).toEqual([['ask r of 3 above -1,7'], 'pieces'])
    const mute = new Scripted()
    mute.answers = [lost]
    const second = sender(mute)
    expect(await after(0, second.it.send('r', points, 3, false))).toEqual({ kind: 'pieces' })
    expect([mute.calls, second.it.doubt]).toEqual([['send 3 points'], 'pieces'])
  })

  it('stays in doubt while there is no answer to the question, or the batch gets lost again', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    exporter.tells = [away]
    const { it, told } = sender(exporter, 'ask')
    expect(await after(1000, it.send('r', points, 3, false))).toBe(away)
    expect([exporter.calls.length, it.doubt, told]).toEqual([3, 'ask', ['away', 'away', 'away']])
    exporter.tells = [{ kind: 'missing' }]
    exporter.answers = [lost]
    expect(await after(1000, it.send('r', points, 3, true))).toBe(lost)
    expect(it.doubt).toBe('ask')
  })

  it('is in none any more where it was missing, and is refused or could not be sent; its pieces stay so until they are passed', async () => {
    const exporter = new Scripted({ canBeAsked: true })
    exporter.tells = [{ kind: 'missing' }]
    for (const answer of [refusal, away]) {
      exporter.answers = [answer]
      const { it } = sender(exporter, 'ask')
      expect(await after(0, it.send('r', points, 3, true))).toBe(answer)
      expect(it.doubt).toBe('none')
    }
    exporter.answers = [refusal]
    const inPieces = sender(exporter, 'pieces').it
    await after(0, inPieces.send('r', points, 3, true))
    expect(inPieces.doubt).toBe('pieces')
    exporter.answers = [lost, refusal]
    exporter.tells = [{ kind: 'missing' }]
    const { it } = sender(exporter)
    expect(await after(1000, it.send('r', points, 3, false))).toBe(refusal)
    expect(it.doubt).toBe('none')
  })

  it('is waited for three seconds when it is asked for, and thirty by the probe of a suspended destination', async () => {
    for (const [isProbe, seconds] of [
      [false, 3],
      [true, 30],
    ] as const) {
      const exporter = new Scripted({ canBeAsked: true })
      exporter.tells = ['hang', { kind: 'stored' }]
      const { it } = sender(exporter, 'ask')
      await after(seconds * 1000 + 100, it.send('r', points, 3, isProbe))
      expect(exporter.calls.slice(0, 2)).toEqual(['ask r of 3 above -1,7', `cut after ${seconds} s`])
    }
  })

  it('has thirty seconds for each piece, and as many tries as a batch', async () => {
    const exporter = new Scripted()
    exporter.answers = ['hang']
    const { it, told } = sender(exporter, 'pieces')
    expect(await after(30_100, it.sendPiece('r', points, true))).toBe(lost)
    expect(exporter.calls).toEqual(['send 3 points', 'cut after 30 s'])
    exporter.answers = [away]
    exporter.calls.length = 0
    expect(await after(1000, it.sendPiece('r', points, false))).toBe(away)
    expect([exporter.calls.length, told, it.doubt]).toEqual([3, ['lost', 'away', 'away', 'away'], 'pieces'])
  })
})

describe('a batch of spans whose answer was lost', () => {
  it('goes again, and is counted as sent again each time', async () => {
    const exporter = new Scripted()
    exporter.answers = [lost, lost, { kind: 'ok' }, { kind: 'ok' }]
    const { it, resent } = sender(exporter)
    expect(await after(1000, it.send('r', spans, 2, false))).toEqual({ kind: 'ok' })
    expect([exporter.calls, resent, it.doubt]).toEqual([
      ['send 2 spans', 'send 2 spans', 'send 2 spans'],
      [2, 2],
      'none',
    ])
    await after(0, it.send('r', spans, 2, false))
    expect(resent).toEqual([2, 2])
  })

  it('is in doubt for the next try of a suspended destination, until that is answered in any way', async () => {
    const exporter = new Scripted()
    exporter.answers = [lost, away, { kind: 'ok' }]
    const { it, resent } = sender(exporter)
    await after(0, it.send('r', spans, 2, true))
    expect([it.doubt, resent]).toEqual(['resend', []])
    await after(0, it.send('r', spans, 2, true))
    expect([it.doubt, resent]).toEqual(['none', [2]])
  })
})

it('a batch that is cut by the end of the process ends at once', async () => {
  const exporter = new Scripted()
  exporter.answers = ['hang']
  const { it, cut } = sender(exporter)
  const sent = it.send('r', texts, 1, false)
  await turn(500)
  cut.abort()
  expect((await after(0, sent)) as { kind: string }).toMatchObject({ kind: 'retry' })
  expect(exporter.calls).toEqual(['send 1 params', 'cut after 0.5 s'])
})
