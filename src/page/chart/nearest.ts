/** Index of the place that is nearest, in places that are in order; -1 without any. */
export function nearest(places: readonly number[], wanted: number): number {
  let low = 0
  let high = places.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (places[middle]! < wanted) low = middle + 1
    else high = middle
  }
  const below = low - 1
  return below >= 0 && wanted - places[below]! <= places[low]! - wanted ? below : places.length === 0 ? -1 : low
}
