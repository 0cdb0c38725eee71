import { LEN, WireReader } from '../../src/otlp/wire.ts'
import { WireWriter } from '../../src/otlp/writer.ts'
import type { Random } from '../simulation/random.ts'

/** A field of a message: where it begins, where its value does, and where it ends. */
interface Field {
  tag: number
  from: number
  value: number
  to: number
}

/** The fields of a message; null when it is none. */
function fieldsOf(message: Buffer): Field[] | null {
  const r = new WireReader(message)
  const fields: Field[] = []
  try {
    while (r.pos < r.end) {
      const from = r.pos
      const tag = r.tag()
      let value = r.pos
      if ((tag & 7) === LEN) {
        const length = r.length()
        value = r.pos
        r.pos += length
      } else r.skip(tag)
      fields.push({ tag, from, value, to: r.pos })
    }
  } catch {
    return null
  }
  return fields
}

const DEEPEST = 12
/** Longest run of bytes that a repeated field makes. */
const MAX_REPEATED = 100_000

/** Changes one field of a message at any depth, so that every length around it is still right. */
export function mutateWire(message: Buffer, random: Random, depth = 0): Buffer {
  const fields = fieldsOf(message)
  if (fields === null || fields.length === 0) return message
  const field = random.of(fields)
  const out = new WireWriter(message.length + 64)
  out.raw(message.subarray(0, field.from))
  const inner = message.subarray(field.value, field.to)
  const isNested = (field.tag & 7) === LEN && depth < DEEPEST && (fieldsOf(inner)?.length ?? 0) > 0
  if (isNested && random.chance(0.85)) out.field(field.tag, mutateWire(inner, random, depth + 1))
  else writeChanged(out, message, field, random, random.of(fields))
  out.raw(message.subarray(field.to))
  return Buffer.from(out.bytes())
}

function writeChanged(
  out: WireWriter,
  message: Buffer,
  { tag, from, value, to }: Field,
  random: Random,
  other: Field,
): void {
  const whole = message.subarray(from, to)
  const bytes = message.subarray(value, to)
  const kind = random.whole(0, 6)
  if (kind === 0) return // left out
  if (kind === 1) {
    for (let count = Math.min(random.long(2, 300), MAX_REPEATED / whole.length); count > 0; count -= 1) out.raw(whole)
  } else if (kind === 2) {
    out.raw(message.subarray(other.from, other.to))
    out.raw(whole)
  } else if (kind === 3) {
    out.varint((tag & ~7) | random.whole(0, 5)) // another wire type
    out.raw(bytes)
  } else if (kind === 4) {
    out.varint((random.whole(1, 20) << 3) | (tag & 7)) // another field
    out.raw(message.subarray(from + 1, to))
  } else if ((tag & 7) === LEN) out.field(tag, oddBytes(bytes, random))
  else {
    out.raw(message.subarray(from, value))
    const changed = Buffer.from(bytes)
    for (let i = 0; i < changed.length - 1 || i === 0; i += 1) changed[i] = random.whole(0, 255)
    out.raw(changed)
  }
}

const ODD = [
  '',
  '__proto__',
  'NaN',
  '18446744073709551616',
  '-7',
  '\0',
  '\uFEFFstep',
  'step',
  'category',
  'x'.repeat(2000),
]

function oddBytes(bytes: Buffer, random: Random): Buffer {
  if (random.chance(0.5)) return Buffer.from(random.of(ODD))
  const changed = Buffer.from(bytes)
  if (changed.length > 0) changed[random.whole(0, changed.length - 1)] = random.whole(0, 255)
  return changed
}
