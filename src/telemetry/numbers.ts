const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** Whole numbers as people read them, with their thousands apart: `1,000,000`. */
export const count = (value: number): string => grouped.format(value)

/** `1 point`, `2,000 points`. */
export const counted = (n: number, word: string): string => `${count(n)} ${word}${n === 1 ? '' : 's'}`
