import { setFlagsFromString } from 'node:v8'
import type { Tee } from '../receivers/tee.ts'

/**
 * All is loaded. Inputs may rest from here on, and V8 marks in one go: what is outside of its heap calls for that so often
 * where spans come flat out that marking in steps takes a fifth of all processor time, and a heap of 10,000 series is marked
 * in 11 ms. While we start, it would hold up the first lines for 25 ms.
 */
export function started(...inputs: readonly Tee[]): void {
  setFlagsFromString('--no-incremental-marking')
  for (const tee of inputs) tee.startResting()
}
