import type { Outcome } from '../channel/messages.ts'

/** What scripts may rely on. Under exec it is the command's own, unless `--strict` is set and that is 0. */
export const EXIT = {
  ok: 0,
  /** Not everything is delivered; all of it is in the journal. */
  incomplete: 1,
  /** Configuration or usage. */
  usage: 2,
  /** Could not listen, where nothing else is to be read; or no state directory to write to. */
  noState: 3,
} as const

export const exitCodeOf = (outcome: Outcome): number =>
  outcome.inMemory ? EXIT.noState : outcome.complete ? EXIT.ok : EXIT.incomplete
