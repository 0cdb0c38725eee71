import { join } from 'node:path'
import { expect, it } from 'vitest'
import { CHUNK_POINTS } from '../../src/channel/chunk.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import { JournalWriter } from '../../src/delivery/writer.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

it('a journal at its limit from which nothing can be dropped now is committed all the same, and gives its buffers back', () => {
  const journal = RunJournal.create(join(temporaryDirectory(), 'x.sqlite'), runStart())
  journal.run(`CREATE TRIGGER full BEFORE DELETE ON blocks BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`)
  const said: string[] = []
  const writer = new JournalWriter({ journal, clock: systemClock, say: (text) => said.push(text), maxBytes: 1 })
  writer.store({ kind: 'series', id: 0, key: 'loss' })
  writer.store({ kind: 'points', buffer: new ArrayBuffer(CHUNK_POINTS * 28), count: CHUNK_POINTS, counts: null })
  expect(writer.commit(false)).toHaveLength(1)
  expect([writer.isDurable, journal.points, said]).toEqual([true, CHUNK_POINTS, []])
  journal.close()
})
