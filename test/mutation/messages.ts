/** Something to do in the copy: a schedule, by its seed, or a test file; with this mutant on, if any. */
export interface Task {
  what: number | string
  mutant: string | null
}

export interface Answer {
  /** What has noticed a fault, or null. */
  noticed: string | null
  /** The mutants whose code has run. */
  covered: string[]
  /** Those whose code has run when it was loaded: to switch them on later is in vain. */
  loading: string[]
  ms: number
}

/** What StrykerJS's instrumented code shares. */
interface Stryker {
  activeMutant?: string | undefined
  currentTestId?: string
  mutantCoverage?: { static: Record<string, number>; perTest: Record<string, Record<string, number>> }
}

/** The environment's name for the mutant that is on from the start. */
export const ACTIVE = '__STRYKER_ACTIVE_MUTANT__'

export const stryker: Stryker = ((globalThis as { __stryker__?: Stryker }).__stryker__ ??= {})
