import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/delivery/clock.ts'
import { Delivery, type DeliveryOptions } from '../../src/delivery/delivery.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { readStatus } from '../../src/journal/status.ts'
import { addPoints, stepsOf } from './fill.ts'
import type { MemoryExporter } from './memory-exporter.ts'
import { runStart } from './run-start.ts'

export interface DeliverOptions extends Partial<Omit<DeliveryOptions, 'journal' | 'exporter' | 'run'>> {
  /** One in memory otherwise. */
  journal?: RunJournal
  reopen?: boolean
}

const start = runStart()

/** A delivery of a run; `add` commits points of the series `trainer/loss`, with the steps that follow. */
export function deliver(exporter: MemoryExporter, { journal: given, reopen = false, ...rest }: DeliverOptions = {}) {
  const journal = given ?? RunJournal.create(':memory:', start, 1 << 30)
  const said: string[] = []
  const heard = { settled: 0, opened: 0 }
  const restart = (other: MemoryExporter = exporter, more: Partial<DeliveryOptions> = {}): Delivery =>
    new Delivery({
      journal,
      exporter: other,
      run: { ...journal.readStart(), reopen },
      isOrphan: false,
      onSettled: () => (heard.settled += 1),
      onOpened: () => (heard.opened += 1),
      peerOf: () => undefined,
      clock: systemClock,
      say: (text) => said.push(text),
      ...rest,
      ...more,
    })
  const state = { delivery: restart(), next: journal.points }
  if (journal.keys.length === 0) journal.addSeries(0, 'trainer/loss')
  const add = (count: number, seriesOf: (step: number) => number = () => 0): void => {
    const points = stepsOf(state.next + 1, state.next + count)
    state.next += count
    addPoints(
      journal,
      points.map((point) => ({ ...point, series: seriesOf(point.step!) })),
    )
    state.delivery.wake()
  }
  onTestFinished(() => state.delivery.stop())
  return {
    state,
    journal,
    said,
    heard,
    add,
    status: () => readStatus(journal.database, '', true),
    end: () => state.delivery.drain({ status: 'FINISHED', time: 9 }),
    restart,
  }
}

/** What an exporter in memory holds of these steps. */
export const steps = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `trainer/loss@${from + i}`)
