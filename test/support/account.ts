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
  // Events may come by OTLP, too.
  expect(run.received.lines, 'lines >= no events').toBeGreaterThanOrEqual(sum(run.notEvents))
  expect(run.spanAccount.received, 'spans received = journaled + duplicate + in channel + dropped').toBe(
    run.journaled.spans + run.spanAccount.duplicate + run.spanAccount.inChannel + sum(run.spanAccount.dropped),
  )
  const { received, journaled, inChannel, dropped } = run.eventAccount
  expect(received, 'events received = journaled + in channel + dropped').toBe(journaled + inChannel + sum(dropped))
  for (const { points, spans } of run.destinations) {
    if (spans !== null) {
      expect(run.journaled.spans, 'journaled = delivered + rejected + evicted + pending').toBe(
        spans.delivered + spans.rejected + spans.evicted + spans.pending,
      )
      continue
    }
    expect(run.journaled.points, 'journaled = delivered + rejected + evicted + pending').toBe(
      points.delivered + points.rejected + points.evicted + points.pending,
    )
  }
}
