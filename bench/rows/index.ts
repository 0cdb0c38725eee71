import type { Family } from '../harness/row.ts'
import { family as cpuSpans } from './cpu-spans.ts'

/** The table, in its order. */
export const families: readonly Family[] = [cpuSpans]
