/**
 * Exponential moving average without the pull towards zero at its start. `strength` lies in [0, 1): 0 changes nothing.
 * What is not finite stays as it is and does not count.
 */
export function smooth(values: readonly number[], strength: number): number[] {
  let mean = 0
  let weight = 0
  return values.map((value) => {
    if (!Number.isFinite(value)) return value
    mean = strength * mean + (1 - strength) * value
    weight = strength * weight + (1 - strength)
    return mean / weight
  })
}
