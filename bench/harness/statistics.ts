import type { Measured } from './row.ts'

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** The value that the share `q` of all is not above. */
export function quantile(values: ArrayLike<number>, q: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!
}

export const ratios = (ours: readonly number[], theirs: readonly number[]): number[] =>
  ours.map((value, round) => value / theirs[round]!)

/** A figure that is a ratio round by round. */
export const compared = (
  ours: readonly number[],
  theirs: readonly number[],
  sideUnit: string,
  note?: string,
): Measured => ({ values: ratios(ours, theirs), ours, theirs, sideUnit, ...(note === undefined ? {} : { note }) })

/**
 * Runs the sides in turns, each round in the order opposite to that of the one before, so that what the machine does
 * besides falls on all of them alike.
 */
export async function alternate<Sides extends Readonly<Record<string, (round: number) => unknown>>>(
  rounds: number,
  sides: Sides,
): Promise<{ [Side in keyof Sides]: Awaited<ReturnType<Sides[Side]>>[] }> {
  const names = Object.keys(sides)
  const found: Record<string, unknown[]> = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round += 1)
    for (const name of round % 2 === 0 ? names : names.toReversed()) found[name]!.push(await sides[name]!(round))
  return found as { [Side in keyof Sides]: Awaited<ReturnType<Sides[Side]>>[] }
}
