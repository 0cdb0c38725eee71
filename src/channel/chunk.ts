/** Points a chunk holds. */
export const CHUNK_POINTS = 1000

/** Bytes of one point: value, step and time as doubles, series as a 32-bit integer. */
export const POINT_BYTES = 28

/**
 * Points as columns over one buffer: `value`, `step`, `time` (doubles; time in UTC ms), then `series` (uint32). With
 * `capacity` points the columns begin at 0, 8, 16 and 24 times `capacity`. The journal's blocks have the same layout.
 */
export interface Columns {
  readonly value: Float64Array
  readonly step: Float64Array
  readonly time: Float64Array
  readonly series: Uint32Array
}

/** The columns of `buffer`, laid out for `capacity` points from byte `at` on, a multiple of 8. */
export const columnsOf = (buffer: ArrayBufferLike, capacity: number, at = 0): Columns => ({
  value: new Float64Array(buffer, at, capacity),
  step: new Float64Array(buffer, at + 8 * capacity, capacity),
  time: new Float64Array(buffer, at + 16 * capacity, capacity),
  series: new Uint32Array(buffer, at + 24 * capacity, capacity),
})
