import { join } from 'node:path'
import { expect, it } from 'vitest'
import { RunHistory } from '../../src/store/history.ts'
import { FilledJournal } from '../support/filled-journal.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

/** A field of a protobuf message that has a length. */
function field(number: number, bytes: Buffer): Buffer {
  const varint: number[] = []
  for (let rest = bytes.length; ; rest >>>= 7) {
    varint.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...varint]), bytes])
}

const idBytes = (id: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32BE(id, length - 4)
  return bytes
}

function spanOf(id: number, parent: number, { name = 'n', note = '' } = {}): Buffer {
  const time = Buffer.alloc(8)
  time.writeBigUInt64LE(1_700_000_000_000_000_000n + BigInt(id))
  const text = field(2, field(1, Buffer.from(note)))
  return Buffer.concat([
    field(1, idBytes(7, 16)),
    field(2, idBytes(id, 8)),
    field(4, idBytes(parent, 8)),
    field(5, Buffer.from(name)),
    Buffer.of((7 << 3) | 1),
    time,
    Buffer.of((8 << 3) | 1),
    time,
    ...(note === '' ? [] : [field(9, Buffer.concat([field(1, Buffer.from('note')), text]))]),
  ])
}

function historyOf(spans: readonly Buffer[]): RunHistory {
  const path = join(temporaryDirectory(), '01TEST.sqlite')
  const { journal } = new FilledJournal({}, path)
  journal.addHead(0, Uint8Array.of(), Uint8Array.of())
  let end = 0
  const ends = Uint32Array.from(spans, ({ length }) => (end += length))
  journal.addSpans({ bytes: new Uint8Array(Buffer.concat(spans)), ends, heads: new Uint32Array(spans.length) })
  journal.commit()
  return new RunHistory('01TEST', path, {})
}

it('spans that nest 20,000 deep are read in a moment, and those around themselves come to an end', () => {
  const deep = Array.from({ length: 20_000 }, (_, i) => spanOf(i + 10, i + 9))
  const history = historyOf([...deep, spanOf(1, 2), spanOf(2, 1), spanOf(3, 3)])
  const from = performance.now()
  expect(history.spans({ limit: 30_000 }).spans).toHaveLength(20_003)
  // A walk from each to its root took half a minute.
  expect(performance.now() - from).toBeLessThan(5000)
  history.close()
})

it('long names and attributes are cut for the page, and whole for who wants them whole', () => {
  const history = historyOf([spanOf(1, 0, { name: 'x'.repeat(10_000), note: 'y'.repeat(10_000) })])
  const [cut] = history.spans({ limit: 1 }).spans
  expect([cut!.name.length, String(cut!.attributes['note']).length]).toEqual([500, 500])
  const [whole] = history.spans({ limit: 1, isWhole: true }).spans
  expect([whole!.name.length, String(whole!.attributes['note']).length]).toEqual([10_000, 10_000])
  history.close()
})
