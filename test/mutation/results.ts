import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Mutant } from './copy.ts'
import type { Verdict } from './lane.ts'

interface Line extends Verdict {
  key: string
  state: string
}

/**
 * The verdicts of earlier times, so that a run that was interrupted goes on. A mutant that was caught is not tried again
 * while its file is the same; one that was not is tried again when anything else of code, tests or bounds has changed.
 */
export class Results {
  readonly #path: string
  readonly #state: string
  readonly #known = new Map<string, Verdict>()

  constructor(path: string, state: string) {
    this.#path = path
    this.#state = state
    mkdirSync(dirname(path), { recursive: true })
    if (!existsSync(path)) return
    for (const line of readFileSync(path, 'utf8').split('\n').filter(isWhole)) {
      const { key, state: then, ...verdict } = JSON.parse(line) as Line
      if (verdict.caught !== null || then === state) this.#known.set(key, verdict)
    }
  }

  of({ key }: Mutant): Verdict | undefined {
    return this.#known.get(key)
  }

  add({ key }: Mutant, verdict: Verdict): void {
    this.#known.set(key, verdict)
    appendFileSync(this.#path, `${JSON.stringify({ key, state: this.#state, ...verdict } satisfies Line)}\n`)
  }
}

/** The last line may have been cut. */
const isWhole = (line: string): boolean => line.startsWith('{') && line.endsWith('}')
