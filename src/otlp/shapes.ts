import type { Fields } from '../layer/event.ts'
import { readAttribute, ValueNotes } from './values.ts'
import { fieldSet, I32, LEN, tagOf, VARINT, type WireReader } from './wire.ts'

/** A message of which at most the attributes are read; its other fields need only have the right wire type. */
export interface Shape {
  /** The tag of the attributes; 0 when it has none. */
  attributes: number
  others: readonly number[]
  known: number
}

export const RESOURCE: Shape = {
  attributes: tagOf(1, LEN),
  others: [tagOf(2, VARINT), tagOf(3, LEN)],
  known: fieldSet(1, 2, 3),
}

export const SCOPE: Shape = {
  attributes: tagOf(3, LEN),
  others: [tagOf(1, LEN), tagOf(2, LEN), tagOf(4, VARINT)],
  known: fieldSet(1, 2, 3, 4),
}

export const LINK: Shape = {
  attributes: tagOf(4, LEN),
  others: [tagOf(1, LEN), tagOf(2, LEN), tagOf(3, LEN), tagOf(5, VARINT), tagOf(6, I32)],
  known: fieldSet(1, 2, 3, 4, 5, 6),
}

export const STATUS: Shape = {
  attributes: 0,
  others: [tagOf(2, LEN), tagOf(3, VARINT)],
  known: fieldSet(2, 3),
}

/** What is met in attributes from which no numbers are taken. */
const ignored = new ValueNotes()

/** Reads the message that begins with its length here, its attributes into `fields`. */
export function readShape(r: WireReader, shape: Shape, fields?: Fields): void {
  const outer = r.enter()
  while (r.pos < r.end) {
    const tag = r.tag()
    if (tag === shape.attributes) readAttribute(r, fields ?? {}, ignored)
    else r.skip(tag, shape.others.includes(tag) ? 0 : shape.known)
  }
  r.end = outer
}
