/** Made when it is asked for: it takes 5 MB, and a daemon that nobody looks at writes no numbers for people. */
let grouped: Intl.NumberFormat | null = null

/** Whole numbers as people read them, with their thousands apart: `1,000,000`. */
export const count = (value: number): string =>
  (grouped ??= new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })).format(value)

/** `1 point`, `2,000 points`. */
export const counted = (n: number, word: string): string => `${count(n)} ${word}${n === 1 ? '' : 's'}`
