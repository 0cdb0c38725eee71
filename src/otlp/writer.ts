/** Writes the protobuf wire format into one growing buffer: a new one of as many bytes as are expected, or the one given. */
export class WireWriter {
  #bytes: Buffer
  #length = 0

  constructor(expected: number | Buffer = 1024) {
    this.#bytes = typeof expected === 'number' ? Buffer.allocUnsafeSlow(expected) : expected
  }

  /** What was written so far. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** An unsigned varint: a tag, a length, a small number. */
  varint(value: number): void {
    this.#reserve(10)
    let rest = value
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#byte((rest % 128) | 128)
    this.#byte(rest)
  }

  /** A varint of 64 bits; a negative number in two's complement. */
  varint64(value: bigint): void {
    this.#reserve(10)
    let rest = BigInt.asUintN(64, value)
    for (; rest > 127n; rest >>= 7n) this.#byte(Number(rest & 127n) | 128)
    this.#byte(Number(rest))
  }

  fixed32(value: number): void {
    this.#reserve(4)
    this.#length = this.#bytes.writeUInt32LE(value, this.#length)
  }

  fixed64(value: bigint): void {
    this.#reserve(8)
    this.#length = this.#bytes.writeBigUInt64LE(value, this.#length)
  }

  double(value: number): void {
    this.#reserve(8)
    this.#length = this.#bytes.writeDoubleLE(value, this.#length)
  }

  /** A whole length-delimited field. */
  field(tag: number, bytes: Uint8Array): void {
    this.varint(tag)
    this.varint(bytes.length)
    this.raw(bytes)
  }

  text(tag: number, text: string): void {
    const length = Buffer.byteLength(text)
    this.varint(tag)
    this.varint(length)
    this.#reserve(length)
    this.#length += this.#bytes.write(text, this.#length)
  }

  /** Begins a nested message, for which `finish` must be called with what this returns. */
  begin(tag: number): number {
    this.varint(tag)
    this.#reserve(1)
    this.#length += 1
    return this.#length
  }

  /** Puts the length before a nested message; one byte was left for it, and a longer one moves what was written. */
  finish(from: number): void {
    const length = this.#length - from
    const more = sizeOf(length) - 1
    this.#reserve(more + 10)
    this.#bytes.copyWithin(from + more, from, this.#length)
    this.#length = from - 1
    this.varint(length)
    this.#length += length
  }

  #byte(byte: number): void {
    this.#bytes[this.#length] = byte
    this.#length += 1
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

/** Bytes of an unsigned varint. */
export function sizeOf(value: number): number {
  let size = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size += 1
  return size
}
