import { createRequire } from 'node:module'
import type * as Undici from 'undici'

const require = createRequire(import.meta.url)

/**
 * undici, loaded when the first destination is set up: it takes 29 MB and 120 ms, and a run that only keeps its journal
 * needs none of it. Node.js keeps what was loaded, so asking again costs nothing.
 */
export const undici = (): typeof Undici => require('undici') as typeof Undici
