/** A number as people read it. */
export const number = (n: number): string => n.toLocaleString('en-US')

/** `1 point`, `2 points`. */
export const points = (n: number): string => `${number(n)} ${n === 1 ? 'point' : 'points'}`
