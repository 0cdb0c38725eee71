import type { TracingEvent } from './event.ts'
import { jsonText } from './params.ts'

/** Longest example of a line, in characters. */
export const MAX_EXAMPLE = 240

/** An event that came otherwise than on a line, as one; secrets are taken out. */
export const exampleOfEvent = ({ message, wrapped }: TracingEvent): string =>
  jsonText('', { ...(message === null ? {} : { message }), ...wrapped[0] }).slice(0, MAX_EXAMPLE)
