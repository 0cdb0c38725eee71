import { counted } from '../telemetry/words.ts'
import { broken, ok } from './findings.ts'
import type { Hop } from './hop.ts'

/** The settings: all that is wrong with them, as `check` says it. */
export const configuration: Hop = {
  name: 'configuration',
  needs: () => [],
  look: async ({ loaded }) => {
    if (loaded.problems.length > 0)
      return broken(loaded.problems.join('\n'), "mend them; 'spanbridge check' shows where each setting comes from")
    const set = Object.values(loaded.sources).filter((source) => source !== 'default').length
    return ok(`${counted(set, 'setting')} set, all others as by default`)
  },
}
