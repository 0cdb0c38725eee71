import type { Axis, SeriesSummary } from '../web/api.ts'

/** Where a series begins and ends on an axis. Both belong into the picture of the whole, and are seldom extremes. */
export const endsOf = ({ first, last }: SeriesSummary, axis: Axis, origin: number): number[] =>
  [first, last].map(({ step, time }) => (axis === 'step' ? step : axis === 'time' ? time : time - origin))
