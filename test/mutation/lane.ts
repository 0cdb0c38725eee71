import { basename } from 'node:path'
import type { Mutant } from './copy.ts'
import type { Answer } from './messages.ts'
import { Worker } from './worker.ts'

/** What runs a mutant's code, and how long each takes without one. */
export interface Coverage {
  /** Seeds of schedules by the id of a mutant, the fast ones first. */
  schedules: Map<string, number[]>
  /** Test files, likewise. */
  tests: Map<string, string[]>
  loading: Set<string>
  ms: Map<number | string, number>
}

/** What became of a mutant; `caught` null: nothing has noticed it. */
export interface Verdict {
  caught: 'simulation' | 'tests' | null
  isCovered: boolean
  /** By what, in words. */
  noticed: string | null
}

/** A task that needs more than this many times its time does not end. */
const PATIENCE = 5
const LEAST_MS = 10_000
/** Schedules that come before all tests, and before the slow ones. */
const FIRST = 4
const FEW = 15
const FAST_MS = 2_500

/** Judges one mutant after the other. */
export class Lane {
  readonly #copy: string
  readonly #coverage: Coverage
  readonly #simulation: Worker
  readonly #tests: Worker

  constructor(copy: string, coverage: Coverage) {
    this.#copy = copy
    this.#coverage = coverage
    this.#simulation = new Worker(copy, 'simulation.ts')
    this.#tests = new Worker(copy, 'tests.ts')
  }

  /** What is cheap or likely comes first: a few schedules, the part's own tests, more schedules, the fast tests, the rest of both. */
  async judge({ id, file }: Mutant): Promise<Verdict> {
    const schedules = this.#coverage.schedules.get(id) ?? []
    const covering = this.#coverage.tests.get(id) ?? []
    const own = covering.filter((test) => basename(test).startsWith(basename(file, '.ts')))
    const tests = covering.filter((test) => !own.includes(test))
    const mustBeOnFromStart = this.#coverage.loading.has(id)
    const first = mustBeOnFromStart ? 0 : FIRST
    const isFast = (test: string): boolean => this.#coverage.ms.get(test)! < FAST_MS
    const rounds = [
      { seeds: schedules.slice(0, first), files: own.filter(isFast) },
      { seeds: schedules.slice(first, FEW), files: tests.filter(isFast) },
      { seeds: schedules.slice(FEW), files: covering.filter((test) => !isFast(test)) },
    ]
    for (const { seeds, files } of rounds) {
      const bySchedule = await (mustBeOnFromStart ? this.#playApart(id, seeds) : this.#play(id, seeds))
      if (bySchedule !== null) return { caught: 'simulation', isCovered: true, noticed: bySchedule }
      const byTest = await this.#test(id, files)
      if (byTest !== null) return { caught: 'tests', isCovered: true, noticed: byTest }
    }
    return { caught: null, isCovered: schedules.length + covering.length > 0, noticed: null }
  }

  stop(): void {
    this.#simulation.stop()
    this.#tests.stop()
  }

  async #test(mutant: string, files: readonly string[]): Promise<string | null> {
    for (const file of files) {
      const { noticed } = await this.#ask(this.#tests, file, mutant)
      if (noticed !== null) return noticed
    }
    return null
  }

  async #play(mutant: string, schedules: readonly number[]): Promise<string | null> {
    for (const seed of schedules) {
      const { noticed } = await this.#ask(this.#simulation, seed, mutant)
      if (noticed === null) continue
      // What others have left behind is not its fault: a process that is still sound decides, or a new one.
      if (this.#simulation.isRunning && (await this.#ask(this.#simulation, seed, null)).noticed === null) return noticed
      this.#simulation.stop()
      const again = await this.#ask(this.#simulation, seed, mutant)
      this.#simulation.stop()
      if (again.noticed !== null) return again.noticed
    }
    return null
  }

  /** With the mutant on from the start. */
  async #playApart(mutant: string, schedules: readonly number[]): Promise<string | null> {
    const worker = new Worker(this.#copy, 'simulation.ts', mutant)
    try {
      for (const seed of schedules) {
        const { noticed } = await this.#ask(worker, seed, mutant)
        if (noticed !== null) return noticed
      }
      return null
    } finally {
      worker.stop()
    }
  }

  #ask(worker: Worker, what: number | string, mutant: string | null): Promise<Answer> {
    return worker.ask({ what, mutant }, LEAST_MS + PATIENCE * this.#coverage.ms.get(what)!)
  }
}
