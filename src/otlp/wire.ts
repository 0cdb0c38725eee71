/** Deepest nesting of groups that are skipped, and of values that are read. */
export const MAX_NESTING = 64

/** Most objects (spans, events, lists) that one body may ask for: two bytes of input can make a hundred of ours. */
export const MAX_OBJECTS = 1 << 20

const TWO_TO_32 = 2 ** 32

/** Wire types of the protobuf encoding. */
export const VARINT = 0
export const I64 = 1
export const LEN = 2
const START_GROUP = 3
const END_GROUP = 4
export const I32 = 5

/** What stands before a field: its number and its wire type. */
export const tagOf = (field: number, type: number): number => (field << 3) | type

/** The numbers of the fields that a message has, as one integer for `WireReader.skip`. */
export const fieldSet = (...numbers: readonly number[]): number =>
  numbers.reduce((set, number) => set | (1 << number), 0)

/** A body is not what it has to be: what was expected, what came, and where (a byte, or a path in JSON). */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly place: number | string

  constructor(expected: string, found: string | number, place: number | string) {
    super(`expected ${expected}, found ${found} at ${typeof place === 'number' ? `byte ${place}` : place}`)
    this.place = place
  }
}

/**
 * Reads the protobuf wire format in a range of bytes, one field at a time. Never reads beyond `end`, allocates nothing by
 * an announced length, and throws nothing but `WireError`.
 *
 * A nested message narrows the range: `const outer = r.enter()`, fields until `r.pos` is `r.end`, then `r.end = outer`.
 */
export class WireReader {
  readonly bytes: Buffer
  pos = 0
  end: number
  /** The 64 bits of the last varint or fixed64 as two unsigned halves: a double cannot hold them all. */
  low = 0
  high = 0
  readonly view: DataView
  #objects = 0

  constructor(body: Uint8Array) {
    this.bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    this.view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    this.end = body.byteLength
  }

  fail(expected: string, found: string | number, place = this.pos): never {
    throw new WireError(expected, found, place)
  }

  /** The next field's number and wire type. */
  tag(): number {
    const byte = this.pos < this.end ? this.bytes[this.pos]! : 0
    if (byte < 8 || byte > 127) return this.#rareTag()
    this.pos += 1
    return byte
  }

  /** A tag of several bytes (fields from 16 on), or none at all. */
  #rareTag(): number {
    const from = this.pos
    this.varint()
    if (this.high !== 0) this.fail('a field number below 2^29', 'a greater one', from)
    if (this.low < 8) this.fail('a field number from 1 on', 0, from)
    return this.low
  }

  /** Reads a varint of up to 64 bits into `low` and `high`. */
  varint(): void {
    let low = 0
    let high = 0
    const from = this.pos
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= this.end) this.fail('a varint', 'its end missing', from)
      const byte = this.bytes[this.pos]!
      this.pos += 1
      const bits = byte & 127
      if (shift <= 28) low |= bits << shift
      if (shift === 28) high = bits >> 4
      else if (shift > 28) high |= bits << (shift - 32)
      if (byte > 127) continue
      if (shift === 63 && byte > 1) break
      this.low = low >>> 0
      this.high = high >>> 0
      return
    }
    this.fail('a varint of 64 bits', 'a longer one', from)
  }

  /** A length, which must lie within the range. */
  length(): number {
    let length = this.pos < this.end ? this.bytes[this.pos]! : 128
    if (length < 128) {
      this.pos += 1
    } else {
      this.varint()
      length = this.high * TWO_TO_32 + this.low
    }
    if (length > this.end - this.pos) this.fail(`a length of at most ${this.end - this.pos}`, length)
    return length
  }

  /** Narrows the range to the message that begins with its length here, and returns the end of the range around it. */
  enter(): number {
    const length = this.length()
    const outer = this.end
    this.end = this.pos + length
    return outer
  }

  /** A signed integer of 64 bits as the nearest double. */
  int64(): number {
    const byte = this.pos < this.end ? this.bytes[this.pos]! : 128
    if (byte < 128) {
      this.pos += 1
      return byte
    }
    this.varint()
    return (this.high | 0) * TWO_TO_32 + this.low
  }

  /** Reads 8 bytes into `low` and `high`. */
  fixed64(): void {
    const at = this.#advance(8)
    this.low = this.view.getUint32(at, true)
    this.high = this.view.getUint32(at + 4, true)
  }

  double(): number {
    return this.view.getFloat64(this.#advance(8), true)
  }

  /** A length-delimited field as a view of the body. */
  viewOfField(): Uint8Array {
    const from = this.#advance(this.length())
    return this.viewOf(from, this.pos)
  }

  viewOf(from: number, to: number): Uint8Array {
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + from, to - from)
  }

  /** How many objects have been counted. */
  get objects(): number {
    return this.#objects
  }

  /** Counts one more object, or several, that this body makes us build. */
  object(count = 1): void {
    this.#objects += count
    if (this.#objects > MAX_OBJECTS) this.fail(`at most ${MAX_OBJECTS} spans, events, attributes and lists`, 'more')
  }

  /** Passes over a field. Without `known`, its tag is as it should be; with it, a field in that set has a wrong wire type. */
  skip(tag: number, known = 0): void {
    const field = tag >>> 3
    const type = tag & 7
    if (field < 32 && ((known >>> field) & 1) === 1) this.fail(`the wire type of field ${field}`, `wire type ${type}`)
    if (type === LEN) this.#advance(this.length())
    else if (type === VARINT) this.varint()
    else if (type === I64) this.#advance(8)
    else if (type === I32) this.#advance(4)
    else if (type === START_GROUP) this.#skipGroup(field)
    else this.fail('the start of a field', type === END_GROUP ? `the end of group ${field}` : `wire type ${type}`)
  }

  /** Goes through nested groups with a list of those that are open, not by recursion. */
  #skipGroup(field: number): void {
    const open = [field]
    while (open.length > 0) {
      const tag = this.tag()
      const type = tag & 7
      if (type === START_GROUP) {
        if (open.length === MAX_NESTING) this.fail(`at most ${MAX_NESTING} nested groups`, 'more')
        open.push(tag >>> 3)
      } else if (type !== END_GROUP) {
        this.skip(tag)
      } else if (open.pop() !== tag >>> 3) {
        this.fail('the end of the group that was begun last', `the end of group ${tag >>> 3}`)
      }
    }
  }

  /** Steps over `count` bytes and returns where they begin. */
  #advance(count: number): number {
    const from = this.pos
    if (count > this.end - from) this.fail(`${count} bytes`, this.end - from)
    this.pos = from + count
    return from
  }
}
