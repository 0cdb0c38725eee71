/** Before each test file: switches the mutant on, or notes which ones are covered where none is on. */
import { writeFileSync } from 'node:fs'
import { afterAll, inject } from 'vitest'
import { ACTIVE, stryker } from './messages.ts'

declare module 'vitest' {
  interface ProvidedContext {
    mutant: string | null
    /** The file for what is covered. */
    covered: string
  }
}

const mutant = inject('mutant')
if (mutant !== null) process.env[ACTIVE] = mutant
else
  afterAll(() => {
    writeFileSync(inject('covered'), JSON.stringify(Object.keys(stryker.mutantCoverage?.static ?? {})))
  })
