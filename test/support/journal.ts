import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { EventRow, RunStart, WaitingRow } from '../../src/channel/messages.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { rowsIn, type SpanRow } from '../../src/otlp/span-blocks.ts'
import { COUNTERS } from '../../src/telemetry/counters.ts'
import { chunkOf, countsOf, pointsFrom } from './points.ts'
import { runStart } from './run-start.ts'
import { temporaryDirectory } from './spanbridge.ts'

export function createJournal(start: Partial<RunStart> = {}): RunJournal {
  const journal = RunJournal.create(join(temporaryDirectory(), 'x.sqlite'), runStart(start))
  onTestFinished(() => {
    if (journal.database.isOpen) journal.close()
  })
  return journal
}

export function createInMemory(limit: number): RunJournal {
  const journal = RunJournal.create(':memory:', runStart(), limit)
  onTestFinished(() => journal.close())
  return journal
}

/** The same journal, as another process has it. */
export function openAgain(journal: RunJournal): RunJournal {
  journal.close()
  const again = RunJournal.open(journal.path)
  onTestFinished(() => again.close())
  return again
}

export const addPoints = (journal: RunJournal, first: number, count: number): void =>
  journal.addPoints(chunkOf(pointsFrom(first, count)), count, countsOf(count))

/** Spans of so many bytes each, under the head of this number. */
export function addSpans(journal: RunJournal, sizes: readonly number[], head = 0): void {
  const ends: number[] = []
  for (const size of sizes) ends.push((ends.at(-1) ?? 0) + size)
  const bytes = new Uint8Array(ends.at(-1) ?? 0)
  for (const [i, end] of ends.entries()) bytes.fill(i + 1, i === 0 ? 0 : ends[i - 1], end)
  journal.addSpans({ bytes, ends: Uint32Array.from(ends), heads: Uint32Array.from(sizes, () => head) })
}

export const waitingRow = (id: number, numbers = 1): WaitingRow => ({
  id,
  since: 5,
  numbers,
  span: 'ab',
  part: -1,
  body: null,
})

/** The `n`-th event of a run; every other one is a WARN. */
export const eventRow = (n: number): EventRow => ({
  time: 100 + n,
  level: n % 2 === 1 ? 'WARN' : 'ERROR',
  target: 'ppo',
  message: `no ${n}`,
  step: n,
  fields: '{}',
})

/** A span with its sequence number and what stands around it. */
export interface HeldSpan extends SpanRow {
  sequence: number
}

/** Spans as they are read of a journal, one by one. */
export function spansIn(journal: RunJournal, after = 0, limit = 10_000): HeldSpan[] {
  const blocks = journal.readSpans(after, limit)
  const first = blocks[0]?.first ?? 0
  return Array.from(rowsIn(blocks), (row, i) => ({ sequence: first + i, ...row }))
}

/** Sequence numbers of the events that are there. */
export const eventsIn = (journal: RunJournal): number[] =>
  journal.all('SELECT sequence FROM events ORDER BY sequence').map((row) => Number(row['sequence']))

export const stepsIn = (journal: RunJournal, after = 0, limit = 10_000): number[] => [
  ...(journal.read(after, limit)?.step ?? []),
]
export const steps = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
export const counterOf = (journal: RunJournal, counter: number): number =>
  Number(journal.get('SELECT value FROM counters WHERE name = ?', COUNTERS[counter]!)!['value'])
export const metaOf = (journal: RunJournal, key: string): unknown =>
  journal.get('SELECT value FROM meta WHERE key = ?', key)?.['value']
