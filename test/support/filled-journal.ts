import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { CHUNK_POINTS, columnsOf, POINT_BYTES } from '../../src/channel/chunk.ts'
import type { RunStart } from '../../src/channel/messages.ts'
import { DestinationAccount, type Cursor } from '../../src/delivery/account.ts'
import type { BatchKind } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { COUNTERS, NUMBERS, POINTS, SPANS } from '../../src/telemetry/counters.ts'
import { eventRow } from './journal.ts'
import { runStart } from './run-start.ts'
import { temporaryDirectory } from './spanbridge.ts'

export interface Point {
  key?: string
  value?: number
  step?: number
  time?: number
}

/** A journal of a test, with short ways to what the receivers and destinations would bring into it. */
export class FilledJournal {
  readonly journal: RunJournal

  constructor(start: Partial<RunStart> = {}, path = join(temporaryDirectory(), '01TEST.sqlite')) {
    const isInMemory = path === ':memory:'
    this.journal = RunJournal.create(path, runStart({ params: [], tags: [], ...start }), isInMemory ? 1 << 20 : null)
    onTestFinished(() => this.journal.close())
  }

  /** Counts by their names; the journal commits them. */
  count(counts: Readonly<Record<string, number>>): void {
    this.journal.addCounts(Float64Array.from(COUNTERS, (name) => counts[name] ?? 0))
    this.journal.commit()
  }

  /** Points in one block, each of a number. */
  points(points: readonly Point[]): void {
    const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
    const columns = columnsOf(buffer, CHUNK_POINTS)
    const keys = [...new Set([...this.journal.keys, ...points.map(({ key = 'loss' }) => key)])]
    keys.forEach((key, id) => this.journal.addSeries(id, key))
    for (const [i, { key = 'loss', value = 0, step = i + 1, time = 0 }] of points.entries()) {
      columns.value[i] = value
      columns.step[i] = step
      columns.time[i] = time
      columns.series[i] = keys.indexOf(key)
    }
    this.journal.addPoints(buffer, points.length, null)
    this.count({ [COUNTERS[POINTS]!]: points.length, [COUNTERS[NUMBERS]!]: points.length })
  }

  /** Spans of one byte each, counted from 1. */
  spans(count: number): void {
    this.journal.addHead(0, Uint8Array.of(1), Uint8Array.of(2))
    this.journal.addSpans({
      bytes: Uint8Array.from({ length: count }, (_, i) => i + 1),
      ends: Uint32Array.from({ length: count }, (_, i) => i + 1),
      heads: new Uint32Array(count),
    })
    this.count({ [COUNTERS[SPANS]!]: count })
  }

  /** Events of level WARN. */
  events(count: number): void {
    this.journal.addEvents(Array.from({ length: count }, (_, i) => eventRow(2 * i + 1)))
    this.journal.commit()
  }

  end(status: 'FINISHED' | 'FAILED' | 'KILLED' = 'FINISHED', time = 9): void {
    this.journal.setEnd(status, time)
    this.journal.commit()
  }

  /** A destination, known from now on. */
  destination({
    exporter = 'memory',
    address = 'memory:',
    kinds = ['points', 'params', 'tags'],
  }: { exporter?: string; address?: string; kinds?: readonly BatchKind[] } = {}): DestinationAccount {
    return new DestinationAccount(this.journal, { exporter, address, target: {}, kinds })
  }
}

/** One that is on no disk, for tests that care for what is in it. */
export const inMemory = (start: Partial<RunStart> = {}): FilledJournal => new FilledJournal(start, ':memory:')

/** Moves a cursor there. */
export const move = (account: DestinationAccount, kind: BatchKind, cursor: Partial<Cursor>): void =>
  account.moved(
    kind,
    { position: 0, delivered: 0, rejected: 0, evicted: 0, sending: 0, resent: 0, ...cursor },
    [],
    new Map(),
  )
