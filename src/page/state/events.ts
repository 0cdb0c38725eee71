import { signal } from '@preact/signals'
import type { EventRow, EventsPage } from '../../web/api.ts'
import { ask } from './api.ts'

const MAX_EVENTS = 2000
const known = new Map<string, EventRow[]>()

/** Rises whenever an event joins. */
export const eventsVersion = signal(0)

/** The latest WARN and ERROR events of a run that are known, oldest first. */
export const eventsOf = (run: string): readonly EventRow[] => known.get(run) ?? []

/** Takes events that came. Those that are known already are not taken twice. */
export function takeEvents(run: string, rows: readonly EventRow[]): void {
  const all = new Map((known.get(run) ?? []).map((row) => [row.sequence, row]))
  for (const row of rows) all.set(row.sequence, row)
  const sorted = [...all.values()].sort((a, b) => a.sequence - b.sequence)
  known.set(run, sorted.slice(-MAX_EVENTS))
  eventsVersion.value++
}

/** Loads the latest events of a run, for the marks on charts. */
export async function loadEvents(run: string): Promise<void> {
  const { rows } = await ask<EventsPage>(`runs/${encodeURIComponent(run)}/events?limit=200`)
  takeEvents(run, rows)
}
