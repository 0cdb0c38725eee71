/**
 * Whole UTC milliseconds of a time in nanoseconds, given as two halves of 32 bits. 2^32 ns are 4294 ms and 967,296 ns:
 * so nothing on the way is beyond 2^53.
 */
export const msOf = (high: number, low: number): number => high * 4294 + Math.floor((high * 967_296 + low) / 1e6)
