/** What the processes of the long tests tell each other. */

/** How far the trainer was at a moment (ms of UTC): steps below `step` had been written. */
export interface Progress {
  at: number
  step: number
}

export interface Report {
  /** Events, which is also the first step that was not written. */
  events: number
  seconds: number
  spans: number
  /** By key. */
  checksums: string[]
  /** Microseconds for a write. */
  p50: number
  p99: number
  p999: number
  slowest: number
}

/** What may be wrong with the tracker for a while. */
export const WEATHERS = ['fair', 'down', 'lost', 'half', '429', '500', '503', 'slow'] as const
export type Weather = (typeof WEATHERS)[number]

export type Order = { kind: 'weather'; weather: Weather } | { kind: 'report'; numbers: number; events: number }

export interface TrackerReport {
  requests: number
  points: number
  repeats: number
  doubled: number
  /** Different ones. */
  spans: number
  checksums: string[]
  /** By key: steps that it lacks. */
  gaps: [from: number, to: number][][]
  /** How its runs have ended. */
  statuses: string[]
}
