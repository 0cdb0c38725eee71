import { own, type Fields } from '../layer/event.ts'

/** How requests are read. */
export interface ReadOptions {
  /** Whether text that is an integer counts as one; `auto`: from Rust's SDK, whose tracing layer writes `u64` as text. */
  integerText?: 'auto' | 'never' | 'always'
}

/** Whether integer text from this resource counts as a number. */
export function countsIntegerText({ integerText = 'auto' }: ReadOptions, resource: Fields): boolean {
  if (integerText !== 'auto') return integerText === 'always'
  return own(resource, 'telemetry.sdk.language') === 'rust'
}

/** Whether a resource leaves it open what language its spans are from. */
export const mayBeRust = ({ integerText = 'auto' }: ReadOptions, resource: Fields): boolean =>
  integerText === 'auto' && own(resource, 'telemetry.sdk.language') === undefined

/** Levels as Rust's tracing writes them. */
export const RUST_LEVELS: ReadonlySet<unknown> = new Set(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'])
