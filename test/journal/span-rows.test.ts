import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AuditedJournal } from '../../src/audit/journal.ts'
import { nextBatch } from '../../src/delivery/batches.ts'
import type { SpanBatch } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { readJournal } from '../../src/journal/status.ts'
import { wrapBlocks, wrapTraces } from '../../src/otlp/rewrap.ts'
import { rowsIn } from '../../src/otlp/span-blocks.ts'
import { RunHistory } from '../../src/store/history.ts'
import { addSpans, createJournal, openAgain, spansIn, type HeldSpan } from '../support/journal.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const MB = 1 << 20
const heads = [0, 1, 2].map((n) => ({ resourceHead: Uint8Array.of(n >> 1), scopeHead: Uint8Array.of(n) }))

/** A span that is told from all others, of so many bytes. */
function spanOf(number: number, size: number): Uint8Array {
  const bytes = Buffer.alloc(Math.max(4, size), number)
  bytes.writeUInt32LE(number)
  return bytes
}

const span = fc.record({
  head: fc.integer({ min: 0, max: 2 }),
  size: fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 4, max: 300 }) },
    { weight: 1, arbitrary: fc.integer({ min: MB - 40, max: MB + 40 }) },
  ),
})

describe('spans', () => {
  it('come out as they went in, whatever they are joined with, wherever one reads from, and in a journal that goes on', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.array(fc.array(span, { minLength: 1, maxLength: 12 }), { maxLength: 4 }) },
      { weight: 1, arbitrary: fc.constant('open again' as const) },
      { weight: 1, arbitrary: fc.constant('drop' as const) },
    )
    const place = fc.nat(200)
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.array(fc.tuple(place, place)), (steps, places) => {
        const path = join(temporaryDirectory(), 'x.sqlite')
        let journal = RunJournal.create(path, runStart())
        const all: { head: number; bytes: Uint8Array }[] = []
        for (const each of steps) {
          if (each === 'drop') journal.drop(1)
          else if (each === 'open again') {
            journal.close()
            journal = RunJournal.open(path)
          } else {
            for (const [id, { resourceHead, scopeHead }] of heads.entries())
              journal.addHead(id, resourceHead, scopeHead)
            for (const request of each) {
              const own = request.map(({ head, size }, i) => ({ head, bytes: spanOf(all.length + i, size) }))
              let end = 0
              journal.addSpans({
                bytes: new Uint8Array(Buffer.concat(own.map(({ bytes }) => bytes))),
                ends: Uint32Array.from(own, ({ bytes }) => (end += bytes.length)),
                heads: Uint32Array.from(own, ({ head }) => head),
              })
              all.push(...own)
            }
            journal.commit()
          }
        }
        expect(journal.spans).toBe(all.length)
        const first = journal.firstKept.spans
        const sequences = (from: number, to: number): number[] => all.slice(from, to).map((_, i) => from + i + 1)
        const isSame = ({ sequence, bytes, resourceHead, scopeHead }: HeldSpan): boolean => {
          const { head, bytes: wanted } = all[sequence - 1]!
          return Buffer.compare(bytes, wanted) === 0 && resourceHead[0] === head >> 1 && scopeHead[0] === head
        }
        for (const [a, limit] of [[0, 1000] as const, ...places]) {
          const after = Math.max(first - 1, a)
          const found = spansIn(journal, after, limit)
          expect(found.map(({ sequence }) => sequence)).toEqual(sequences(after, after + limit))
          expect(found.every(isSame)).toBe(true)
        }
        const audited = new AuditedJournal(path)
        expect([...audited.spans()].map(({ sequence }) => sequence)).toEqual(sequences(first - 1, all.length))
        expect(audited.countSpans()).toBe(all.length - first + 1)
        audited.close()
        journal.close()
      }),
      { numRuns: 30 },
    )
  })

  it('are read from the first block that is there, in as many as hold the spans that are asked for, or their bytes', () => {
    const journal = createJournal()
    journal.addHead(0, Uint8Array.of(0), Uint8Array.of(0))
    for (let i = 0; i < 4; i += 1) {
      addSpans(journal, [MB / 4, MB / 4])
      journal.commit()
    }
    journal.drop(1)
    const again = openAgain(journal)
    const read = (...[after, limit, bytes]: Parameters<RunJournal['readSpans']>): number[][] =>
      again.readSpans(after, limit, bytes).map(({ first, count }) => [first, count])
    expect(read(0, 10)).toEqual([3, 5, 7].map((first) => [first, 2]))
    expect(read(2, 2)).toEqual([[3, 2]])
    expect(read(3, 2)).toEqual([4, 5].map((first) => [first, 1]))
    expect(read(2, 10, MB / 2)).toEqual([[3, 2]])
    expect([read(2, 0), read(8, 10)]).toEqual([[], []])
  })

  it('go on as they stand in the journal: what is wrapped by blocks is what is wrapped one by one', () => {
    const journal = createJournal()
    for (const [id, { resourceHead, scopeHead }] of heads.entries()) journal.addHead(id, resourceHead, scopeHead)
    for (const head of [0, 0, 1, 2, 2, 0]) addSpans(journal, [3, 200, 20_000], head)
    journal.commit()
    for (const [after, limit] of [
      [0, 100],
      [1, 3],
      [2, 9],
      [17, 1],
    ] as const) {
      const { blocks, count } = nextBatch(journal, 'spans', after, limit) as SpanBatch
      const rows = [...rowsIn(blocks)]
      expect(rows).toHaveLength(count)
      expect(Buffer.from(wrapBlocks(blocks))).toEqual(Buffer.from(wrapTraces(rows)))
    }
    expect(journal.all('SELECT first, count FROM spans')).toEqual([
      { first: 1, count: 6 },
      { first: 7, count: 3 },
      { first: 10, count: 6 },
      { first: 16, count: 3 },
    ])
  })

  it('with a gap between their rows are taken up to it, and behind it the next time', () => {
    const journal = createJournal()
    journal.addHead(0, Uint8Array.of(), Uint8Array.of())
    for (let i = 0; i < 3; i += 1) {
      addSpans(journal, [4, 5])
      journal.commit()
    }
    journal.run('DELETE FROM spans WHERE first = 3')
    const next = (after: number): unknown => {
      const batch = nextBatch(journal, 'spans', after, 10)
      return batch && [batch.first, batch.count]
    }
    expect([0, 1, 2, 3, 5, 6].map(next)).toEqual([[1, 2], [2, 1], [5, 2], [5, 2], [6, 1], null])
  })

  it.each([2, 3, 4])(
    'of format %i are read as they are by those who change nothing, and afterwards as before',
    (format) => {
      const path = join(temporaryDirectory(), '01M8HAKSKMSDF3ZQ37VDEBB28A.sqlite')
      const fixture = new URL(`../fixtures/journals/format-${format}.sqlite.gz`, import.meta.url)
      writeFileSync(path, gunzipSync(readFileSync(fixture)))
      const read = (): unknown => {
        const audited = new AuditedJournal(path)
        const spans = [...audited.spans()].map(({ sequence, bytes }) => [sequence, Buffer.from(bytes).toString('hex')])
        const count = audited.countSpans()
        audited.close()
        const history = new RunHistory('01M8HAKSKMSDF3ZQ37VDEBB28A', path)
        const page = history.spans({ limit: 100 })
        history.close()
        const { notKept, journaled } = readJournal(path)
        return { spans, count, page, notKept, journaled }
      }
      const before = read()
      expect(before).toMatchObject({ count: 60, notKept: { spans: 0 }, journaled: { spans: 60 }, page: { total: 60 } })
      RunJournal.open(path).close()
      expect(read()).toEqual(before)
    },
  )

  it('of a page that was opened before the journal was brought up to date are found there all the same', () => {
    const path = join(temporaryDirectory(), '01M8HAKSKMSDF3ZQ37VDEBB28A.sqlite')
    writeFileSync(path, gunzipSync(readFileSync(new URL('../fixtures/journals/format-4.sqlite.gz', import.meta.url))))
    const history = new RunHistory('01M8HAKSKMSDF3ZQ37VDEBB28A', path)
    const before = history.spans({ limit: 100 })
    const journal = RunJournal.open(path)
    expect(history.spans({ limit: 100 })).toEqual(before)
    journal.addHead(0, Uint8Array.of(), Uint8Array.of())
    addSpans(journal, [5])
    journal.commit()
    journal.close()
    expect(history.spans({ limit: 100 })).toEqual(before)
    history.close()
  })
})
