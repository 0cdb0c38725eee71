import type { Fields } from './event.ts'

/** Where a number of an event stands. */
export interface Place {
  fields: Fields
  name: string
}

/**
 * What the layer makes of the numbers of an event, as far as it follows from the names and kinds of its fields and from
 * its category alone: it holds for every event that has the same.
 */
export interface Outline {
  /** The field that the step is, if it is an integer. */
  step: Place
  /** In the order in which they become points. */
  points: readonly (Place & { series: number })[]
}
