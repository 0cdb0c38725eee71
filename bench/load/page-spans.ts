/** Spans of a long run, as bytes: a step of ten spans beside each other inside one, a millisecond each. */

const INSIDE = 10
const NAMES = ['forward', 'backward', 'optimizer', 'rollout', 'sync']

/** A field of a protobuf message that has a length below 128. */
const field = (number: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.of((number << 3) | 2, bytes.length), bytes])

const idBytes = (id: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32BE(id, length - 4)
  return bytes
}

const timeField = (number: number, ms: number): Buffer => {
  const bytes = Buffer.alloc(9, (number << 3) | 1)
  bytes.writeBigUInt64LE(BigInt(ms) * 1_000_000n, 1)
  return bytes
}

/** The `i`th span. */
export function spanBytes(i: number): Buffer {
  const isOuter = i % (INSIDE + 1) === 0
  const step = Math.floor(i / (INSIDE + 1))
  const outer = i - (i % (INSIDE + 1))
  const start = Date.UTC(2026, 0) + step * INSIDE + (isOuter ? 0 : (i % (INSIDE + 1)) - 1)
  const stepValue = Buffer.concat([Buffer.of(0x18), varint(step)])
  return Buffer.concat([
    field(1, idBytes(7, 16)),
    field(2, idBytes(i + 1, 8)),
    ...(isOuter ? [] : [field(4, idBytes(outer + 1, 8))]),
    field(5, Buffer.from(isOuter ? 'update' : NAMES[i % NAMES.length]!)),
    timeField(7, start),
    timeField(8, start + (isOuter ? INSIDE : 1)),
    ...(isOuter ? [field(9, Buffer.concat([field(1, Buffer.from('step')), field(2, stepValue)]))] : []),
  ])
}

function varint(n: number): Buffer {
  const bytes: number[] = []
  for (let rest = n; ; rest >>>= 7) {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) return Buffer.from(bytes)
  }
}
