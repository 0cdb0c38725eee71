/** A mutant that nothing notices, and that changes nothing anybody could. */
interface Accepted {
  file: string
  /** The line of the code, without the blanks around it. */
  line: string
  replacement: string
  reason: string
}

export const ACCEPTED: readonly Accepted[] = []
