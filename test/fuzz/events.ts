import type { EventRow } from '../../src/channel/messages.ts'
import { law } from './target.ts'

/** The laws of an event that is kept whole. */
export function checkEvent({ time, level, target, message, step, fields }: EventRow): void {
  const bytes = [target, message, fields].map((text) => Buffer.byteLength(text))
  law(Number.isSafeInteger(time) && (step === null || Number.isSafeInteger(step)), 'time and step are integers')
  law(level === 'WARN' || level === 'ERROR', 'the level is one of two')
  law(bytes[0]! <= 256 && bytes[1]! <= 4096 && bytes[2]! <= 4096, 'texts are bounded')
  law(
    [target, message].every((text) => text.isWellFormed()),
    'texts are sound',
  )
  const object: unknown = JSON.parse(fields)
  law(typeof object === 'object' && object !== null && !Array.isArray(object), 'fields are the text of an object')
}
