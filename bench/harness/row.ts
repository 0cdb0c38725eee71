import type { PeerName, Peers } from '../peers/peers.ts'

/**
 * What a row has to reach; none: the row is there to be compared with its neighbours. `isWithinTheirs`: not above the
 * highest that the other side had in any round.
 */
export type Goal = { readonly atLeast: number } | { readonly atMost: number } | { readonly isWithinTheirs: true }

export type Unit = 'x' | '%' | 'us' | 'ms' | 's' | 'MB' | 'B'

/** One line of the table. */
export interface Row {
  readonly id: string
  readonly what: string
  /** What the figure is a ratio to, or what it is the figure of. */
  readonly against: string
  readonly unit: Unit
  readonly goal: Goal | null
  /** Without it the row cannot be measured. */
  readonly peer?: PeerName
}

/** What was measured of a row: its figure in each round. `ours` and `theirs`: the two sides of a ratio, with their unit. */
export interface Measured {
  readonly values: readonly number[]
  readonly ours?: readonly number[]
  readonly theirs?: readonly number[]
  readonly sideUnit?: string
  readonly note?: string
}

/** What a family works with. */
export interface Bench {
  readonly rounds: number
  readonly isQuick: boolean
  readonly peers: Peers
  /** A directory for this family alone, removed after it. */
  readonly work: string
  /** Tells the person who waits what is going on. */
  say(text: string): void
}

/** Rows that are measured in the same rounds: one file in `bench/rows`. */
export interface Family {
  readonly rows: readonly Row[]
  /** Measures at least the `wanted` rows. An `Error` in place of figures says why a row has none; a throw says it of all. */
  run(bench: Bench, wanted: ReadonlySet<string>): Promise<Readonly<Record<string, Measured | Error>>>
}
