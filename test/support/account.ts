import { expect } from 'vitest'
import type { RunStatus } from '../../src/journal/status.ts'

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, n) => total + n, 0)

/** The conservation law on the account of a run, key by key. Every integration test ends with it. */
export function expectConserved(run: RunStatus): void {
  expect(run.received.numbers, 'numbers received = points + skipped + waiting').toBe(
    run.points + sum(run.skipped) + run.waiting,
  )
  expect(run.points, 'points = in channel + journaled + dropped').toBe(
    run.inChannel + run.journaled.points + sum(run.dropped),
  )
  expect(run.received.lines, 'lines = events + no events + empty').toBeGreaterThanOrEqual(
    run.received.events + sum(run.notEvents),
  )
  for (const { points } of run.destinations) {
    expect(run.journaled.points, 'journaled = delivered + rejected + evicted + pending').toBe(
      points.delivered + points.rejected + points.evicted + points.pending,
    )
  }
}
